"""When checkpoints are written, which one is tested, and what a resumed run takes over."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

from mnist_exp.train import train
from mnist_exp.training.checkpoints import RunCheckpoint, load_best_weights
from mnist_exp.training.lightning_messages import hide_messages

Compose = Callable[..., DictConfig]


class Accuracies(LightningModule):
    """A model of one weight, which is the number of its updates, with a validation accuracy for each epoch."""

    def __init__(self, *accuracies: float) -> None:
        super().__init__()
        self.accuracies = accuracies
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.automatic_optimization = False

    def training_step(self, *_: Any) -> None:
        self.optimizers().step()
        self.weight.data += 1

    def on_train_epoch_end(self) -> None:
        self.log("val/acc", self.accuracies[self.current_epoch])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0)


class OneBatch(LightningDataModule):
    def __init__(self, val_size: int) -> None:
        super().__init__()
        self.val_size, self.val_indices = val_size, range(val_size)

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader([0])


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Trainer]:
    hide_messages()

    def fit(model: LightningModule, *checkpoints: RunCheckpoint, val_size: int = 1, **kwargs: Any) -> Trainer:
        trainer = Trainer(
            accelerator="cpu", logger=False, callbacks=list(checkpoints), default_root_dir=tmp_path,
            enable_progress_bar=False, enable_model_summary=False, max_epochs=len(model.accuracies),
        )  # fmt: skip
        trainer.fit(model, OneBatch(val_size), **kwargs)
        return trainer

    return fit


def epochs_in(folder: Path) -> dict[str, int]:
    """The epoch of each checkpoint in a folder, counted from 1."""
    return {path.name: torch.load(path, weights_only=True)["epoch"] + 1 for path in sorted(folder.glob("*.ckpt"))}


pytestmark = pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")  # `last` is not resumed here


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({}, {"best.ckpt": 2}),
        ({"mode": "min"}, {"best.ckpt": 1}),
        ({"monitor": None}, {"best.ckpt": 5}),
        ({"every_n_epochs": 2}, {"best.ckpt": 2}),
        ({"every_n_epochs": 3}, {"best.ckpt": 3}),
        ({"save_top_k": 0}, {}),
        ({"save_top_k": 2, "filename": "best-{epoch}"}, {"best-1.ckpt": 2, "best-3.ckpt": 4}),
        ({"save_top_k": -1, "filename": "e{epoch}", "every_n_epochs": 2}, {"e1.ckpt": 2, "e3.ckpt": 4}),
    ],
)
def test_checkpoints_are_written_as_the_options_say(
    tmp_path: Path, fit: Callable[..., Trainer], options: dict[str, Any], written: dict[str, int]
):
    # The best accuracy comes twice: the first counts.
    options = {"filename": "best", "monitor": "val/acc"} | options
    fit(Accuracies(0.1, 0.9, 0.3, 0.9, 0.2), RunCheckpoint(str(tmp_path), **options))
    assert epochs_in(tmp_path) == written


def test_without_validation_data_the_latest_epoch_is_written(tmp_path: Path, fit: Callable[..., Trainer]):
    best = RunCheckpoint(str(tmp_path), filename="{epoch}", monitor="val/acc", save_top_k=2)
    fit(Accuracies(0.9, 0.1, 0.2), best, val_size=0)
    assert epochs_in(tmp_path) == {"2.ckpt": 3}


def test_several_checkpoints_need_several_names(tmp_path: Path):
    with pytest.raises(ValueError, match=r"save_top_k=3 keeps several .* as in filename='best-\{epoch\}'"):
        RunCheckpoint(str(tmp_path), filename="best", monitor="val/acc", save_top_k=3)


def test_an_unknown_option_is_refused(tmp_path: Path):
    with pytest.raises(TypeError, match="every_n_epoch"):
        RunCheckpoint(str(tmp_path), filename="best", every_n_epoch=2)


def test_the_weights_of_the_best_epoch_are_loaded(tmp_path: Path, fit: Callable[..., Trainer]):
    model, best = Accuracies(0.1, 0.9, 0.3), RunCheckpoint(str(tmp_path), filename="best", monitor="val/acc")
    fit(model, best)
    assert model.weight.item() == 3
    assert load_best_weights(model, best) == (2, {})
    assert model.weight.item() == 2


@pytest.mark.parametrize("has_callback", [True, False])
def test_a_model_keeps_its_weights_where_no_checkpoint_was_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, has_callback: bool
):
    model = Accuracies()
    with caplog.at_level(logging.INFO):
        best = RunCheckpoint(str(tmp_path), filename="best") if has_callback else None
        assert load_best_weights(model, best) == (None, {})
    assert model.weight.item() == 0
    reason = "no validation has chosen a best epoch" if has_callback else "there is no callbacks.best"
    assert caplog.messages == [f"{reason}: the last weights are tested"]


def resumed(
    tmp_path: Path, fit: Callable[..., Trainer], accuracies: list[float], filename: str = "best", **options: Any
) -> RunCheckpoint:
    """Two epochs in tmp_path / a, and the rest resumed in tmp_path / b."""

    def best(folder: str) -> RunCheckpoint:
        return RunCheckpoint(str(tmp_path / folder), filename=filename, monitor="val/acc", **options)

    fit(Accuracies(*accuracies[:2]), best("a"), RunCheckpoint(str(tmp_path / "a"), filename="last"))
    continued = best("b")
    fit(Accuracies(*accuracies), continued, ckpt_path=tmp_path / "a" / "last.ckpt")
    return continued


@pytest.mark.parametrize(("accuracies", "epoch"), [([0.9, 0.1, 0.5], 1), ([0.2, 0.1, 0.5], 3)])
def test_the_best_of_a_resumed_run_competes_with_what_comes(
    tmp_path: Path, fit: Callable[..., Trainer], accuracies: list[float], epoch: int
):
    best = resumed(tmp_path, fit, accuracies)
    assert epochs_in(tmp_path / "b") == {"best.ckpt": epoch}
    assert best.best_model_path == str(tmp_path / "b" / "best.ckpt")
    assert epochs_in(tmp_path / "a")["best.ckpt"] == 1, "the earlier run's files stay"


def test_several_best_checkpoints_of_a_resumed_run_compete(tmp_path: Path, fit: Callable[..., Trainer]):
    best = resumed(tmp_path, fit, [0.9, 0.1, 0.5], save_top_k=2, filename="best-{epoch}")
    assert epochs_in(tmp_path / "b") == {"best-0.ckpt": 1, "best-2.ckpt": 3}
    assert best.best_model_path == str(tmp_path / "b" / "best-0.ckpt")
    assert load_best_weights(Accuracies(), best).epoch == 1


def test_a_missing_best_checkpoint_is_named_when_its_run_is_resumed(
    tmp_path: Path, fit: Callable[..., Trainer], caplog: pytest.LogCaptureFixture
):
    best = RunCheckpoint(str(tmp_path / "a"), filename="best", monitor="val/acc")
    fit(Accuracies(0.9), best, RunCheckpoint(str(tmp_path / "a"), filename="last"))
    (tmp_path / "a" / "best.ckpt").unlink()
    again = RunCheckpoint(str(tmp_path / "b"), filename="best", monitor="val/acc")
    fit(Accuracies(0.9, 0.5), again, ckpt_path=tmp_path / "a" / "last.ckpt")
    assert f"{tmp_path / 'a' / 'best.ckpt'} is missing" in caplog.text
    assert load_best_weights(Accuracies(), again).epoch == 2


def test_best_and_last_have_a_state_each_under_the_names_of_version_0_1(tmp_path: Path):
    keys = [RunCheckpoint(str(tmp_path), filename=name).state_key for name in ("best", "last")]
    assert keys == ["RunCheckpoint{'filename': 'best'}", "RunCheckpoint{'filename': 'last'}"]


@pytest.mark.usefixtures("small_mnist")
def test_a_run_takes_the_options_and_reports_the_epoch_that_it_tested(composed: Compose, tmp_path: Path):
    recipe = ["model=mlp", "optimizer=sgd", "optimizer.lr=1.2", "seed=1", "trainer.max_epochs=4", "logger=none"]
    result = train(composed(*recipe, "+callbacks.best.every_n_epochs=2", "+callbacks.last.every_n_epochs=3"))
    assert epochs_in(tmp_path / "run" / "checkpoints") == {"best.ckpt": result["epoch"], "last.ckpt": 3}
    history = {row["epoch"]: row["val/acc"] for row in result["history"]}
    assert result["epoch"] == max((2, 4), key=lambda epoch: history[epoch])
    assert result["metrics"]["val/acc"] == history[result["epoch"]]
    assert max(history, key=lambda epoch: history[epoch]) not in (2, 4), "or this test could not tell"

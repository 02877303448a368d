"""Lightning's options mean what its users know: what can be seen of a run, for each of them.

Training has 250 images in batches of 50, so an epoch has five batches.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.train import train
from mnist_exp.training.settings_changed import check_resume

pytestmark = pytest.mark.usefixtures("small_mnist")
Compose = Callable[..., DictConfig]


@dataclass
class Seen:
    """updates: optimizer steps. validations, tests: finished ones. epochs: rows of the history, and those validated."""

    updates: int = 0
    validations: int = 0
    tests: int = 0
    epochs: int = 0
    validated: list[int] = field(default_factory=list)
    tested_epoch: int | None = None


@pytest.fixture
def observed(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Seen, dict[str, Any]]]:
    """Trains with the overrides and tells what was seen."""

    def observed(*overrides: str) -> tuple[Seen, dict[str, Any]]:
        seen = Seen()
        count(monkeypatch, seen)
        result = train(composed("model=mlp", "model.net.hidden=8", "logger=none", *overrides))
        seen.epochs = len(result["history"])
        seen.validated = [row["epoch"] for row in result["history"] if "val/acc" in row]
        seen.tested_epoch = result["epoch"]
        return seen, result

    return observed


def count(monkeypatch: pytest.MonkeyPatch, seen: Seen) -> None:
    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            setattr(seen, name, getattr(seen, name) + 1)
            return original(*args, **kwargs)

        return wrapper

    for optimizer in (torch.optim.Adam, torch.optim.SGD):
        monkeypatch.setattr(optimizer, "step", counted("updates", optimizer.step))
    for hook, name in (("on_validation_epoch_end", "validations"), ("on_test_epoch_end", "tests")):
        monkeypatch.setattr(DigitClassifier, hook, counted(name, getattr(DigitClassifier, hook)))


TWO = {"updates": 10, "validations": 2, "tests": 1, "epochs": 2, "validated": [1, 2]}  # two whole epochs
STOPPING = ["callbacks=early_stopping", "callbacks.early_stopping.min_delta=1", "callbacks.early_stopping.patience=1"]
CASES: dict[str, dict[str, Any]] = {
    "trainer.max_epochs=2": TWO,
    "trainer.max_epochs=-1 trainer.max_steps=10": TWO,
    "trainer.max_steps=7": {"updates": 7, "validations": 2, "epochs": 2, "validated": [1, 2]},
    "trainer.max_steps=3": {"updates": 3, "validations": 1, "epochs": 1, "validated": [1], "tested_epoch": 1},
    "trainer.max_steps=2 +model.block_images=100": {"updates": 2, "validations": 1, "epochs": 1, "validated": [1]},
    "trainer.max_steps=3 data.val_size=0": {"updates": 3, "validations": 0, "epochs": 1, "tested_epoch": 1},
    "trainer.max_time=00:01:00:00": TWO,
    "trainer.max_epochs=-1 trainer.max_time=00:00:00:01": {"tests": 1},
    "trainer.limit_train_batches=2": {"updates": 4, "validations": 2, "epochs": 2, "validated": [1, 2]},
    "trainer.limit_train_batches=0.4": {"updates": 4, "validations": 2, "epochs": 2, "validated": [1, 2]},
    "trainer.limit_val_batches=0": {"updates": 10, "validations": 0, "validated": [], "tested_epoch": 2},
    "trainer.limit_val_batches=1": TWO,
    "trainer.limit_test_batches=0": TWO | {"tests": 0},
    "trainer.overfit_batches=2": {"updates": 4, "validations": 2, "epochs": 2, "validated": [1, 2]},
    "trainer.overfit_batches=0.4 data.eval_batch_size=10": {"updates": 4, "validations": 2, "epochs": 2},
    "trainer.check_val_every_n_epoch=2": {"updates": 10, "validations": 1, "validated": [2], "tested_epoch": 2},
    "trainer.check_val_every_n_epoch=2 trainer.max_epochs=3": {"validations": 1, "validated": [2], "tested_epoch": 2},
    "trainer.check_val_every_n_epoch=3": {"updates": 10, "validations": 0, "validated": [], "tested_epoch": 2},
    "trainer.check_val_every_n_epoch=2 trainer.limit_val_batches=0": {"validations": 0, "tested_epoch": 2},
    "trainer.val_check_interval=0.4": {"updates": 10, "validations": 4, "validated": [1, 2]},
    "trainer.val_check_interval=3": {"updates": 10, "validations": 2, "validated": [1, 2]},
    "trainer.accumulate_grad_batches=2": TWO | {"updates": 6},
    "trainer.gradient_clip_val=0.5": TWO,
    "trainer.num_sanity_val_steps=1": TWO | {"validations": 3},
    "trainer.fast_dev_run=true": {"updates": 1, "validations": 1, "tests": 1, "epochs": 1},
    "trainer.fast_dev_run=3": {"updates": 3, "validations": 1, "tests": 1, "epochs": 1},
    "~callbacks.best": TWO | {"tested_epoch": 2},
    " ".join(STOPPING): TWO,
    " ".join([*STOPPING, "trainer.max_epochs=4"]): TWO,
    " ".join([*STOPPING, "trainer.max_epochs=4", "trainer.min_epochs=3"]): {"updates": 15, "epochs": 3},
}


@pytest.mark.parametrize("overrides", CASES)
def test_an_option_of_lightning_does_what_its_name_says(observed: Callable[..., tuple[Seen, Any]], overrides: str):
    seen, _ = observed(*overrides.split(" "))
    expected = CASES[overrides]
    assert {name: getattr(seen, name) for name in expected} == expected


def test_the_learning_curve_has_a_validation_only_where_one_ran(observed: Callable[..., tuple[Seen, Any]]):
    _, result = observed("trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2")
    assert ["val/loss" in row for row in result["history"]] == [False, True, False]


def test_the_figures_of_a_validation_within_an_epoch_are_those_of_the_tested_weights(
    observed: Callable[..., tuple[Seen, Any]], monkeypatch: pytest.MonkeyPatch
):
    accuracies: list[float] = []
    log_epoch = DigitClassifier.log_epoch

    def note(self: DigitClassifier, stage: str, metrics: Any) -> None:
        if stage == "val":
            accuracies.append(
                float(
                    metrics.acc(
                        torch.cat([p for _, p, _ in metrics.batches]), torch.cat([y for _, _, y in metrics.batches])
                    )
                )
            )
            metrics.acc.reset()
        log_epoch(self, stage, metrics)

    monkeypatch.setattr(DigitClassifier, "log_epoch", note)
    # A rate that grows too large: an early validation is the best.
    recipe = ["optimizer=sgd", "optimizer.lr=3", "trainer.val_check_interval=0.2"]
    _, result = observed(*recipe, "trainer.max_epochs=3")
    assert len(accuracies) == 15
    assert accuracies.index(max(accuracies)) % 5 != 4, "it must be within an epoch for this test to tell"
    assert result["metrics"]["val/acc"] == pytest.approx(max(accuracies))


def test_the_gradient_is_clipped(observed: Callable[..., tuple[Seen, Any]], composed: Compose):
    def distance(*overrides: str) -> float:
        recipe = ("optimizer=sgd", "optimizer.lr=1", "trainer.max_epochs=1", *overrides)
        weights = []
        for steps in ("trainer.limit_train_batches=1", "trainer.limit_train_batches=2"):
            observed(*recipe, steps)
            path = Path(composed().run_dir) / "checkpoints" / "last.ckpt"
            state = torch.load(path, weights_only=True)["state_dict"]
            weights.append(torch.cat([each.flatten() for each in state.values()]))
        return float((weights[1] - weights[0]).norm())

    assert distance() > 0.02
    assert distance("trainer.gradient_clip_val=0.01") == pytest.approx(0.01, rel=1e-3)
    assert distance("trainer.gradient_clip_val=0.001", "trainer.gradient_clip_algorithm=value") < 0.001 * 80


def test_overfitting_sees_the_same_batches_in_each_epoch(
    observed: Callable[..., tuple[Seen, Any]], monkeypatch: pytest.MonkeyPatch
):
    labels: list[list[int]] = []
    learn = DigitClassifier.learn

    def note(self: DigitClassifier, images: torch.Tensor, y: torch.Tensor, **options: Any) -> Any:
        labels.append(y.tolist())
        return learn(self, images, y, **options)

    monkeypatch.setattr(DigitClassifier, "learn", note)
    observed("trainer.overfit_batches=2")
    assert labels[:2] == labels[2:]
    assert len(labels) == 4


def test_without_a_test_there_is_no_accuracy(observed: Callable[..., tuple[Seen, Any]]):
    _, result = observed("trainer.limit_test_batches=0")
    assert not [key for key in result["metrics"] if key.startswith("test/")]


def test_a_run_that_overfits_goes_on(composed: Compose):
    options = ["model=mlp", "model.net.hidden=8", "trainer.overfit_batches=2"]
    cfg = composed(*options, "trainer.max_epochs=1")
    train(cfg)
    longer = composed(*options, "trainer.max_epochs=2", f"resume={cfg.run_dir}")
    assert check_resume(longer, None) is None
    assert [row["epoch"] for row in train(longer)["history"]] == [1, 2]

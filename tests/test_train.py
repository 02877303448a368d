"""Whole runs on small data: what a run folder holds, and that the same seed means the same result."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

from mnist_exp.data.digits import Digits
from mnist_exp.models.checkpoint import CheckpointError, load_classifier
from mnist_exp.train import train
from mnist_exp.training.resuming import SeedEveryEpoch
from mnist_exp.training.run import run_and_record

pytestmark = pytest.mark.usefixtures("small_mnist")
Compose = Callable[..., DictConfig]


def weights(run_dir: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run_dir / "checkpoints" / f"{which}.ckpt", weights_only=True)["state_dict"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def run(cfg: DictConfig) -> dict[str, Any]:
    run_and_record(train, cfg)
    return json.loads((Path(cfg.run_dir) / "result.json").read_text())


def test_a_run_leaves_all_that_the_contract_names(composed: Compose, tmp_path: Path):
    result = run(composed())
    files = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert {"result.json", "predictions.npz", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= files
    assert any("tfevents" in name for name in files)
    assert result["status"] == "finished"
    assert result["data"] | {"fingerprint": ""} == {
        "name": "image", "fingerprint": "", "train": 250, "val": 50, "test": 60
    }  # fmt: skip
    assert result["model"] == {"name": "cnn", "parameters": 80_202}
    expected = {f"{stage}/{metric}" for stage in ("train", "val", "test") for metric in ("loss", "acc")}
    assert set(result["metrics"]) == expected
    assert [row["epoch"] for row in result["history"]] == [1, 2]
    assert result["seconds"].keys() == {"prepare", "setup", "fit", "test"}
    assert result["images_per_second"] > 0


def test_the_number_of_test_images_is_that_of_the_images_that_were_tested(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    result = run(composed("trainer.max_epochs=1", "trainer.limit_test_batches=2", "data.eval_batch_size=20"))
    assert result["data"]["test"] == len(np.load(tmp_path / "run" / "predictions.npz")["labels"]) == 40
    assert "% of 40 images" in capsys.readouterr().out


def own_table(path: Path, digits: Digits, *, label_last: bool = False) -> str:
    """A table of the digits. With the label last there is no header."""
    columns = [digits.labels.numpy(), digits.images.numpy().reshape(-1, 784)]
    header = "" if label_last else ",".join(["label", *(f"pixel{index}" for index in range(784))])
    rows = np.column_stack(columns[::-1] if label_last else columns)
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=header, comments="")
    return str(path)


def test_a_table_with_the_label_last_trains_as_one_with_the_label_first(
    composed: Compose, tmp_path: Path, small_digits: tuple[Digits, Digits]
):
    results = []
    for label_last in (False, True):
        paths = [
            own_table(tmp_path / f"{index}.csv", part, label_last=label_last) for index, part in enumerate(small_digits)
        ]
        files = (f"data.train_csv={paths[0]}", f"data.test_csv={paths[1]}")
        results.append(run(composed("data=csv", "model=mlp", *files, f"run_dir={tmp_path / str(label_last)}")))
    assert results[0]["data"] == results[1]["data"]
    assert results[0]["metrics"] == results[1]["metrics"]


def test_one_table_is_enough_and_a_small_set_needs_no_settings(
    composed: Compose, tmp_path: Path, small_digits: tuple[Digits, Digits]
):
    table = own_table(tmp_path / "train.csv", Digits(*small_digits[0][torch.arange(60)]))
    result = run(composed("data=csv", f"data.train_csv={table}", "data.val_size=auto", "trainer.max_epochs=1"))
    assert {key: result["data"][key] for key in ("train", "val", "test")} == {"train": 47, "val": 4, "test": 9}


def test_what_is_tested_is_the_best_checkpoint_not_the_last(
    composed: Compose, tmp_path: Path, small_mnist: tuple[Digits, Digits]
):
    # A rate that grows too large: the first epochs are the best.
    result = run(composed("model=mlp", "optimizer=sgd", "optimizer.lr=1.2", "trainer.max_epochs=4", "seed=1"))
    predictions = np.load(tmp_path / "run" / "predictions.npz")
    assert np.mean(predictions["labels"] == predictions["preds"]) == pytest.approx(result["metrics"]["test/acc"])
    model, _ = load_classifier(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert np.allclose(model.probabilities(small_mnist[1].images), predictions["probs"], atol=1e-6)
    assert result["epoch"] < len(result["history"]), "the best epoch must not be the last for this test to tell"
    assert not same(weights(tmp_path / "run", "best"), weights(tmp_path / "run", "last"))


def test_the_figures_are_those_of_the_last_epoch_where_that_is_tested(composed: Compose):
    recipe = ["model=mlp", "optimizer=sgd", "optimizer.lr=0.8", "seed=0"]  # its first epoch is the best
    result = run(composed(*recipe, "trainer.max_epochs=4", "callbacks.best.monitor=null"))
    assert result["epoch"] == 4
    assert result["metrics"]["val/acc"] == result["history"][-1]["val/acc"] < result["history"][0]["val/acc"]


def test_images_and_csv_of_the_same_digits_give_equal_weights_bit_for_bit(composed: Compose, tmp_path: Path):
    image, csv = (run(composed(f"data={data}", folder=data)) for data in ("image", "csv"))
    assert image["data"]["fingerprint"] == csv["data"]["fingerprint"]
    assert image["metrics"] == csv["metrics"]
    assert same(weights(tmp_path / "image"), weights(tmp_path / "csv"))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(composed: Compose, tmp_path: Path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(composed(f"seed={seed}", "trainer.max_epochs=1", folder=folder))
    a, b, c = (weights(tmp_path / folder) for folder in "abc")
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize(
    "extra", [[], ["scheduler=one_cycle", "optimizer=sgd"], ["data.val_size=0"], ["augment=handwriting", "model=mlp"]]
)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: list[str]
):
    whole = run(composed("trainer.max_epochs=3", *extra, folder="whole"))
    # Killed in its second epoch: what remains is the checkpoint after the first.
    with monkeypatch.context() as patch:
        patch.setattr("mnist_exp.training.resuming.SeedEveryEpoch.on_train_epoch_start", killed_in_epoch_two)
        assert run_failing(composed("trainer.max_epochs=3", *extra, folder="killed"))["status"] == "failed"
    last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
    resumed = run(composed("trainer.max_epochs=3", f"ckpt_path={last}", *extra, folder="resumed"))
    for which in ("last", "best"):
        assert same(weights(tmp_path / "whole", which), weights(tmp_path / "resumed", which))
    assert resumed["metrics"] == whole["metrics"]
    assert [row["epoch"] for row in resumed["history"]] == [1, 2, 3]


seed_epoch = SeedEveryEpoch.on_train_epoch_start


def killed_in_epoch_two(self: Any, trainer: Any, pl_module: Any) -> None:
    if trainer.current_epoch == 1:
        raise RuntimeError("killed")
    seed_epoch(self, trainer, pl_module)


def run_failing(cfg: DictConfig) -> dict[str, Any]:
    with pytest.raises(SystemExit):
        run_and_record(train, cfg)
    return json.loads((Path(cfg.run_dir) / "result.json").read_text())


def test_a_failed_run_says_why_and_keeps_the_traceback(composed: Compose):
    result = run_failing(composed("data.val_size=400"))
    assert result["status"] == "failed"
    assert "data.val_size must be from 0 to 299" in result["error"]
    assert "number_of_images" in result["traceback"]


def test_a_finished_run_is_skipped_unless_its_configuration_changed(composed: Compose, tmp_path: Path):
    written = []
    for overrides in ((), (), ("optimizer.lr=0.01",), ("optimizer.lr=0.01", "overwrite=true")):
        run(composed("trainer.max_epochs=1", *overrides))
        written.append((tmp_path / "run" / "result.json").stat().st_mtime_ns)
    assert written[0] == written[1] < written[2] < written[3]


def test_milestones_are_the_test_results_of_their_epoch(composed: Compose):
    long = run(composed("trainer.max_epochs=3", "milestones=[1,3]", "data.val_size=0", folder="long"))
    short = run(composed("trainer.max_epochs=1", "data.val_size=0", folder="short"))
    assert [row["epoch"] for row in long["milestones"]] == [1, 3]
    assert long["milestones"][0]["test/acc"] == pytest.approx(short["metrics"]["test/acc"])
    assert long["milestones"][1]["test/loss"] == pytest.approx(long["metrics"]["test/loss"], abs=1e-5)


def test_one_batch_can_be_learnt_by_heart(composed: Compose):
    result = run(composed("debug=overfit", "data.batch_size=20", "trainer.max_epochs=50"))
    assert result["history"][-1]["train/loss"] < 0.05


def test_a_damaged_checkpoint_is_named(tmp_path: Path):
    (tmp_path / "bad.ckpt").write_bytes(b"no checkpoint")
    for path in (tmp_path / "bad.ckpt", tmp_path / "missing.ckpt"):
        with pytest.raises(CheckpointError, match=path.name):
            load_classifier(path)


@pytest.mark.slow
def test_one_epoch_of_real_mnist_passes_97_percent(composed: Compose, pytestconfig: pytest.Config, monkeypatch: Any):
    monkeypatch.undo()
    data = pytestconfig.rootpath / "data"
    result = run(
        composed(f"data_dir={data}", "data=csv", "data.batch_size=64", "data.val_size=5000", "trainer.max_epochs=1")
    )
    assert result["metrics"]["test/acc"] > 0.97

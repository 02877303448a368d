"""Two processes train and test as one: gloo on the CPU, through the command, as a user would.

The learning rate follows from the images in a step, those of both processes.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits


def trained(folder: Path, *overrides: str) -> dict[str, Any]:
    """The result of a run on 250 digits (five equal batches), tested on 57 (the last batch divides unevenly)."""
    subprocess.run(
        [sys.executable, "-m", "mnist_exp.train", "data=csv", f"data.train_csv={folder / 'train.csv'}",
         f"data.test_csv={folder / 'test.csv'}", "data.val_size=50", "data.eval_batch_size=10", "trainer.max_epochs=2",
         "optimizer=sgd_scaled", "optimizer.reference=50", "optimizer.lr=0.1", "optimizer.momentum=0", "threads=1",
         "logger=none", *overrides],
        cwd=folder, check=True, capture_output=True, text=True, timeout=600,  # for a machine that is busy otherwise
    )  # fmt: skip
    (path,) = folder.glob("outputs/runs/*/*/result.json")
    result = json.loads(path.read_text()) | {"predictions": np.load(path.with_name("predictions.npz"))}
    path.rename(path.with_name("seen.json"))
    return result


def test_two_processes_score_the_whole_test_set_once_as_one_does(tmp_path: Path, small_digits: tuple[Digits, Digits]):
    train, test = small_digits
    write_csv(tmp_path / "train.csv", train.images.numpy(), train.labels.numpy())
    write_csv(tmp_path / "test.csv", test.images[:57].numpy(), test.labels[:57].numpy())
    alone = trained(tmp_path, "trainer=cpu", "data.batch_size=50")
    both = trained(tmp_path, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=25")
    assert np.array_equal(both["predictions"]["labels"], test.labels[:57])
    assert np.allclose(both["predictions"]["probs"], alone["predictions"]["probs"], atol=1e-4)
    assert both["metrics"] == pytest.approx(alone["metrics"], rel=1e-3)
    assert np.mean(both["predictions"]["labels"] == both["predictions"]["preds"]) == pytest.approx(
        both["metrics"]["test/acc"]
    )

"""python -m pytest tests/training/test_profiler.py -v"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mnist_exp.train import train


@pytest.mark.usefixtures("small_mnist")
def test_a_profile_names_the_operations_of_the_batches_it_looked_at(
    composed: Callable[..., DictConfig], tmp_path: Path
):
    looked_at = ["callbacks.profile.skip=1", "callbacks.profile.batches=2"]
    train(composed("debug=profile", "trainer.max_epochs=2", "logger=none", *looked_at))
    table = (tmp_path / "run" / "profile.txt").read_text()
    step = next(line for line in table.splitlines() if "Optimizer.step" in line)
    assert step.split()[-1] == "2"
    assert json.loads((tmp_path / "run" / "trace.json").read_text())["traceEvents"]

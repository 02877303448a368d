"""Lightning's options mean what its users know: what can be seen of a run, for each of them.

Training has 250 images in batches of 50, so an epoch has five batches.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.train import train

pytestmark = pytest.mark.usefixtures("small_mnist")
Compose = Callable[..., DictConfig]
LAST = "last"


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
    "trainer.max_steps=7": {"updates": 7, "validations": 1, "epochs": 2, "validated": [1], "tested_epoch": 1},
    "trainer.max_steps=3": {"updates": 3, "validations": 0, "epochs": 1, "validated": [], "tested_epoch": 1},
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

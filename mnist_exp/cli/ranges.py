"""Which values a key may have. Hydra does not know that a batch holds at least one image: this check does."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mnist_exp.suggestions import did_you_mean

MAX_IMAGES = 1_000_000  # in a batch or a validation set; MNIST has 70,000
MAX_DEVICES = 16  # of one machine: each is a process that takes about half a gigabyte


@dataclass(frozen=True)
class Range:
    """The values that a key may have: `value in range_` says whether it may have this one.

    description: for people; completes the sentence "data.batch_size is ...".
    holds: whether a value, as OmegaConf reads it, is one of them.
    choices: all values by name, where the range is a list of names: a typo gets the nearest as a suggestion.
    """

    description: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()

    def __contains__(self, value: object) -> bool:
        return self.holds(value)

    def __repr__(self) -> str:
        return f"<Range: {self.description}>"


def between(least: int, most: int) -> Range:
    # type(), not isinstance(): in Python true is a whole number, too.
    return Range(
        f"a whole number from {least:,} to {most:,}", lambda value: type(value) is int and least <= value <= most
    )


def one_of(*names: str) -> Range:
    return Range(f"one of: {', '.join(names)}", lambda value: str(value) in names, choices=names)


def _is_devices(value: Any) -> bool:
    number = type(value) is int and (value == -1 or 1 <= value <= MAX_DEVICES)
    indices = isinstance(value, list) and 1 <= len(value) <= MAX_DEVICES and all(type(each) is int for each in value)
    return value == "auto" or number or indices


def _is_batches(value: Any) -> bool:
    number = type(value) is int and value >= 0
    share = type(value) is float and 0 <= value <= 1
    return value is None or number or share


ABOVE_ZERO = Range("a number above 0", lambda value: type(value) in (int, float) and value > 0)
SHARE = Range("a number from 0 to below 1", lambda value: type(value) in (int, float) and 0 <= value < 1)
BATCHES = Range("a number of batches, a share of them such as 0.5, or null for all", _is_batches)
DEVICES = Range(f"auto, -1 for all, a number from 1 to {MAX_DEVICES}, or a list of GPUs such as [0,2]", _is_devices)
THREADS = Range("a whole number from 1 to 1,024, or null", lambda value: value is None or value in between(1, 1024))
AUTO_OR_BOOL = Range("auto, true or false", lambda value: value == "auto" or isinstance(value, bool))

RANGES = {
    "seed": between(0, 2**32 - 1),  # the seeds of numpy
    "threads": THREADS,
    "data.batch_size": between(1, MAX_IMAGES),
    "data.eval_batch_size": between(1, MAX_IMAGES),
    "data.val_size": between(0, MAX_IMAGES),
    "data.placement": one_of("auto", "device", "host"),
    "model.label_smoothing": SHARE,
    "optimizer.lr": ABOVE_ZERO,
    "photo": AUTO_OR_BOOL,
    "show": AUTO_OR_BOOL,
    "suite.photo": AUTO_OR_BOOL,
    "trainer.max_epochs": between(1, 1_000_000),
    "trainer.devices": DEVICES,
    "trainer.limit_train_batches": BATCHES,
    "trainer.limit_val_batches": BATCHES,
    "trainer.limit_test_batches": BATCHES,
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.precision": one_of(
        "32-true", "32", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "64", "bf16", "16"
    ),
}


def out_of_range(key: str, value: Any) -> str | None:
    """What is wrong with the value of a key, in one sentence. None where its range holds the value, or it has none."""
    allowed = RANGES.get(key)
    if allowed is None or value in allowed:
        return None
    return f"{key} is {allowed.description}, not {value!r}{did_you_mean(str(value), allowed.choices)}"


def too_many_processes(accelerator: Any, devices: Any) -> str | None:
    """What is wrong with `trainer.devices` on the processor, where each device is a process. None if nothing is."""
    most = max(2, os.cpu_count() or 1)
    if accelerator != "cpu" or type(devices) is not int or devices <= most:
        return None
    return f"trainer.devices is at most {most} on this machine's processor (a process for each core), not {devices}"

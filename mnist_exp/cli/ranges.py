"""Which values a key may have. Hydra does not know that a batch holds at least one image: this check does."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mnist_exp.data.named_sets import NAMED_SETS
from mnist_exp.suggestions import did_you_mean

MAX_IMAGES = 1_000_000  # in a batch or a validation set; MNIST has 70,000
MAX_DEVICES = 16  # of one machine: each is a process that takes about half a gigabyte
MAX_EPOCHS = 1_000_000
MAX_BATCHES = 1_000_000_000  # and steps
MAX_UNITS = 1_000_000  # of a layer


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

    def __or__(self, other: "Range") -> "Range":
        """The values of both."""
        return Range(f"{self.description}, or {other.description}", lambda value: value in self or value in other)

    def __repr__(self) -> str:
        return f"<Range: {self.description}>"


def between(least: int, most: int) -> Range:
    # type(), not isinstance(): in Python true is a whole number, too.
    return Range(
        f"a whole number from {least:,} to {most:,}", lambda value: type(value) is int and least <= value <= most
    )


def one_of(*names: str) -> Range:
    return Range(f"one of: {', '.join(names)}", lambda value: str(value) in names, choices=names)


def number(description: str, holds: Callable[[float], bool]) -> Range:
    """Whole numbers and others; never nan or an infinity."""
    return Range(description, lambda value: type(value) in (int, float) and math.isfinite(value) and holds(value))


def list_of(range_: Range, *, count: int | None = None) -> Range:
    """Lists whose items are in a range. count: how many they have; None for any number."""

    def holds(value: Any) -> bool:
        return isinstance(value, list) and count in (None, len(value)) and all(item in range_ for item in value)

    return Range(f"a list of {count or ''} items, each {range_.description}".replace("  ", " "), holds)


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d+:\d\d:\d\d:\d\d", value) is not None and value.strip("0:") != ""


NULL = Range("null", lambda value: value is None)
BOOL = Range("true or false", lambda value: isinstance(value, bool))
AUTO = Range("auto", lambda value: value == "auto")
NO_LIMIT = Range("-1 for no limit", lambda value: type(value) is int and value == -1)
ABOVE_ZERO = number("a number above 0", lambda value: value > 0)
AT_LEAST_ZERO = number("a number of at least 0", lambda value: value >= 0)
SHARE = number("a number from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE = number("a number from 0 to below 1", lambda value: 0 <= value < 1)
PART = Range("a share of them such as 0.5", lambda value: type(value) is float and 0 < value <= 1)
PART_OF_IMAGES = Range("a share of the images such as 0.1", lambda value: type(value) is float and 0 < value < 1)
NO_BATCHES = Range("0 for none", lambda value: type(value) in (int, float) and value == 0)
TRAIN_BATCHES = Range("a number of batches", lambda value: value in between(1, MAX_BATCHES)) | PART
ALL = Range("null for all", NULL.holds)
BATCHES = TRAIN_BATCHES | NO_BATCHES | ALL
DURATION = Range("days:hours:minutes:seconds such as 00:01:30:00", _is_duration)
DEVICES = (
    Range("auto, -1 for all", lambda value: value == "auto" or value in NO_LIMIT)
    | between(1, MAX_DEVICES)
    | Range(
        "a list of GPUs such as [0,2]",
        lambda value: value in list_of(between(0, 10_000)) and 1 <= len(value) <= MAX_DEVICES,
    )
)
DEVICE = one_of("auto", "cpu", "cuda", "mps") | Range(
    "a GPU by its number such as cuda:1", lambda value: re.fullmatch(r"cuda:\d+", str(value)) is not None
)
SEED = between(0, 2**32 - 1)  # the seeds of numpy
UNITS = between(1, MAX_UNITS)
THREADS = between(1, 1024) | NULL
AUTO_OR_BOOL = AUTO | BOOL
COUNT = between(0, MAX_BATCHES)

# The keys with a number, and those whose values are names that Lightning or this package would refuse late or not at
# all. tests/cli/test_ranges.py looks whether each number in conf/ is here.
RANGES = {
    "seed": SEED,
    "threads": THREADS,
    "matmul_precision": one_of("highest", "high", "medium"),
    "milestones": list_of(between(1, MAX_EPOCHS)),
    "data.seed": SEED,
    "data.dataset": one_of(*NAMED_SETS),
    "data.batch_size": between(1, MAX_IMAGES),
    "data.eval_batch_size": between(1, MAX_IMAGES),
    "data.val_size": between(0, MAX_IMAGES) | PART_OF_IMAGES | AUTO,
    "data.test_size": between(1, MAX_IMAGES) | PART_OF_IMAGES,
    "data.placement": one_of("auto", "device", "host"),
    "model.label_smoothing": BELOW_ONE,
    "model.block_images": between(0, MAX_IMAGES),
    "model.net.channels": list_of(UNITS),
    "model.net.hidden": UNITS | list_of(UNITS),
    "model.net.temperature": ABOVE_ZERO,
    "model.optimizer.lr": ABOVE_ZERO,
    "optimizer.lr": ABOVE_ZERO,
    "optimizer.betas": list_of(BELOW_ONE, count=2),
    "optimizer.momentum": BELOW_ONE,
    "optimizer.weight_decay": AT_LEAST_ZERO,
    "optimizer.batch_size": between(1, MAX_IMAGES),
    "optimizer.reference": between(1, MAX_IMAGES),
    "scheduler.warmup": SHARE,
    **{f"augment.{key}": AT_LEAST_ZERO for key in ("strength", "geometry", "elastic")},
    **{
        f"augment.{key}": SHARE for key in ("drawn", "unchanged", "stretch", "squeeze", "pen", "ink", "camera", "paper")
    },
    "trainer.num_nodes": between(1, 10_000),
    "trainer.devices": DEVICES,
    "trainer.max_epochs": between(1, MAX_EPOCHS) | NO_LIMIT,
    "trainer.min_epochs": between(1, MAX_EPOCHS) | NULL,
    "trainer.max_steps": between(1, MAX_BATCHES) | NO_LIMIT,
    "trainer.max_time": DURATION | NULL,
    "trainer.limit_train_batches": TRAIN_BATCHES | ALL,
    "trainer.limit_val_batches": BATCHES,
    "trainer.limit_test_batches": BATCHES,
    "trainer.overfit_batches": TRAIN_BATCHES | NO_BATCHES,
    "trainer.val_check_interval": TRAIN_BATCHES | NULL,
    "trainer.check_val_every_n_epoch": between(1, MAX_EPOCHS) | NULL,
    "trainer.accumulate_grad_batches": between(1, MAX_BATCHES),
    "trainer.gradient_clip_val": AT_LEAST_ZERO | NULL,
    "trainer.gradient_clip_algorithm": one_of("norm", "value"),
    "trainer.num_sanity_val_steps": COUNT | NO_LIMIT,
    "trainer.log_every_n_steps": COUNT,
    "trainer.fast_dev_run": BOOL | between(1, MAX_BATCHES),
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.precision": one_of(
        "32-true", "32", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "64", "bf16", "16"
    ),
    "callbacks.early_stopping.patience": COUNT,
    "callbacks.early_stopping.min_delta": AT_LEAST_ZERO,
    "callbacks.profile.skip": COUNT,
    "callbacks.profile.batches": between(1, MAX_BATCHES),
    **{
        f"suite.{place}{key}": range_
        for place in ("", "corruptions.")  # alone, and within suite=all
        for key, range_ in {"severity": between(0, 5), "seed": SEED, "every": between(1, MAX_IMAGES)}.items()
    },
    "dataset": one_of("auto", *NAMED_SETS),
    "columns": one_of("auto", "all", "kaggle"),
    "photo": AUTO_OR_BOOL,
    "show": AUTO_OR_BOOL | one_of("steps"),
    "suite.photo": AUTO_OR_BOOL,
    "device": DEVICE,
    "min_confidence": SHARE,
    "port": between(0, 65_535),
    "compare.margin": ABOVE_ZERO,
    "compare.epochs": list_of(between(1, MAX_EPOCHS)),
    **{
        f"bench.{key}": between(1, 1000)
        for key in ("repeats", "repeats_loop", "repeats_slow", "seeds", "example_epochs", "jobs")
    },
    "bench.example_seeds": between(0, 1000),
    "bench.scales": list_of(between(1, 1000)),
}

# Of these classes the limits above are known. A class of one's own judges its arguments itself.
KNOWN_CLASSES = ("mnist_exp.", "torch.", "pytorch_lightning.")

# Without these keys a class takes its own default. The other keys are read by this package or have a default that
# surprises: without trainer.max_epochs, Lightning trains 1,000 epochs.
REMOVABLE = ("callbacks.", "optimizer.", "scheduler.", "augment.", "logger.", "model.net.", "model.optimizer.", "hydra")


def out_of_range(key: str, value: Any) -> str | None:
    """What is wrong with the value of a key, in one sentence. None where its range holds the value, or it has none."""
    allowed = RANGES.get(key)
    if allowed is None or value in allowed:
        return None
    return f"{key} is {allowed.description}, not {value!r}{did_you_mean(str(value), allowed.choices)}"

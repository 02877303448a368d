"""Find run folders, read them, and say of each that cannot be compared why.

Folders may come from anywhere. Nothing in them stops the comparison of the others: `read_run` raises nothing.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.analysis.factors import all_settings, flatten
from mnist_exp.models.checkpoint_paths import runs_below
from mnist_exp.recipe import is_part_of_recipe
from mnist_exp.result import ADVICE, RESULT_FILE, ResultError, RunResult
from mnist_exp.suggestions import did_you_mean

PREDICTIONS_FILE = "predictions.npz"

# Limits on what is read. What `train` writes stays far below them.
LARGEST_RESULT = 50_000_000  # bytes of result.json
LARGEST_ARRAY = 100_000_000  # bytes of one array of predictions.npz, unpacked
MOST_SETTINGS = 2000  # in a configuration
MOST_FIGURES = 1000  # in one entry of metrics or history
DEEPEST_SETTING = 20  # levels of a configuration
LARGEST_INTEGER = 2**63 - 1  # what a column of the table holds


class Run(NamedTuple):
    """What a run folder holds.

    status: `finished`, or why the run does not count: `failed`, `interrupted`, `unfinished`, `unreadable`, `untested`
        or `repeated`.
    reason: a sentence; None for a finished run.
    result: None where there is none, or where it cannot be trusted.
    """

    status: str
    reason: str | None = None
    result: RunResult | None = None

    @property
    def ended(self) -> RunResult | None:
        """The result of a finished run, or of a failed one whose recipe is known."""
        counts = self.status == "finished" or (self.status == "failed" and self.result and self.result.config)
        return self.result if counts else None


class Predictions(NamedTuple):
    """A run's answers on its test set."""

    labels: NDArray[np.int64]  # (N,)
    preds: NDArray[np.int64]  # (N,)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.labels == self.preds


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run folders in and below `paths`, each once: they hold a result.json or Hydra's `.hydra/config.yaml`."""
    folders: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            if path.exists():
                raise ValueError(f"{path} is not a folder: give the folder of a run or of a sweep")
            siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            hint = did_you_mean(path.name, siblings) or ": check the path"
            raise ValueError(f"there is no folder {path}{hint}")
        found = {file.parent for file in path.rglob(RESULT_FILE)}
        found.update(runs_below(path))
        if not found:
            raise ValueError(
                f"no runs in {path}: python -m mnist_exp.train leaves them in outputs/runs and outputs/sweeps"
            )
        folders |= {folder.resolve(): folder for folder in sorted(found)}
    return list(folders.values())


def read_run(folder: Path) -> Run:
    """Reads result.json and checks all that a comparison uses, predictions.npz included. Raises nothing."""
    path = folder / RESULT_FILE
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST_RESULT):
            return Run("unreadable", f"cannot read {path}: it is no file of at most {LARGEST_RESULT:,} bytes. {ADVICE}")
        result = RunResult.read(folder)
        if result is None:
            return Run("unfinished", f"no {RESULT_FILE}: still running, or killed")
        if problem := next(problems(result), None):
            return Run("unreadable", f"cannot use {path}: {problem}. {ADVICE}")
    except (ResultError, OSError, MemoryError, RecursionError) as error:
        return Run("unreadable", str(error))
    if result.status != "finished":
        return Run(result.status, result.error or "no error was recorded", result)
    if result.metrics.get("test/acc") is None:
        return Run("untested", "finished without test/acc", result)
    try:
        read_predictions_file(folder)
    except ValueError as error:
        return Run("unreadable", str(error))
    return Run("finished", None, result)


def read_predictions_file(folder: Path) -> Predictions | None:
    """The answers of the run in `folder`, None where it left none. Raises ValueError where they cannot be used."""
    path = folder / PREDICTIONS_FILE
    if path.exists() and not path.is_file():
        raise ValueError(f"cannot read {path}: it is no file. {ADVICE}")
    try:
        with zipfile.ZipFile(path) as archive:
            if max(archive.getinfo(f"{name}.npy").file_size for name in Predictions._fields) > LARGEST_ARRAY:
                raise ValueError(f"an array has more than {LARGEST_ARRAY:,} bytes")
        with np.load(path) as arrays:
            labels, preds = (arrays[name] for name in Predictions._fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as e:
        raise ValueError(f"cannot read {path}: {e}. {ADVICE}") from e
    digits = all(
        each.ndim == 1 and each.dtype.kind in "iu" and np.isin(each, range(10)).all() for each in (labels, preds)
    )
    if not digits or len(labels) != len(preds) or not len(labels):
        raise ValueError(f"cannot use {path}: it does not hold a label and an answer, 0 to 9, for each image. {ADVICE}")
    return Predictions(labels, preds)


def mark_repeated(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Of runs with the same recipe and seed the newest finished one counts, else the newest failed one.

    The others are `repeated`.
    """

    def worth(run: tuple[str, RunResult]) -> tuple[bool, float]:
        folder, result = run
        return result.status == "finished", (Path(folder) / RESULT_FILE).stat().st_mtime

    marked, newest = dict(runs), dict[Any, str]()
    ended = [(folder, run.ended) for folder, run in runs.items() if run.ended]
    for folder, result in sorted(ended, key=worth):
        recipe = frozenset(each for each in all_settings(result.config).items() if is_part_of_recipe(each[0]))
        if earlier := newest.get((result.seed, recipe)):
            marked[earlier] = Run("repeated", f"run again as {folder}, which counts", runs[earlier].result)
        newest[result.seed, recipe] = folder
    return marked


# --- What makes a result unusable ------------------------------------------------------------------------------------


def problems(result: RunResult) -> Iterator[str]:
    """What keeps a result from being compared. `RunResult.read` has checked the fields; this checks what is in them."""
    yield from config_problems(result)
    if not all(isinstance(override, str) for override in result.overrides):
        yield "overrides are not all texts"
    yield from figure_problems("metrics", result.metrics)
    for name in ("history", "milestones"):
        for entry in getattr(result, name):
            if not isinstance(entry, dict) or not is_integer(entry.get("epoch")):
                yield f"an entry of {name} has no epoch: {shown(entry)}"
            else:
                yield from figure_problems(name, {key: value for key, value in entry.items() if "/" in key})
    yield from figure_problems("seconds", result.seconds)
    yield from figure_problems("result", {"images_per_second": result.images_per_second})
    if result.epoch is not None and not is_integer(result.epoch):
        yield f"epoch is {shown(result.epoch)}"
    texts = {"data.fingerprint": result.data.get("fingerprint")}
    texts |= {f"environment.{key}": result.environment.get(key) for key in ("device", "commit")}
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            yield f"{name} is no text but {shown(text)}"


def config_problems(result: RunResult) -> Iterator[str]:
    if not is_integer(result.seed):
        yield f"seed is {shown(result.seed)}, not a whole number from 0 to {LARGEST_INTEGER}"
    if (seed := result.config.get("seed", result.seed)) != result.seed:
        yield f"seed is {result.seed}, but {shown(seed)} in the configuration"
    if depth_of(result.config) > DEEPEST_SETTING:
        yield f"the configuration is nested more than {DEEPEST_SETTING} levels deep"
    elif sum(1 for _ in flatten(result.config)) > MOST_SETTINGS:
        yield f"the configuration has more than {MOST_SETTINGS} settings"


def figure_problems(where: str, figures: Mapping[str, Any]) -> Iterator[str]:
    """Figures are finite numbers, or None where nothing was measured. Accuracies are fractions; none is below 0."""
    if len(figures) > MOST_FIGURES:
        yield f"{where} has more than {MOST_FIGURES} entries"
    for name, value in figures.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
            yield f"{name} in {where} is no finite number: {shown(value)}"
        elif value < 0 or (name.endswith("/acc") and value > 1):
            yield f"{name} in {where} is out of range: {shown(value)}"


def is_integer(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_INTEGER


def is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an int beyond the range of a float
        return False


def depth_of(config: Any) -> int:
    """Levels of nesting in dicts and lists, counted no further than just beyond `DEEPEST_SETTING`."""
    level, depth = [config], 0
    while level and depth <= DEEPEST_SETTING:
        depth += 1
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    return depth


def shown(value: Any) -> str:
    return f"{value!r:.60}"

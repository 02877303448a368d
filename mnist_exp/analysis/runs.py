"""Read run folders into a `Study`: one table with a row for each run, grouped by recipe.

A run that cannot be used keeps its row, with its status and the reason; the comparison is of the others.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnist_exp.analysis.factors import as_text, find_factors, flatten
from mnist_exp.analysis.groups import label_groups, labels_spell_factors, settings_of
from mnist_exp.analysis.markdown import counted
from mnist_exp.analysis.reuse import reuse_equal_runs
from mnist_exp.recipe import is_part_of_recipe
from mnist_exp.result import RESULT_FILE, ResultError, RunResult
from mnist_exp.suggestions import did_you_mean

EPOCHS = "epochs"  # the factor that milestones make
PREDICTIONS_FILE = "predictions.npz"

# The columns of the table, beside the factors and the metrics (whose names have a slash).
WHICH_RUN = ["run", "status", "group"]
OUTCOME = ["seed", "test/acc", "val/acc"]
MEANS = ["epoch", "fit_seconds", "images_per_second", "device", "commit", "fingerprint", "borrowed_from", "error"]

# Limits for files that may come from anywhere. What `train` writes stays far below them.
LARGEST_RESULT = 50_000_000  # bytes of result.json
LARGEST_ARRAY = 100_000_000  # bytes of one array of predictions.npz, unpacked
MOST_SETTINGS = 2000  # in a configuration
MOST_FIGURES = 1000  # in one entry of metrics or history
DEEPEST_SETTING = 20  # levels of a configuration
LARGEST_INTEGER = 2**63 - 1  # what a column of the table holds


class Predictions(NamedTuple):
    """A run's answers on its test set."""

    labels: NDArray[np.int64]  # (N,)
    preds: NDArray[np.int64]  # (N,)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.labels == self.preds


@dataclass(frozen=True)
class Study:
    """Runs side by side.

    factors: the settings that tell the groups apart, as columns of `frame` (see factors.py).
    frame: a row for each run (for each run and epoch where milestones are compared): `run` is its folder, then
        `status`, `group`, the factors, `seed`, metrics, ... Only rows with the status `finished` were measured, and
        only they have a group. The other statuses are `failed`, `unfinished`, `unreadable`, `untested`, `repeated`
        and `borrowed`.
    results: the result.json of each finished run, by `run`.
    settings: all settings that differ, a row for each finished run (by `run`) and a column for each setting.
    epochs: the milestones that are compared, empty for the tested checkpoints.
    borrowing: a sentence for each factor across which runs were borrowed, or were not, and why.
    """

    factors: list[str]
    frame: pd.DataFrame
    results: dict[str, RunResult]
    settings: pd.DataFrame
    epochs: list[int] = field(default_factory=list)
    borrowing: list[str] = field(default_factory=list)

    @property
    def finished(self) -> pd.DataFrame:
        return self.frame[self.frame["status"] == "finished"]

    @property
    def label_factors(self) -> list[str]:
        """The factors that the groups' labels spell out. Empty where labels are short names: see `settings` then."""
        spelled_out = labels_spell_factors(self.factors, list(self.results.values()))
        return self.factors if spelled_out else []

    @property
    def groups(self) -> list[str]:
        """The labels of all groups, the highest mean test accuracy first."""
        means = self.finished.groupby("group", sort=False)["test/acc"].mean()
        return list(means.sort_values(ascending=False, kind="stable").index)

    @property
    def best(self) -> str:
        """The first group with several seeds, because a single seed may be lucky. Without such a group, the first."""
        return next((group for group in self.groups if len(self.of(group)) > 1), self.groups[0])

    def of(self, group: str) -> pd.DataFrame:
        """The rows of a group."""
        return self.finished[self.finished["group"] == group]

    def curves(self) -> pd.DataFrame:
        """A row for each run and epoch: group, run, epoch, val/acc, train/loss. Each run counts once, in one group."""
        once = self.finished.drop_duplicates("run", keep="last")
        rows = [
            {"group": group, "run": run} | {key: epoch.get(key) for key in ("epoch", "val/acc", "train/loss")}
            for group, run in zip(once["group"], once["run"], strict=True)
            for epoch in self.results[run].history
        ]
        frame = pd.DataFrame(rows, columns=["group", "run", "epoch", "val/acc", "train/loss"])
        return frame.astype({"val/acc": float, "train/loss": float})


def collect(paths: Sequence[Path], *, epochs: Sequence[int] = (), borrow: Sequence[str] = ()) -> Study:
    """All runs in and below `paths`.

    epochs: milestones to compare instead of the tested checkpoints. Several of them are a factor, `epochs`.
    borrow: factors across which a missing run may take the accuracy of an equal one (see reuse.py).

    Raises ValueError where a folder is missing, no run is finished, or a factor or epoch is unknown.
    """
    runs = mark_repeated({str(folder): read_run(folder) for folder in find_runs(paths)})
    results = {folder: run.result for folder, run in runs.items() if run.status == "finished" and run.result}
    if not results:
        reasons = "; ".join(f"{folder}: {run.reason or run.status}" for folder, run in runs.items())
        raise ValueError(f"of {counted(len(runs), 'run')} none is finished ({reasons[:500]})")

    configs = [result.config for result in results.values()]
    found = find_factors(configs, [result.overrides for result in results.values()])
    found = {f"config.{name}" if is_taken(name) else name: column for name, column in found.items()}
    levels = {run: {factor: column[index] for factor, column in found.items()} for index, run in enumerate(results)}
    rows: list[dict[str, Any]] = []
    for folder, run in runs.items():
        row = row_of(folder, run) | levels.get(folder, {})
        rows += milestone_rows(row, results[folder], epochs) if epochs and folder in results else [row]
    frame = pd.DataFrame(rows)
    if epochs and (frame["status"] != "finished").all():
        raise ValueError(no_such_milestone(epochs, list(results.values())))

    factors = [*found, *([EPOCHS] if len(epochs) > 1 else [])]
    measured = frame["status"] == "finished"
    columns = {factor: tuple(frame.loc[measured, factor]) for factor in factors}
    frame["group"] = None
    frame.loc[measured, "group"] = label_groups(columns, [results[run] for run in frame.loc[measured, "run"]])
    borrowing: list[str] = []
    for factor in borrow:
        check_factor(factor, factors)
        others = [each for each in factors if each != factor]
        borrowed, sentences = reuse_equal_runs(frame[frame["status"] == "finished"], factor, others, results)
        frame, borrowing = pd.concat([frame, borrowed], ignore_index=True), borrowing + sentences
    settings = pd.DataFrame(settings_of(configs), index=list(results))
    return Study(factors, order_columns(frame, factors), results, settings, list(epochs), borrowing)


# --- Folders ---------------------------------------------------------------------------------------------------------


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run folders in and below `paths`, each once: they hold a result.json or Hydra's `.hydra/config.yaml`."""
    folders: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            raise ValueError(f"there is no folder {path}{did_you_mean(path.name, siblings)}")
        found = {file.parent for file in path.rglob(RESULT_FILE)}
        found |= {file.parent.parent for file in path.rglob(".hydra/config.yaml")}
        if not found:
            raise ValueError(
                f"no runs in {path}: python -m mnist_exp.train leaves them in outputs/runs and outputs/sweeps"
            )
        folders |= {folder.resolve(): folder for folder in sorted(found)}
    return list(folders.values())


class Run(NamedTuple):
    """What a run folder holds. reason: why the run cannot be compared, None if it can."""

    status: str
    reason: str | None = None
    result: RunResult | None = None  # None where there is none, or where it cannot be trusted


def read_run(folder: Path) -> Run:
    """Reads result.json and checks all that a comparison uses, predictions.npz included. Raises nothing."""
    path = folder / RESULT_FILE
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST_RESULT):
            return Run("unreadable", f"{path} is no file of at most {LARGEST_RESULT:,} bytes")
        result = RunResult.read(folder)
        if result is None:
            return Run("unfinished", f"no {RESULT_FILE}: still running, or killed")
        if problem := next(problems(result), None):
            return Run("unreadable", f"{path}: {problem}")
    except (ResultError, OSError, MemoryError, RecursionError) as error:
        return Run("unreadable", str(error))
    if result.status == "failed":
        return Run("failed", result.error or "no error was recorded", result)
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
        raise ValueError(f"{path} is no file: move the folder away")
    try:
        with zipfile.ZipFile(path) as archive:
            if max(archive.getinfo(f"{name}.npy").file_size for name in Predictions._fields) > LARGEST_ARRAY:
                raise ValueError(f"an array has more than {LARGEST_ARRAY:,} bytes")
        with np.load(path) as arrays:
            labels, preds = (arrays[name] for name in Predictions._fields)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as e:
        raise ValueError(f"{path} cannot be read ({e}). Run it again (overwrite=true), or move the folder away") from e
    digits = all(
        each.ndim == 1 and each.dtype.kind in "iu" and np.isin(each, range(10)).all() for each in (labels, preds)
    )
    if not digits or len(labels) != len(preds) or not len(labels):
        raise ValueError(f"{path} does not hold a digit and an answer for each test image: move the folder away")
    return Predictions(labels, preds)


def mark_repeated(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Of finished runs with the same recipe and seed only the newest stays `finished`; the others are `repeated`."""
    marked, newest = dict(runs), dict[Any, str]()
    finished = [folder for folder, run in runs.items() if run.status == "finished"]
    for folder in sorted(finished, key=lambda folder: (Path(folder) / RESULT_FILE).stat().st_mtime):
        result = runs[folder].result
        assert result is not None, "a finished run has a result"
        recipe = frozenset(setting for setting in flatten(result.config) if is_part_of_recipe(setting[0]))
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


# --- Rows of the table -----------------------------------------------------------------------------------------------


def row_of(folder: str, run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"run": folder, "status": run.status, "error": run.reason}
    if (result := run.result) is None:
        return row
    commit = result.environment.get("commit")
    return row | {
        "seed": result.seed,
        **{key: value for key, value in result.metrics.items() if "/" in key},
        "epoch": result.epoch,
        "fit_seconds": result.seconds.get("fit"),
        "images_per_second": result.images_per_second or None,
        "device": result.environment.get("device"),
        "commit": commit[:12] + ("+changes" if result.environment.get("dirty") else "") if commit else None,
        "fingerprint": result.data.get("fingerprint"),
    }


def milestone_rows(row: Mapping[str, Any], result: RunResult, epochs: Sequence[int]) -> list[dict[str, Any]]:
    """The run's row once for each epoch, with what was measured right after it.

    `fit_seconds` is left out, because it is the time of the whole run.
    """
    tested = {entry["epoch"]: entry for entry in result.milestones}
    trained = {entry["epoch"]: entry for entry in result.history}
    rows = []
    for epoch in epochs:
        measured = trained.get(epoch, {}) | tested.get(epoch, {})
        metrics = dict.fromkeys(result.metrics) | {key: value for key, value in measured.items() if "/" in key}
        each = {**row, **metrics, "fit_seconds": None, "epoch": epoch, EPOCHS: str(epoch)}
        if metrics.get("test/acc") is None or epoch not in tested:
            each |= {"status": "untested", "error": f"was not tested after epoch {epoch}"}
        rows.append(each)
    return rows


def no_such_milestone(epochs: Sequence[int], results: Sequence[RunResult]) -> str:
    known = sorted({entry["epoch"] for result in results for entry in result.milestones})
    advice = f", only after {known}" if known else ". Train with milestones=[...] to test on the way"
    return f"compare.epochs={list(epochs)}: no run was tested after these epochs{advice}"


def order_columns(frame: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The columns in the order of a reader's questions: which run, what it was, what came out, by what means."""
    first = [*WHICH_RUN, *factors, *OUTCOME]
    metrics = sorted(key for key in map(str, frame) if "/" in key and key not in first)
    frame = frame.reindex(columns=[*first, *metrics, *MEANS])
    return frame.astype({"seed": "Int64", "epoch": "Int64"})


def is_taken(name: str) -> bool:
    """Whether a factor of this name would hide another column of the table."""
    return name in (*WHICH_RUN, *OUTCOME, *MEANS, EPOCHS) or "/" in name


# --- What the user asks for ------------------------------------------------------------------------------------------


def check_factor(name: str, factors: Sequence[str]) -> None:
    """Raises ValueError where the runs do not differ in `name`."""
    if name not in factors:
        among = f"; they differ in: {', '.join(factors)}" if factors else ": they differ in nothing but their seeds"
        raise ValueError(f"the runs do not differ in {name!r}{did_you_mean(name, factors)}{among}")


def check_level(factor: str, level: Any, study: Study) -> str:
    """The level as text. Raises ValueError where no run has it."""
    known = sorted({str(each) for each in study.frame[factor].dropna()})
    if (text := as_text(level)) not in known:
        raise ValueError(
            f"no run has {factor}={text}{did_you_mean(text, known)} ({factor} is one of: {', '.join(known)})"
        )
    return text

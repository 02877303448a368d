"""Gather runs into a `Study`: one table with a row for each run, grouped by recipe.

A run that cannot be used keeps its row, with its status and the reason; the comparison is of the others. A failed run
is counted in its group, because the mean of the survivors alone flatters a recipe with which other runs diverge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mnist_exp.analysis.factors import Levels, as_text, find_factors
from mnist_exp.analysis.groups import label_groups, labels_spell_factors, settings_of
from mnist_exp.analysis.markdown import counted
from mnist_exp.analysis.reuse import reuse_equal_runs
from mnist_exp.analysis.run_folders import Run, find_runs, mark_repeated, read_run
from mnist_exp.result import RunResult
from mnist_exp.suggestions import did_you_mean

EPOCHS = "epochs"  # the factor that milestones make

# The columns of the table, beside the factors and the metrics (whose names have a slash).
WHICH_RUN = ["run", "status", "group"]
OUTCOME = ["seed", "test/acc", "val/acc"]
MEANS = ["epoch", "fit_seconds", "images_per_second", "device", "commit", "fingerprint", "borrowed_from", "error"]


class Tested(NamedTuple):
    """A run, by its folder, and its test accuracy."""

    run: str
    accuracy: float


@dataclass(frozen=True)
class Study:
    """Runs side by side.

    factors: the settings that tell the groups apart, as columns of `frame` (see factors.py).
    frame: a row for each run (for each run and epoch where milestones are compared): `run` is its folder, then
        `status`, `group`, the factors, `seed`, metrics, ... Only rows with the status `finished` were measured. They
        have a group, and so have `failed` ones whose recipe is known. The other statuses are `interrupted`,
        `unfinished`, `unreadable`, `untested`, `repeated` and `borrowed`.
    results: the result.json of each run that is finished or failed, by `run`.
    settings: all settings that differ, a row for each of these runs (by `run`) and a column for each setting.
    epochs: the milestones that are compared, empty for the tested checkpoints.
    borrowing: a sentence for each factor across which runs were borrowed, or were not, and why.
    """

    factors: list[str]
    frame: pd.DataFrame
    results: dict[str, RunResult]
    settings: pd.DataFrame = field(default_factory=pd.DataFrame)
    epochs: list[int] = field(default_factory=list)
    borrowing: list[str] = field(default_factory=list)

    @cached_property
    def finished(self) -> pd.DataFrame:
        return self.frame[self.frame["status"] == "finished"]

    @cached_property
    def label_factors(self) -> list[str]:
        """The factors that the groups' labels spell out. Empty where labels are short names: see `settings` then."""
        spelled_out = labels_spell_factors(self.factors, list(self.results.values()))
        return self.factors if spelled_out else []

    @cached_property
    def groups(self) -> list[str]:
        """The labels of the groups with a finished run, the highest mean test accuracy first."""
        means = self.finished.groupby("group", sort=False)["test/acc"].mean()
        return list(means.sort_values(ascending=False, kind="stable").index)

    @cached_property
    def best(self) -> str:
        """The first group with several seeds, because a single seed may be lucky. Without such a group, the first."""
        return next((group for group in self.groups if len(self.of(group)) > 1), self.groups[0])

    @cached_property
    def failed_groups(self) -> list[str]:
        """The labels of the groups whose runs all failed."""
        labels = self.frame["group"].dropna().unique()
        return [label for label in labels if label not in self.groups]

    def failures(self, group: str) -> pd.DataFrame:
        """The rows of a group's failed runs, a run once."""
        failed = self.frame[(self.frame["group"] == group) & (self.frame["status"] == "failed")]
        return failed.drop_duplicates("run")

    @cached_property
    def by_seed(self) -> dict[str, dict[int, Tested]]:
        """The finished runs of each group, by seed."""
        runs: dict[str, dict[int, Tested]] = {group: {} for group in self.groups}
        columns = self.finished[["group", "seed", "run", "test/acc"]]
        for group, seed, run, accuracy in columns.itertuples(index=False, name=None):
            runs[group][seed] = Tested(run, accuracy)
        return runs

    def of(self, group: str) -> pd.DataFrame:
        """The rows of a group's finished runs."""
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
    results = {folder: run.ended for folder, run in runs.items() if run.ended}
    if not any(result.status == "finished" for result in results.values()):
        reasons = "; ".join(f"{folder}: {run.reason}" for folder, run in runs.items())
        raise ValueError(f"of {counted(len(runs), 'run')} none is finished ({reasons[:500]})")

    columns = factors_of(list(results.values()))
    levels = dict(zip(results, zip(*columns.values(), strict=True), strict=True)) if columns else {}
    frame = table_of(runs, {run: dict(zip(columns, each, strict=True)) for run, each in levels.items()}, epochs)
    if epochs and (frame["status"] != "finished").all():
        raise ValueError(no_such_milestone(epochs, list(results.values())))

    factors = [*columns, *([EPOCHS] if len(epochs) > 1 else [])]
    grouped = frame["status"].isin(["finished", "failed"]) & frame["run"].isin(results)
    levels_by_factor = {factor: tuple(frame.loc[grouped, factor]) for factor in factors}
    frame["group"] = None
    frame.loc[grouped, "group"] = label_groups(levels_by_factor, [results[run] for run in frame.loc[grouped, "run"]])

    borrowing: list[str] = []
    for factor in borrow:
        check_factor(factor, factors)
        others = [each for each in factors if each != factor]
        borrowed, sentences = reuse_equal_runs(frame[frame["status"] == "finished"], factor, others, results)
        frame, borrowing = pd.concat([frame, borrowed], ignore_index=True), borrowing + sentences

    settings = pd.DataFrame(settings_of([result.config for result in results.values()]), index=list(results))
    return Study(factors, order_columns(frame, factors), results, settings, list(epochs), borrowing)


# --- The table -------------------------------------------------------------------------------------------------------


def factors_of(results: Sequence[RunResult]) -> dict[str, Levels]:
    """The factors, none of which has the name of another column of the table."""
    factors = find_factors([result.config for result in results], [result.overrides for result in results])
    taken = (*WHICH_RUN, *OUTCOME, *MEANS, EPOCHS)
    return {f"config.{name}" if name in taken or "/" in name else name: column for name, column in factors.items()}


def table_of(runs: Mapping[str, Run], levels: Mapping[str, Mapping[str, str]], epochs: Sequence[int]) -> pd.DataFrame:
    """A row for each run, or for each run and epoch where milestones are compared. levels: of each factor, by run."""
    rows: list[dict[str, Any]] = []
    for folder, run in runs.items():
        row = row_of(folder, run) | dict(levels.get(folder, {}))
        if not epochs or run.ended is None:
            rows.append(row)
        elif run.status == "finished":
            rows += milestone_rows(row, run.ended, epochs)
        else:
            rows += [{**row, EPOCHS: str(epoch)} for epoch in epochs]
    return pd.DataFrame(rows)


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

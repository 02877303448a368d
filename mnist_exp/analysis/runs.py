"""The runs of a study as one table: found, read, grouped by what differs between them, and lent where that is safe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_exp.analysis.factors import as_text, find_factors, flatten
from mnist_exp.analysis.markdown import counted
from mnist_exp.analysis.reuse import borrowed
from mnist_exp.recipe import is_part_of_recipe
from mnist_exp.result import RESULT_FILE, RunResult
from mnist_exp.suggestions import did_you_mean

EPOCHS = "epochs"  # the factor that milestones make


@dataclass(frozen=True)
class Study:
    """Runs side by side.

    frame: a row per run (per run and epoch with `epochs`): `run` is its folder, then `status`, `group`, the factors,
        `seed`, metrics, ... Only rows with status `finished` were measured, and only they have a group; the others
        are failed, unfinished, repeated, or borrowed.
    results: the content of each result.json, by `run`.
    """

    factors: list[str]
    frame: pd.DataFrame
    results: dict[str, dict[str, Any]]
    epochs: list[int] = field(default_factory=list)
    lending: list[str] = field(default_factory=list)  # what was borrowed, what was not, and why

    @property
    def finished(self) -> pd.DataFrame:
        return self.frame[self.frame["status"] == "finished"]

    @property
    def groups(self) -> list[str]:
        """The labels of all groups, the highest mean test accuracy first."""
        means = self.finished.groupby("group", sort=False)["test/acc"].mean()
        return list(means.sort_values(ascending=False, kind="stable").index)

    @property
    def best(self) -> str:
        """The first of the groups with several seeds; of all where each has but one: a lucky seed is no rank."""
        return next((group for group in self.groups if len(self.of(group)) > 1), self.groups[0])

    def of(self, group: str) -> pd.DataFrame:
        return self.finished[self.finished["group"] == group]

    def curves(self) -> pd.DataFrame:
        """A row per run and epoch: group, run, epoch, val/acc, train/loss. A run's milestones share its one curve."""
        once = self.finished.drop_duplicates("run", keep="last")
        rows = [
            {"group": group, "run": run} | {key: epoch.get(key) for key in ("epoch", "val/acc", "train/loss")}
            for group, run in zip(once["group"], once["run"], strict=True)
            for epoch in self.results[run]["history"]
        ]
        frame = pd.DataFrame(rows, columns=["group", "run", "epoch", "val/acc", "train/loss"])
        return frame.astype({"val/acc": float, "train/loss": float})


def collect(paths: Sequence[Path], *, epochs: Sequence[int] = (), borrow: Sequence[str] = ()) -> Study:
    """All runs in and below `paths`.

    epochs: milestones to compare instead of the tested checkpoints, as a factor `epochs`.
    borrow: factors across which a missing run's accuracy may be taken from an equal one (see borrow.py).

    Raises ValueError where there is no finished run, a file cannot be read, or a name is unknown.
    """
    results = {str(folder): read_run(folder) for folder in find_runs(paths)}
    mark_repeated(results)
    finished = {run: result for run, result in results.items() if result["status"] == "finished"}
    if not finished:
        states = "; ".join(f"{run}: {result.get('error', result['status'])}" for run, result in results.items())
        raise ValueError(f"of {counted(len(results), 'run')} none is finished ({states[:500]})")
    found = find_factors(
        [each["config"] for each in finished.values()], [each["overrides"] for each in finished.values()]
    )
    levels = {run: {factor: found[factor][index] for factor in found} for index, run in enumerate(finished)}
    rows: list[dict[str, Any]] = [
        row
        for run, result in results.items()
        for row in (milestone_rows(run, result, epochs) if epochs and run in finished else [row_of(run, result)])
    ]
    frame = pd.DataFrame([row | levels.get(row["run"], {}) for row in rows])
    if epochs and (frame["status"] != "finished").all():
        known = sorted({each["epoch"] for result in finished.values() for each in result.get("milestones", [])})
        raise ValueError(
            f"compare.epochs={list(epochs)}: no run was tested after these epochs"
            + (f", only after {known}" if known else "; train with milestones=[...] to have it tested on the way")
        )
    factors = [*found, *([EPOCHS] if len(epochs) > 1 else [])]
    frame["group"] = [label(row, factors, results[row["run"]]) for _, row in frame.iterrows()]
    lending: list[str] = []
    for factor in borrow:
        check_factor(factor, factors)
        others = [each for each in factors if each != factor]
        lent, said = borrowed(frame[frame["status"] == "finished"], factor, others, results)
        frame, lending = pd.concat([frame, lent], ignore_index=True), lending + said
    return Study(factors, ordered(frame, factors), results, list(epochs), lending)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The folders in and below `paths` that a run left: finished ones have a result, all have Hydra's `.hydra`."""
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


def read_run(folder: Path) -> dict[str, Any]:
    """The run's result; a run without one is unfinished."""
    result = RunResult.read(folder)
    if result is None:
        return {"status": "unfinished", "error": "no result.json: still running, or killed"}
    if result.status == "finished" and "test/acc" not in result.metrics:
        return result.to_dict() | {"status": "untested", "error": "finished without test/acc"}
    return result.to_dict()


def mark_repeated(results: dict[str, dict[str, Any]]) -> None:
    """Of finished runs with the same configuration and seed, all but the newest are marked as repeated."""
    finished = [run for run, result in results.items() if result["status"] == "finished"]
    newest: dict[Any, str] = {}
    for run in sorted(finished, key=lambda run: (Path(run) / RESULT_FILE).stat().st_mtime):
        leaves = flatten(results[run]["config"])
        key = results[run]["seed"], frozenset(leaf for leaf in leaves if is_part_of_recipe(leaf[0]))
        if earlier := newest.get(key):
            results[earlier] |= {"status": "repeated", "error": f"run again as {run}, which counts"}
        newest[key] = run


def row_of(run: str, result: Mapping[str, Any]) -> dict[str, Any]:
    environment, seconds = result.get("environment", {}), result.get("seconds", {})
    return {
        "run": run,
        "status": result["status"],
        "seed": result.get("seed"),
        **result.get("metrics", {}),
        "epoch": result.get("epoch"),
        "fit_seconds": seconds.get("fit"),
        "images_per_second": result.get("images_per_second"),
        "device": environment.get("device"),
        "commit": environment.get("commit", "")[:12] + ("+changes" if environment.get("dirty") else "") or None,
        "fingerprint": result.get("data", {}).get("fingerprint"),
        "error": result.get("error"),
    }


def milestone_rows(run: str, result: Mapping[str, Any], epochs: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each epoch: what that run measured right after it. The time is that of the whole run: left out."""
    tested = {each["epoch"]: each for each in result.get("milestones", [])}
    trained = {each["epoch"]: each for each in result["history"]}
    row = row_of(run, result) | {"fit_seconds": None}
    rows = []
    for epoch in epochs:
        here = {key: value for key, value in (trained.get(epoch, {}) | tested.get(epoch, {})).items() if "/" in key}
        absent = dict.fromkeys(result["metrics"])
        lost = {} if epoch in tested else {"status": "untested", "error": f"was not tested after epoch {epoch}"}
        rows.append(row | absent | here | {"epoch": epoch, EPOCHS: str(epoch)} | lost)
    return rows


def label(row: "pd.Series[Any]", factors: Sequence[str], result: Mapping[str, Any]) -> str | None:
    """Such as `data=csv model=mlp`; where nothing differs, the run's name."""
    if row["status"] != "finished":
        return None
    return " ".join(f"{factor}={row[factor]}" for factor in factors) or result.get("name", "all runs")


def check_factor(name: str, factors: Sequence[str]) -> None:
    if name not in factors:
        among = f"; they differ in: {', '.join(factors)}" if factors else ": they differ in nothing but their seeds"
        raise ValueError(f"the runs do not differ in {name!r}{did_you_mean(name, factors)}{among}")


def check_level(factor: str, level: Any, study: Study) -> str:
    known = sorted({str(each) for each in study.frame[factor].dropna()})
    if (text := as_text(level)) not in known:
        raise ValueError(
            f"no run has {factor}={text}{did_you_mean(text, known)} ({factor} is one of: {', '.join(known)})"
        )
    return text


def ordered(frame: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Columns in the order of the question: which run, what it was, what came out, by what means."""
    first = ["run", "status", "group", *factors, "seed", "test/acc", "val/acc"]
    last = ["epoch", "fit_seconds", "images_per_second", "device", "commit", "fingerprint", "borrowed_from", "error"]
    metrics = sorted(key for key in map(str, frame) if "/" in key and key not in first)
    frame = frame.reindex(columns=[*first, *metrics, *last])
    return frame.astype({"seed": "Int64", "epoch": "Int64"})

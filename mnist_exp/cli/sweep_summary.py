"""The end of a sweep on the screen: a table with a row for each job, what went wrong, and the next command."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnist_exp.cli.folder_names import tells_apart
from mnist_exp.cli.overrides import OverrideError
from mnist_exp.cli.resumed_run import OVERRIDES, read_overrides
from mnist_exp.models.checkpoint_paths import runs_below
from mnist_exp.result import ResultError, RunResult
from mnist_exp.training.command_line import command_line
from mnist_exp.training.run_lock import holder_of

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"finished": "green", "failed": "red", "unreadable": "red"}
METRICS = ("val/acc", "test/acc")
CLOCKS_DIFFER = 1.0  # seconds by which a file system may round its times


def close_sweep(sweep_dir: Path, *, since: float, planned: Collection[str] = (), command: str = "") -> int:
    """Print a row for each job in `sweep_dir`, those of earlier starts included, and what is still to be done.

    since: a time.time(). planned: the folders of this sweep's jobs. command: what starts the sweep again.

    Returns the exit status: 1 if a job that started after `since` did not finish, otherwise 0.
    """
    from rich.console import Console

    jobs = sorted(runs_below(sweep_dir), key=by_values)
    results = {job: read_job(job) for job in jobs}
    print_summary(Console(), sweep_dir, results)
    done = sum(results[job].status == "finished" for job in jobs if job.name in planned)
    if done < len(planned):
        print(f"{done} of {len(planned)} done, the same command goes on:\n  {command}")
    unfinished = [job for job, (status, *_) in results.items() if status not in ("finished", "running")]
    return 1 if any(started_at(job) >= since - CLOCKS_DIFFER for job in unfinished) else 0


def overrides_of(job: Path) -> list[str]:
    """What tells a job from the others: the overrides that it was started with, sorted. Or else its folder's name."""
    try:
        typed = read_overrides(job / OVERRIDES)
    except OverrideError:
        typed = []
    return sorted(each for each in typed if tells_apart(each)) or job.name.split(",")  # the folders of version 0.1


def by_values(job: Path) -> list[tuple[str, bool, float, str]]:
    """A sort key for the folders of jobs: numbers by their value, so that batch_size=64 comes before batch_size=256."""
    found = []
    for override in overrides_of(job):
        key, _, value = override.partition("=")
        is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.IGNORECASE) is not None
        found.append((key, not is_number, float(value) if is_number else 0.0, value))
    return found


class Job(NamedTuple):
    """What a job's folder tells.

    status: `finished`, `failed`, `interrupted`, `running` (in another process), `unfinished` (killed) or `unreadable`.
    note: the error, or who runs it. None for a finished job.
    """

    status: str
    note: str | None = None
    result: RunResult | None = None


def read_job(folder: Path) -> Job:
    if holder := holder_of(folder):
        return Job("running", f"running elsewhere, {holder}")
    try:
        result = RunResult.read(folder)
    except ResultError as error:
        return Job("unreadable", str(error))
    return Job(result.status, result.error, result) if result else Job("unfinished")


def started_at(job: Path) -> float:
    return (job / ".hydra" / "config.yaml").stat().st_mtime


def print_summary(console: "Console", sweep_dir: Path, results: dict[Path, Job]) -> None:
    """Folder, table, errors and the next command. What comes from files is Text, in which rich reads no markup."""
    from rich.table import Table
    from rich.text import Text

    names = {job: overrides_of(job) for job in results}
    common = set.intersection(*map(set, names.values())) if len(names) > 1 else set()
    labels = {job: " ".join(each for each in overrides if each not in common) for job, overrides in names.items()}
    table = Table()
    table.add_column("job", overflow="fold")
    for column in ("status", *METRICS, "seconds"):
        table.add_column(column, justify="right")
    for job, (status, _, result) in results.items():
        metrics = result.metrics if result else {}
        seconds = result.seconds if result else {}
        table.add_row(
            Text(labels[job]),
            Text(status, style=COLOURS.get(status, "yellow")),
            *(f"{metrics[key]:.4f}" if key in metrics else "" for key in METRICS),
            f"{seconds['fit']:.1f}" if "fit" in seconds else "",
        )
    console.print(Text(f"\nsweep folder:\n  {sweep_dir}"), soft_wrap=True)
    if common:
        console.print(Text(f"in all jobs:\n  {' '.join(sorted(common))}"), soft_wrap=True)
    console.print(table)
    for job, (status, note, _) in results.items():
        if note:
            console.print(Text(f"{labels[job]}: {note}", style=COLOURS.get(status, "yellow")), soft_wrap=True)
    if any(job.status == "finished" for job in results.values()):
        next_command = command_line("mnist_exp.compare", runs=sweep_dir)
        console.print(Text(f"compare the runs:\n  {next_command}"), soft_wrap=True)

"""The end of a sweep: a table of all its jobs."""

from pathlib import Path

from mnist_exp.result import ResultError, RunResult

COLOURS = {"finished": "green", "failed": "red"}


def close_sweep(sweep_dir: Path, *, since: float) -> int:
    """Prints a row for each job in `sweep_dir`, those of earlier starts included.

    Returns the exit status: 1 if a job started after `since` (a time.time()) did not finish.
    """
    from rich.console import Console
    from rich.table import Table

    jobs = sorted(config.parent.parent for config in sweep_dir.glob("*/.hydra/config.yaml"))
    named = [job.name.split(",") for job in jobs]
    common = set.intersection(*map(set, named)) if len(jobs) > 1 else set()
    table = Table(title=f"{sweep_dir}  {' '.join(sorted(common))}", title_justify="left")
    table.add_column("job", overflow="fold")
    for column in ("status", "val/acc", "test/acc", "seconds"):
        table.add_column(column, justify="right")
    unfinished = 0
    for job, overrides in zip(jobs, named, strict=True):
        status, result = read_job(job)
        metrics = result.metrics if result else {}
        table.add_row(
            " ".join(override for override in overrides if override not in common),
            f"[{COLOURS.get(status, 'yellow')}]{status}",
            *(f"{metrics[key]:.4f}" if key in metrics else "" for key in ("val/acc", "test/acc")),
            f"{result.seconds['fit']:.1f}" if result and "fit" in result.seconds else "",
        )
        if result and result.error:
            table.add_row(f"  [red]{result.error}")
        started = (job / ".hydra" / "config.yaml").stat().st_mtime >= since - 1  # file systems round their times
        unfinished += status != "finished" and started
    Console().print(table)
    return 1 if unfinished else 0


def read_job(job: Path) -> tuple[str, RunResult | None]:
    """The status of a job and its result; none where it has none, or one that cannot be read."""
    try:
        result = RunResult.read(job)
    except ResultError:
        return "unreadable", None
    return (result.status, result) if result else ("unfinished", None)

"""The end of a sweep: a table of all its jobs."""

from pathlib import Path

from mnist_exp.result import read_result

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
        result = read_result(job) or {"status": "unfinished"}
        status, metrics = result["status"], result.get("metrics", {})
        table.add_row(
            " ".join(override for override in overrides if override not in common),
            f"[{COLOURS.get(status, 'yellow')}]{status}",
            *(f"{metrics[key]:.4f}" if key in metrics else "" for key in ("val/acc", "test/acc")),
            f"{result['seconds']['fit']:.1f}" if "seconds" in result else "",
        )
        if "error" in result:
            table.add_row(f"  [red]{result['error']}")
        started = (job / ".hydra" / "config.yaml").stat().st_mtime >= since - 1  # file systems round their times
        unfinished += status != "finished" and started
    Console().print(table)
    return 1 if unfinished else 0

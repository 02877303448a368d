"""What time and memory a run takes, beside what people would use instead: contenders in turn, in one go.

    make bench                                                       # all of it
    python -m scripts.bench bench.only=[loop,csv] bench.repeats=3

Writes outputs/bench/<date>_<time>.json and .md. A missed target is reported; the exit status is 1 only where a section
failed.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command
from mnist_exp.files import atomic_write, write_json
from mnist_exp.suggestions import did_you_mean
from scripts.bench import processes, training
from scripts.bench.measure import Row, machine, say

if TYPE_CHECKING:
    from omegaconf import DictConfig

Section = Callable[["DictConfig"], Iterator[Row]]

SECTIONS: dict[str, Section] = {
    "loop": training.loop,
    "stock": training.stock,
    "to_99": training.to_99,
    "csv": processes.csv,
    "start": processes.start,
    "sweep": processes.sweep,
    "scale": processes.scale,
    "gpu": training.gpu,
}


@dataclass
class Report:
    """What was measured so far.

    failed: sections that came to no end, and why.
    """

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def chosen(only: str | Sequence[str] | None) -> list[str]:
    """The sections to run, in their own order. Raises ValueError for one that there is not."""
    names = list(SECTIONS) if only is None else [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in SECTIONS:
            hint = did_you_mean(str(name), SECTIONS)
            raise ValueError(f"bench.only has no section {name!r}{hint} (it is one or more of: {', '.join(SECTIONS)})")
    return [name for name in SECTIONS if name in names]


def measure(report: Report, name: str, section: Section, cfg: "DictConfig") -> None:
    """Adds the rows of one section as they come; a failure ends the section and is noted."""
    started = time.perf_counter()
    try:
        for row in section(cfg):
            report.rows.append(row)
            say("  ".join(part for part in cells(row) if part))
    except Exception as error:
        report.failed[name] = f"{type(error).__name__}: {error}"
        say(f"{name} failed: {report.failed[name]}")
    report.seconds[name] = time.perf_counter() - started


def write(report: Report, path: Path) -> None:
    """path: without its suffix; .json and .md are added."""
    write_json(path.with_suffix(".json"), asdict(report))
    with atomic_write(path.with_suffix(".md")) as partial:
        partial.write_text(markdown(report), encoding="utf-8")


# ---- the table ----

COLUMNS = ("section", "what", "contender", "n", "median", "range", "ours / theirs", "target", "met", "note")


def markdown(report: Report) -> str:
    found = report.machine
    source = f"commit {str(found['commit'])[:10] or 'unknown'}{' (dirty)' if found['dirty'] else ''}"
    header = (
        f"{found['date']}: {found['cpu']}, {found['cores']} cores, {found['gpu'] or 'no GPU'}, "
        f"{found['threads']} threads, torch {found['torch']}, {source}."
    )
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    lines = [header, f"Sections took: {took}.", "", line(COLUMNS), line(["---"] * len(COLUMNS))]
    lines += [line(cells(row)) for row in report.rows]
    lines += [f"\n**{name} failed**: {message}" for name, message in report.failed.items()]
    return "\n".join(lines) + "\n"


def line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in texts)} |"


def cells(row: Row) -> list[str]:
    """Of one row, in the order of COLUMNS; empty where there is nothing to say."""
    low_to_high = f"{number(row.low)} to {number(row.high)}" if row.n > 1 else ""
    return [
        row.section,
        row.what,
        row.contender,
        str(row.n),
        "" if row.median is None else f"{number(row.median)} {row.unit}",
        low_to_high,
        "" if row.ratio is None else f"{row.ratio:.3f}",
        "" if row.target is None else f"<= {row.target:.4g}{'' if row.ratio is not None else ' ' + row.unit}",
        {None: "", True: "met", False: "**missed**"}[row.met],
        row.note,
    ]


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# ---- the command ----


def bench(cfg: "DictConfig") -> Report:
    sections = chosen(cfg.bench.only)  # a mistake shows before anything slow is imported

    import logging

    import pytorch_lightning  # noqa: F401, before its logger is told to be quiet
    import torch
    from omegaconf import OmegaConf

    from mnist_exp.training.lightning_messages import hide_messages

    hide_messages()
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    cfg.data_dir, cfg.output_dir = (str(Path(folder).absolute()) for folder in (cfg.data_dir, cfg.output_dir))
    report = Report(machine(), OmegaConf.to_container(cfg.bench))
    path = Path(cfg.output_dir) / time.strftime("%Y-%m-%d_%H-%M-%S")
    for name in sections:
        measure(report, name, SECTIONS[name], cfg)
        write(report, path)
    print(f"\n{markdown(report)}\n{path}.md and .json")
    return report


@command("bench")
def main(cfg: "DictConfig") -> None:
    if bench(cfg).failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Measures time and memory of this project, compared with what people would use instead.

    make bench                                                       # everything
    python -m scripts.bench bench.only=[loop,csv] bench.repeats=3

The contenders take turns within one call. Writes outputs/bench/<date>_<time>.json and .md. A missed target is reported.
The exit status is 1 only if a section failed.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command
from mnist_exp.files import write_json, write_text
from mnist_exp.suggestions import did_you_mean
from scripts.bench import processes, training
from scripts.bench.measure import Row, log, machine

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

    failed: the sections that did not finish, with the error message.
    seconds: how long each section took.
    """

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def select_sections(only: str | Sequence[str] | None) -> list[str]:
    """The sections to run, in the order of SECTIONS. Raises ValueError for an unknown name."""
    names = list(SECTIONS) if only is None else [only] if isinstance(only, str) else list(only)
    for name in names:
        if name not in SECTIONS:
            hint = did_you_mean(str(name), SECTIONS)
            raise ValueError(f"bench.only has no section {name!r}{hint} (it is one or more of: {', '.join(SECTIONS)})")
    return [name for name in SECTIONS if name in names]


def run_section(report: Report, name: str, section: Section, cfg: "DictConfig") -> None:
    """Adds the rows of one section to the report, one by one. An error ends the section and is noted in the report."""
    started = time.perf_counter()
    try:
        for row in section(cfg):
            report.rows.append(row)
            log("  ".join(part for part in row_cells(row) if part))
    except Exception as error:
        report.failed[name] = f"{type(error).__name__}: {error}"
        log(f"{name} failed: {report.failed[name]}")
    report.seconds[name] = time.perf_counter() - started


def write(report: Report, path: Path) -> None:
    """Writes the report as .json and .md. path: without a suffix."""
    write_json(path.with_suffix(".json"), asdict(report))
    write_text(path.with_suffix(".md"), markdown(report))


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
    lines = [header, f"Sections took: {took}.", "", table_line(COLUMNS), table_line(["---"] * len(COLUMNS))]
    lines += [table_line(row_cells(row)) for row in report.rows]
    lines += [f"\n**{name} failed**: {message}" for name, message in report.failed.items()]
    return "\n".join(lines) + "\n"


def table_line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in texts)} |"


def row_cells(row: Row) -> list[str]:
    """The cells of one row, in the order of COLUMNS. A cell without a value is empty."""
    low_to_high = f"{format_number(row.low)} to {format_number(row.high)}" if row.n > 1 else ""
    return [
        row.section,
        row.what,
        row.contender,
        str(row.n),
        "" if row.median is None else f"{format_number(row.median)} {row.unit}",
        low_to_high,
        "" if row.ratio is None else f"{row.ratio:.3f}",
        "" if row.target is None else f"<= {row.target:.4g}{'' if row.ratio is not None else ' ' + row.unit}",
        {None: "", True: "met", False: "**missed**"}[row.met],
        row.note,
    ]


def format_number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# ---- the command ----


def bench(cfg: "DictConfig") -> Report:
    sections = select_sections(cfg.bench.only)  # before the slow imports, so that a typo is reported at once

    import logging

    import pytorch_lightning  # noqa: F401, it must come before its logger gets a level
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
        run_section(report, name, SECTIONS[name], cfg)
        write(report, path)
    print(f"\n{markdown(report)}\n{path}.md and .json")
    return report


@command("bench")
def main(cfg: "DictConfig") -> None:
    if bench(cfg).failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Numbers, names and tables as Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mnist_exp.analysis.statistics import Difference, Summary

NOTHING = "–"


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table under its caption, without empty columns. Those of numbers (no `code`) are set to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    used = [index for index in range(len(header)) if any(row[index] not in ("", NOTHING) for row in cells)]
    header, cells = [header[index] for index in used], [[row[index] for index in used] for row in cells]
    left = [index == 0 or any(row[index].startswith("`") for row in cells) for index in range(len(header))]
    lines = [header, [":--" if each else "--:" for each in left], *cells]
    return f"*{caption}*\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: Any) -> str:
    """Foreign text, made harmless within a line or a table cell."""
    plain = " ".join(str(text).replace("`", "'").replace("|", "¦").split())
    return f"`{plain}`"


def paragraphs(*parts: str) -> str:
    """The parts that are not empty, a blank line between them."""
    return "\n\n".join(filter(None, parts))


def number(value: float, decimals: int = 2) -> str:
    return NOTHING if pd.isna(value) else f"{value:.{decimals}f}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"


def points(fraction: float) -> str:
    """A difference of accuracies, in percentage points."""
    text = f"{100 * fraction:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def interval(summary: Summary | Difference) -> str:
    """The interval of a difference of accuracies, in percentage points."""
    if np.isnan(summary.low):
        return NOTHING
    return f"[{points(summary.low)}, {points(summary.high)}]"


def p_value(p: float) -> str:
    return NOTHING if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def corrected(p: float, by_holm: float) -> str:
    return NOTHING if np.isnan(p) else f"{p_value(p)} ({p_value(by_holm)})"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)

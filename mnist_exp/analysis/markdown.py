"""Numbers, names and tables as Markdown.

Text from a run (a name, a level, a device, an error) is not ours: it goes through `code` wherever it is written.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mnist_exp.analysis.statistics import Interval, Summary

NOTHING = "–"
LONGEST_CODE = 400  # letters of a text from a run; an error may hold a whole traceback


def markdown_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table under its caption. Empty columns are left out; columns of numbers (no `code`) are aligned right."""
    cells = [[str(cell) for cell in row] for row in rows]
    used = [index for index in range(len(header)) if any(row[index] not in ("", NOTHING) for row in cells)]
    header, cells = [header[index] for index in used], [[row[index] for index in used] for row in cells]
    left = [index == 0 or any(row[index].startswith("`") for row in cells) for index in range(len(header))]
    lines = [header, [":--" if each else "--:" for each in left], *cells]
    return f"*{caption}*\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: Any) -> str:
    """Text from elsewhere as inline code. It cannot end the code, nor the table cell or line that it is written in."""
    plain = plain_text(text).replace("`", "'").replace("|", "¦")
    plain = plain if len(plain) <= LONGEST_CODE else f"{plain[: LONGEST_CODE - 1]}…"
    return f"`{plain} `" if plain.endswith("\\") or not plain else f"`{plain}`"  # \\` would not end the code


def plain_text(text: Any) -> str:
    """Text from elsewhere on one line, with `�` for what cannot be printed: control codes, half characters, ..."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(str(text).split()))


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


def interval(of: Summary | Interval) -> str:
    """The interval of a difference of accuracies, in percentage points."""
    if np.isnan(of.low):
        return NOTHING
    return f"[{points(of.low)}, {points(of.high)}]"


def p_value(p: float) -> str:
    return NOTHING if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def corrected(p: float, by_holm: float) -> str:
    """A p-value, and in brackets the one that is corrected for all pairs."""
    return NOTHING if np.isnan(p) else f"{p_value(p)} ({p_value(by_holm)})"


def counted(count: int, noun: str) -> str:
    """3 runs, 1 run"""
    return f"{count} {noun}" + "s" * (count != 1)

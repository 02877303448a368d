"""Find out how a table of digits is written: its separator, its header, and where the label is.

    layout = read_layout(Path("digits.csv"))

A column is the label if a header calls it so (LABEL_NAMES). Without such a name it is the first column or the last one,
and the values tell which:

    label first     7, 0, 0, ..., 0, 0     the first column takes many values and none is above 9
                    2, 0, 0, ..., 0, 0     the last column is a pixel in the corner, which is nearly always 0
    label last      0, 0, ..., 0, 0, 7     the other way round

Only as many rows are read as are needed to tell. A table that allows two readings is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnist_exp.data.csv_parse import (
    MAX_LABEL,
    TO_COMMAS,
    CSVError,
    Layout,
    parse_cell_by_cell,
    parse_plain_block,
    read_blocks,
    split_line,
)

PIXELS = (28 * 28, 8 * 8)  # of MNIST's digits, and of those of scikit-learn and UCI
LABEL_NAMES = ("label", "labels", "class", "target", "digit", "y")
INDEX_NAMES = ("", "unnamed: 0", "index", "id", "imageid", "image_id", "row", "row_id")
FEWEST_SEPARATORS = min(PIXELS) - 1
MOSTLY = 0.9  # of the rows: a pixel in the corner of a digit is the background in at least so many


def read_layout(path: Path) -> Layout:
    """How the table is written, from its first line that is not blank and from its first rows.

    Raises CSVError if the file is empty, if it cannot be a table of digits, or if its label cannot be told.
    """
    number, line = _first_line(path)
    separator, line = find_separator(line)
    where = f"{path}, line {number}"
    cells = [cell.strip().lower() for cell in split_line(line, where)]
    names = cells if _is_header(cells) else None
    if names:
        _check_names(names, where)
    label_column = next((cells.index(name) for name in LABEL_NAMES if names and name in names), None)
    layout = Layout(names, label_column, len(cells), number if names else number - 1, separator)
    return _look_at_rows(path, layout, extra=_columns_beside_pixels(layout, cells, where))


def describe(layout: Layout) -> str:
    """What was taken for what, in a few words; empty for a plain table, whose label is named or first."""
    last = layout.num_columns - 1
    column = "the last column" if layout.label_column == last else f"column {(layout.label_column or 0) + 1}"
    name = f" ({layout.names[layout.label_column]!r})" if layout.names and layout.label_column is not None else ""
    separators = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
    is_plain = layout.label_column is None or "'label'" in name or (layout.label_column == 0 and not name)
    notes = {
        f"{separators.get(layout.separator)} separate the cells": layout.separator != ",",
        "column 1 is taken for the rows' numbers and left out": layout.has_index,
        f"{column}{name} is taken for the label": not is_plain,
        "the pixels are scaled from 0..1 to 0..255": layout.is_scaled,
    }
    return ", ".join(note for note, holds in notes.items() if holds)


# ---- the first line ----


def _first_line(path: Path) -> tuple[int, bytes]:
    """The first line that is not blank, and its number."""
    number = 0
    for block in read_blocks(path):
        for line in [] if block.isspace() else block.split(b"\n"):
            number += 1
            if line.strip():
                return number, line
        number += block.count(b"\n")
    raise CSVError(f"{path}: the file is empty. Export it again, or give another file")


def find_separator(line: bytes) -> tuple[str, bytes]:
    """What separates the cells of a line, and the line with commas between them."""
    for separator in (";", "\t", ",", "|", " "):  # a comma may also be a decimal comma, a blank may follow a comma
        if line.count(separator.encode()) >= FEWEST_SEPARATORS:
            return separator, line.translate(TO_COMMAS.get(separator))
    return ",", line


def _is_header(cells: list[str]) -> bool:
    """Whether a cell is a name of the label, or most cells are words, or all cells differ.

    The last rule is for headers such as 0,1,2,...,784: among the numbers of a digit some are always equal.
    """
    numbers = sum(re.fullmatch(r"[-+.\d][-+.\de]*", cell) is not None for cell in cells)
    return bool({*LABEL_NAMES} & {*cells}) or 2 * numbers < len(cells) or len(set(cells)) == len(cells)


def _check_names(names: list[str], where: str) -> None:
    """Raises CSVError where two columns have the same name, or where two have a name of the label."""
    if len(set(names)) < len(names):
        column = next(column for column, name in enumerate(names) if name in names[:column])
        raise CSVError(
            f"{where}, column {column + 1}: column {names.index(names[column]) + 1} has the same name, "
            f"{names[column]!r}. Give every column its own name, or remove the header line"
        )
    if len(labels := [repr(name) for name in names if name in LABEL_NAMES]) > 1:
        raise CSVError(f"{where}: any of the columns {', '.join(labels)} may be the label. Remove all but one")


def _columns_beside_pixels(layout: Layout, cells: list[str], where: str) -> int:
    """How many columns are no pixels: 0 to 2. Raises CSVError for any other number of columns."""
    for pixels in PIXELS:
        extra = layout.num_columns - pixels
        if (layout.label_column is not None) <= extra <= 2:
            return extra
    if layout.names is None:
        raise CSVError(
            f"{where}: {len(cells)} columns. Without a header, a line must hold the label and 784 pixels (28x28) or 64 "
            "(8x8), separated by commas. Correct it, or export the file again"
        )
    named = "none of them" if layout.label_column is None else repr(cells[layout.label_column])
    raise CSVError(
        f"{where}: {len(cells)} columns, from {cells[0][:20]!r} to {cells[-1][:20]!r}, {named} named as the label. A "
        "table needs the label and 784 columns for the pixels (28x28) or 64 (8x8), separated by commas"
    )


# ---- the first rows ----


def _look_at_rows(path: Path, layout: Layout, *, extra: int) -> Layout:
    """The layout with what only the values tell: label, index and scale. extra: columns that are no pixels."""
    ends, has_fractions, largest = np.empty((0, 3)), False, 0.0
    for table in _numbers(path, layout):
        pixels = table[:, 2:-1]  # in every layout
        has_fractions = has_fractions or bool((np.floor(pixels) != pixels).any())
        largest = max(largest, float(pixels.max()))
        ends = np.concatenate([ends, table[:, [0, 1, -1]]])
        has_index = _has_index(ends[:, 0], extra, layout)
        candidates = ends[:, [int(has_index), 2]]
        wants_label = layout.label_column is None and extra > has_index
        if (has_fractions or largest > 1) and not (wants_label and not _is_sure(candidates)):
            break
    else:
        if not len(ends):
            return layout  # parse_digits will say that there are no digits
    if extra == 2 and not has_index:
        raise CSVError(
            f"{path}: {layout.num_columns} columns are one more than a label and {layout.num_columns - 2} pixels, and "
            "column 1 does not number the rows. Remove the column that is too much"
        )
    if wants_label:
        columns = (int(has_index), layout.num_columns - 1)
        layout = layout._replace(label_column=columns[_label_end(candidates, path, columns)])
    return layout._replace(has_index=has_index, is_scaled=has_fractions and largest <= 1)


def _has_index(first: np.ndarray, extra: int, layout: Layout) -> bool:
    """Whether the first column, as far as it was read, numbers the rows."""
    is_named = layout.names is not None and layout.names[0] in INDEX_NAMES
    counts = bool((np.diff(first) == 1).all())
    if extra == 2:  # one of the two others is the label
        return layout.label_column != 0 and (is_named or counts or len(np.unique(first)) == len(first))
    return extra == 1 and layout.label_column is None and (is_named or counts) and first.max() > MAX_LABEL


def _is_corner(column: np.ndarray) -> bool:
    """Whether a column looks like a pixel in the corner of a digit: the background in nearly all rows."""
    values, counts = np.unique(column, return_counts=True)
    return counts.max() >= MOSTLY * len(column) and not 0 < values[counts.argmax()] <= MAX_LABEL


def _may_be_label(column: np.ndarray) -> bool:
    return bool((np.floor(column) == column).all() and column.min() >= 0 and column.max() <= MAX_LABEL)


def _is_sure(candidates: np.ndarray) -> bool:
    """Whether one of two columns [rows, 2] takes several values as labels do, and the other is mostly background."""
    return any(
        _may_be_label(one) and not _is_corner(one) and len(np.unique(one)) > 2 and _is_corner(other)
        for one, other in (candidates.T, candidates.T[::-1])
    )


def _label_end(candidates: np.ndarray, path: Path, columns: tuple[int, int]) -> int:
    """Which of two columns is the label, 0 or 1, after all rows that are needed were read.

    columns: where they are, for the message. Raises CSVError where both may be the label, or neither.
    """
    likely = [_may_be_label(column) and not _is_corner(column) for column in candidates.T]
    varied = [bool(np.ptp(column)) for column in candidates.T]
    if likely[0] != likely[1]:
        return likely.index(True)
    if all(likely) and varied[0] != varied[1]:
        return varied.index(True)
    if not any(varied) and (all(likely) or not candidates.any()):
        return 0  # all labels are equal, or there is one row
    found = " and ".join(
        f"column {number + 1} has values from {column.min():g} to {column.max():g}, {len(np.unique(column))} different"
        for number, column in zip(columns, candidates.T, strict=True)
    )
    raise CSVError(
        f"{path}: it cannot be told which column is the label, with whole numbers from 0 to 9: {found}. Name that "
        "column 'label' in a header line, or correct its values"
    )


def _numbers(path: Path, layout: Layout) -> Iterator[np.ndarray]:
    """The table's numbers, block by block [rows, columns], whatever they are."""
    line = layout.lines_before_digits + 1
    for block in read_blocks(path, skip_lines=layout.lines_before_digits, separator=layout.separator):
        if not block.isspace():
            table = parse_plain_block(block, layout)
            if table is None:
                table = parse_cell_by_cell(block, layout, path=path, first_line=line, check=False)
            yield table
        line += block.count(b"\n")

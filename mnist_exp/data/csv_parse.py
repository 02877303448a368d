r"""Parse a CSV file of digits: from its bytes to images and labels, block by block.

    for images, labels in parse_digits(Path("data/mnist_train.csv")): ...

`read_layout` reads the first line: is it a header, and which column is the label? `read_blocks` then cuts the file into
blocks of whole lines, so that memory does not grow with the file, and `parse_block` turns each block into numbers:

1. `parse_plain_block` takes a block of nothing but digits, commas and line ends, as nearly every block is. It computes
   all cells at once with numpy, more than twice as fast as pandas' C engine. If anything is unusual, it gives up.
2. `parse_cell_by_cell` then goes through the block line by line, some twenty times slower. `parse_cell` decides which
   spellings of a number are accepted ("5", 5.0, 5e0, 005), and the first bad cell is reported with its line and column.

How `parse_plain_block` works, for the bytes of a file with three columns:

    bytes            7    ,    0    ,    2    5    5   \n
    digit            7    0    0    0    2    5    5    0     the byte minus that of "0"; 0 for a separator
    number so far    7   70    0    0    2   25  255  550     digit + 10 * the digit before + 100 * the one before that
    last byte?       x         x                   x          the byte before each separator
    table            7         0                 255          the numbers so far at those bytes, in rows of three

The hundreds count only if the byte in between is a digit: in "4,2" the 4 is the end of another cell.
"""

import csv
import functools
import gzip
import re
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_exp.suggestions import did_you_mean

SIDE = 28
PIXELS = SIDE * SIDE
MAX_PIXEL = 255
MAX_LABEL = 9

BLOCK_BYTES = 2**17  # small enough that the arrays made from one block stay in the processor's cache
UTF8_MARK = b"\xef\xbb\xbf"  # Excel writes these bytes first
MAX_LINE = 100_000  # bytes; the longest usual one, a header and 785 numbers with decimals, has about 10,000
MAX_BYTES = 1_000_000_000  # of the file, unpacked if it is gzipped: nine times MNIST's training set
GZIP_MAGIC = b"\x1f\x8b"  # how every gzip file starts


class CSVError(ValueError):
    """A file that cannot be read as digits. The message says where, what is wrong and what to do."""


class Layout(NamedTuple):
    """What the first line tells about a file."""

    names: list[str] | None  # of the columns, in lower case; None if there is no header
    label_column: int | None  # counted from 0; None if no column is the label
    num_columns: int
    lines_before_digits: int  # blank lines and the header


def parse_digits(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield images, uint8 [n, 28, 28], and labels, int64 [n] (None if the file has none), block by block.

    Raises CSVError if the file cannot be read, holds a bad cell or holds no digits.
    """
    # Making and freeing one large array lets glibc's malloc reuse the memory of the arrays below from block to block.
    # Without it, all of them would be new memory from the system for every block, and parsing would take twice as long.
    np.empty(2**24, np.uint8)
    layout = read_layout(path)
    rows, line = 0, layout.lines_before_digits + 1
    for block in read_blocks(path, skip_lines=layout.lines_before_digits):
        if block.isspace():  # blank lines are skipped anyway, but one by one
            line += block.count(b"\n")
            continue
        table = parse_block(block, layout, path=path, first_line=line)
        labels = None
        if layout.label_column is not None:
            labels = table[:, layout.label_column].astype(np.int64)
            table = np.delete(table, layout.label_column, axis=1)
        yield table.reshape(-1, SIDE, SIDE), labels
        rows += len(table)
        line += block.count(b"\n")
    if not rows:
        raise CSVError(f"{path}: the file has a header and no digits below it. Export it again, or give another file")


# ---- the file as blocks of lines ----


def read_blocks(path: Path, *, skip_lines: int = 0) -> Iterator[bytes]:
    r"""Yield the file, plain or gzipped, in blocks of whole lines that end in \n, without its first lines.

    Raises CSVError, never OSError, if the file cannot be read, is no regular file, has a line of more than MAX_LINE
    bytes, or more than MAX_BYTES in all, unpacked.
    """
    try:
        if not path.is_dir() and path.exists() and not path.is_file():
            raise CSVError(f"{path.absolute()} is a device or a pipe. Give a CSV file")
        with path.open("rb") as raw:
            file = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw
            for _ in range(skip_lines):
                _read_line(file, path)
            mark = b"" if skip_lines else UTF8_MARK
            while block := file.read(BLOCK_BYTES):
                if file.tell() > MAX_BYTES:
                    raise CSVError(f"{path}: more than {MAX_BYTES:,} bytes (unpacked). Split it into smaller files")
                block = (block + _read_line(file, path)).removeprefix(mark).replace(b"\r\n", b"\n")
                yield block if block.endswith(b"\n") else block + b"\n"
                mark = b""
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CSVError(f"{path}: the gzip file is damaged ({error}). Download or compress it again") from error
    except FileNotFoundError as error:
        raise CSVError(_no_such_file(path)) from error
    except IsADirectoryError as error:
        raise CSVError(f"{path.absolute()} is a folder. Give the path of a CSV file") from error
    except OSError as error:
        raise CSVError(
            f"{path.absolute()} cannot be read: {error.strerror or error}. Check its path and permissions"
        ) from error


def _read_line(file: gzip.GzipFile | BufferedReader, path: Path) -> bytes:
    line = file.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise CSVError(
            f"{path}: a line of more than {MAX_LINE:,} bytes. Give a CSV file with one digit a line, or export it again"
        )
    return line


def _no_such_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"no file {path.absolute()}. Its folder does not exist either: check the path"
    files = [file.name for file in path.parent.iterdir() if file.is_file()]
    return f"no file {path.absolute()}{did_you_mean(path.name, files) or '. Give the path of a CSV file'}"


# ---- the first line ----


def read_layout(path: Path) -> Layout:
    """Find out from the first line that is not blank whether there is a header, and where the label is.

    Raises CSVError if the file is empty, or if the line cannot belong to a file of digits.
    """
    start = next(read_blocks(path), b"")
    lines = ((number, line) for number, line in enumerate(start.split(b"\n"), 1) if line.strip())
    number, line = next(lines, (0, b""))
    if not line:
        raise CSVError(f"{path}: the file is empty. Export it again, or give another file")
    where = f"{path}, line {number}"
    cells = [cell.strip().lower() for cell in _split_line(line, where)]
    if _is_header(cells):
        return Layout(cells, _find_label_column(cells, where), len(cells), lines_before_digits=number)
    if len(cells) not in (PIXELS, 1 + PIXELS):
        raise CSVError(
            f"{where}: {len(cells)} columns. Without a header, a line must hold the label and {PIXELS} pixels, "
            f"separated by commas. Correct it, or export the file again"
        )
    return Layout(None, None if len(cells) == PIXELS else 0, len(cells), lines_before_digits=number - 1)


def _is_header(cells: list[str]) -> bool:
    """Whether a cell is "label", or most cells are words, or all cells differ.

    The last rule is for headers such as 0,1,2,...,784: among the 785 numbers of a digit some are always equal.
    """
    numbers = sum(re.fullmatch(r"[-+.\d][-+.\de]*", cell) is not None for cell in cells)
    return "label" in cells or 2 * numbers < len(cells) or len(set(cells)) == len(cells)


def _find_label_column(names: list[str], where: str) -> int | None:
    """Check a header. Return the column named "label", or None for 784 columns without one."""
    if len(set(names)) < len(names):
        column = next(column for column, name in enumerate(names) if name in names[:column])
        raise CSVError(
            f"{where}, column {column + 1}: column {names.index(names[column]) + 1} has the same name, "
            f"{names[column]!r}. Give every column its own name, or remove the header line"
        )
    label_column = names.index("label") if "label" in names else None
    if len(names) != PIXELS + (label_column is not None):
        raise CSVError(
            f"{where}: {len(names)} columns, from {names[0][:20]!r} to {names[-1][:20]!r}, "
            f"{'none' if label_column is None else 'one'} of them named 'label'. A header needs a column 'label' and "
            f"{PIXELS} for the pixels, separated by commas"
        )
    return label_column


# ---- a block of lines to a table of numbers ----


def parse_block(block: bytes, layout: Layout, *, path: Path, first_line: int) -> np.ndarray:
    """All numbers of a block, uint8 [rows, columns], the label among the columns.

    first_line: the block's first line in the file, counted from 1, for error messages.

    Raises CSVError for the first cell that is wrong.
    """
    table = parse_plain_block(block, layout)
    return parse_cell_by_cell(block, layout, path=path, first_line=first_line) if table is None else table


def parse_plain_block(block: bytes, layout: Layout) -> np.ndarray | None:
    """All numbers of a block, computed at once as in the example at the top of this file.

    None if the block holds anything but whole numbers of one to three digits, or if anything is wrong with it.
    """
    if block.translate(None, b"0123456789,\n"):  # something is left without these characters
        return None
    text = np.frombuffer(block, np.uint8)
    is_digit = text >= ord("0")
    separators = np.flatnonzero(~is_digit)  # one after each cell
    widths = np.diff(separators, prepend=-1) - 1
    if widths.min() < 1 or widths.max() > 3:
        return None
    line_ends = np.flatnonzero(text == ord("\n"))
    if not np.array_equal(line_ends, separators[layout.num_columns - 1 :: layout.num_columns]):
        return None  # a line of another number of columns
    digits = (text - ord("0")) * is_digit
    so_far = digits.astype(np.uint16)  # at most 999
    so_far[1:] += digits[:-1] * np.uint16(10)
    so_far[2:] += digits[:-2] * (is_digit[1:-1] * np.uint16(100))
    table = so_far[separators - 1].reshape(-1, layout.num_columns)
    if table.max() > MAX_PIXEL:
        return None
    if layout.label_column is not None and table[:, layout.label_column].max() > MAX_LABEL:
        return None
    return table.astype(np.uint8)


def parse_cell_by_cell(block: bytes, layout: Layout, *, path: Path, first_line: int) -> np.ndarray:
    """All numbers of a block, cell by cell through `parse_cell`. Blank lines are skipped. See `parse_block`."""
    rows = []
    for number, line in enumerate(block.split(b"\n"), first_line):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        cells = _split_line(line, where)
        if len(cells) != layout.num_columns:
            first = "header" if layout.names else "first line"
            raise CSVError(
                f"{where}: {len(cells)} columns, but the {first} has {layout.num_columns}. Correct the line, or export "
                f"the file again"
            )
        values = [parse_cell(cell) for cell in cells]
        for column, value in enumerate(values):
            if value is None or (column == layout.label_column and value > MAX_LABEL):
                raise _bad_cell(where, cells[column], column, layout)
        rows.append(values)
    return np.array(rows, np.uint8).reshape(-1, layout.num_columns)


@functools.lru_cache(maxsize=4096)  # a file has few different cells
def parse_cell(cell: str) -> int | None:
    """The whole number from 0 to 255 that a cell spells, as 5, 005, 5.0 or 5e0; None if it spells none."""
    if not re.fullmatch(r"[ \t]*[-+]?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?[ \t]*", cell, re.IGNORECASE):
        return None
    value = float(cell)
    return int(value) if value.is_integer() and 0 <= value <= MAX_PIXEL else None


def _split_line(line: bytes, where: str) -> list[str]:
    """The cells of one line, without quotes around them."""
    try:
        (cells,) = csv.reader([line.decode()], strict=True, skipinitialspace=True)
    except UnicodeDecodeError as error:
        column = line.count(b",", 0, error.start) + 1
        found = line[error.start : error.start + 8]
        raise CSVError(f"{where}, column {column}: {found!r} is not text. Is it a CSV file, saved as UTF-8?") from error
    except csv.Error as error:  # an open quote, or a carriage return within the line
        raise CSVError(
            f"{where}: not a line of a CSV file: {error}. Export it again, with lines ending in LF"
        ) from error
    return cells


def _bad_cell(where: str, cell: str, column: int, layout: Layout) -> CSVError:
    name = f" ({layout.names[column]!r})" if layout.names else ""
    found = repr(cell[:40]) if cell.strip() else "an empty cell"
    kind, largest = ("label", MAX_LABEL) if column == layout.label_column else ("pixel", MAX_PIXEL)
    return CSVError(
        f"{where}, column {column + 1}{name}: {found} is not a {kind}, a whole number from 0 to {largest}. Correct it, "
        f"or export the file again"
    )

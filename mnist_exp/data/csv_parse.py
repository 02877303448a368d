r"""Parse a CSV file of digits: from its bytes to images and labels, block by block.

    for images, labels in parse_digits(path, read_layout(path)): ...

`read_blocks` cuts the file into blocks of whole lines, so that memory does not grow with the file. csv_layout.py tells
from the first of them how the table is written. `parse_block` turns each block into numbers:

1. `parse_plain_block` takes a block of nothing but digits, commas and line ends, as nearly every block is. It computes
   all cells at once with numpy, more than twice as fast as pandas' C engine. If anything is unusual, it gives up.
2. `parse_cell_by_cell` then goes through the block line by line, some ten times slower. `parse_cell` decides which
   spellings of a number are accepted ("5", 5.0, 5e0, 0.53). A bad cell is reported with its line and column.

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
import math
import re
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_exp.suggestions import did_you_mean

MAX_PIXEL = 255
MAX_LABEL = 9

BLOCK_BYTES = 2**17  # small enough that the arrays made from one block stay in the processor's cache
UTF8_MARK = b"\xef\xbb\xbf"  # Excel writes these bytes first
MAX_LINE = 100_000  # bytes; the longest usual one, a header and 785 numbers with decimals, has about 20,000
MAX_BYTES = 1_000_000_000  # of the file, unpacked if it is gzipped: nine times MNIST's training set
GZIP_MAGIC = b"\x1f\x8b"  # how every gzip file starts

# How a line becomes one with commas. Where commas do not separate cells, they are decimal commas.
TO_COMMAS = {
    ";": bytes.maketrans(b";,", b",."),
    "\t": bytes.maketrans(b"\t,", b",."),
    "|": bytes.maketrans(b"|,", b",."),
    " ": bytes.maketrans(b" ,", b",."),
}


class CSVError(ValueError):
    """A file that cannot be read as digits. The message says where, what is wrong and what to do."""


class Layout(NamedTuple):
    """How a table of digits is written."""

    names: list[str] | None  # of the columns, in lower case; None if there is no header
    label_column: int | None  # counted from 0; None if no column is the label
    num_columns: int
    lines_before_digits: int  # blank lines and the header
    separator: str = ","
    has_index: bool = False  # whether the first column numbers the rows
    is_scaled: bool = False  # whether the pixels are fractions from 0 to 1

    @property
    def side(self) -> int:
        """The pixels of an image's side."""
        return math.isqrt(self.num_columns - self.has_index - (self.label_column is not None))

    @property
    def largest(self) -> np.ndarray:
        """The largest value that each column may have, float64 [columns]."""
        largest = np.full(self.num_columns, 1.0 if self.is_scaled else MAX_PIXEL)
        if self.has_index:
            largest[0] = 2.0**53  # float64 has all whole numbers up to here
        if self.label_column is not None:
            largest[self.label_column] = MAX_LABEL
        return largest


def parse_digits(path: Path, layout: Layout) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield images, uint8 [n, side, side], and labels, int64 [n] (None if the file has none), block by block.

    Raises CSVError if the file cannot be read, holds a bad cell or holds no digits.
    """
    # Making and freeing one large array lets glibc's malloc reuse the memory of the arrays below from block to block.
    # Without it, all of them would be new memory from the system for every block, and parsing would take twice as long.
    np.empty(2**24, np.uint8)
    rows, line = 0, layout.lines_before_digits + 1
    for block in read_blocks(path, skip_lines=layout.lines_before_digits, separator=layout.separator):
        if block.isspace():  # blank lines are skipped anyway, but one by one
            line += block.count(b"\n")
            continue
        table = parse_block(block, layout, path=path, first_line=line)
        labels = None
        if layout.label_column is not None:
            labels = table[:, layout.label_column].astype(np.int64)
            table = np.delete(table, layout.label_column, axis=1)
        yield table[:, int(layout.has_index) :].reshape(-1, layout.side, layout.side), labels
        rows += len(table)
        line += block.count(b"\n")
    if not rows:
        raise CSVError(f"{path}: the file has a header and no digits below it. Export it again, or give another file")


# ---- the file as blocks of lines ----


def read_blocks(path: Path, *, skip_lines: int = 0, separator: str = ",") -> Iterator[bytes]:
    r"""Yield the file, plain or gzipped, in blocks of whole lines, without its first lines.

    Lines may end in \n, \r\n or \r, and come out with \n. Cells come out with a comma between them.

    Raises CSVError, never OSError, if the file cannot be read, is no regular file, has a line of more than MAX_LINE
    bytes, or more than MAX_BYTES in all, unpacked.
    """
    try:
        if not path.is_dir() and path.exists() and not path.is_file():
            raise CSVError(f"{path.absolute()} is a device or a pipe. Give a CSV file")
        with path.open("rb") as raw:
            file = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == GZIP_MAGIC else raw
            for block in _whole_lines(file, path):
                skipped = 0
                while skip_lines and skipped < len(block):
                    skipped = block.index(b"\n", skipped) + 1
                    skip_lines -= 1
                if skipped < len(block):
                    yield block[skipped:] if separator == "," else block[skipped:].translate(TO_COMMAS[separator])
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


def _whole_lines(file: gzip.GzipFile | BufferedReader, path: Path) -> Iterator[bytes]:
    r"""The file in blocks of whole lines that end in \n."""
    mark, rest = UTF8_MARK, b""
    while block := file.read(BLOCK_BYTES):
        if file.tell() > MAX_BYTES:
            raise CSVError(f"{path}: more than {MAX_BYTES:,} bytes (unpacked). Split it into smaller files")
        if block.endswith(b"\r"):
            block += file.read(1)  # perhaps its \n
        block = rest + block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > MAX_LINE:
            raise CSVError(
                f"{path}: a line of more than {MAX_LINE:,} bytes. Give a CSV file with one digit a line, or export it "
                "again"
            )
        if end:
            yield block[:end].removeprefix(mark)
            mark = b""
    if rest:
        yield rest.removeprefix(mark) + b"\n"


def _no_such_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"no file {path.absolute()}. Its folder does not exist either: check the path"
    files = [file.name for file in path.parent.iterdir() if file.is_file()]
    return f"no file {path.absolute()}{did_you_mean(path.name, files) or '. Give the path of a CSV file'}"


# ---- a block of lines to a table of numbers ----


def parse_block(block: bytes, layout: Layout, *, path: Path, first_line: int) -> np.ndarray:
    """All numbers of a block, uint8 [rows, columns], the label among the columns. An index has any values.

    first_line: the block's first line in the file, counted from 1, for error messages.

    Raises CSVError for the first cell that is wrong.
    """
    table = None if layout.has_index or layout.is_scaled else parse_plain_block(block, layout)
    if table is not None:
        return table
    numbers = parse_cell_by_cell(block, layout, path=path, first_line=first_line)
    if layout.is_scaled:
        numbers = np.where(layout.largest == 1, np.round(MAX_PIXEL * numbers), numbers)
    return numbers.astype(np.int64).astype(np.uint8)  # int64 first: an index may be above 255


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


def parse_cell_by_cell(block: bytes, layout: Layout, *, path: Path, first_line: int, check: bool = True) -> np.ndarray:
    """All numbers of a block, float64 [rows, columns], cell by cell. Blank lines are skipped. See `parse_block`.

    check: whether a number that is too large or no whole number is an error.
    """
    rows, lines = [], []
    for number, line in enumerate(block.split(b"\n"), first_line):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        cells = split_line(line, where)
        if len(cells) != layout.num_columns:
            first = "header" if layout.names else "first line"
            raise CSVError(
                f"{where}: {len(cells)} columns, but the {first} has {layout.num_columns}. Correct the line, or export "
                f"the file again"
            )
        rows.append([parse_cell(cell) for cell in cells])
        lines.append((line, where))
    numbers = np.array(rows)
    wrong = np.isnan(numbers) if not check else ~allowed(numbers, layout)
    for row, column in np.argwhere(wrong)[:1]:
        line, where = lines[row]
        raise _bad_cell(where, split_line(line, where)[column], int(column), layout)
    return numbers


@functools.lru_cache(maxsize=4096)  # a file has few different cells
def parse_cell(cell: str) -> float:
    """The number that a cell spells, as 5, 005, 5.0, .5 or 5e0; NaN if it spells none."""
    number = re.fullmatch(r"[ \t]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?[ \t]*", cell, re.IGNORECASE)
    return float(cell) if number else math.nan


def allowed(numbers: np.ndarray, layout: Layout) -> np.ndarray:
    """Which numbers may stand in their columns, bool [..., columns]. NaN may not."""
    largest = layout.largest
    return (numbers >= 0) & (numbers <= largest) & ((np.floor(numbers) == numbers) | (largest == 1))


def split_line(line: bytes, where: str) -> list[str]:
    """The cells of one line, without quotes around them."""
    try:
        (cells,) = csv.reader([line.decode()], strict=True, skipinitialspace=True)
    except UnicodeDecodeError as error:
        column = line.count(b",", 0, error.start) + 1
        found = line[error.start : error.start + 8]
        raise CSVError(f"{where}, column {column}: {found!r} is not text. Is it a CSV file, saved as UTF-8?") from error
    except csv.Error as error:  # an open quote
        raise CSVError(f"{where}: not a line of a CSV file: {error}. Export it again") from error
    return cells


def _bad_cell(where: str, cell: str, column: int, layout: Layout) -> CSVError:
    name = f" ({layout.names[column]!r})" if layout.names else ""
    found = repr(cell[:40]) if cell.strip() else "an empty cell"
    kind, numbers = "pixel", "number from 0 to 1, as those above" if layout.is_scaled else "whole number from 0 to 255"
    if column == layout.label_column:
        kind, numbers = "label", "whole number from 0 to 9"
    elif column == 0 and layout.has_index:
        kind, numbers = "row's number", "whole number"
    return CSVError(
        f"{where}, column {column + 1}{name}: {found} is not a {kind}, a {numbers}. Correct it, or export the file "
        "again"
    )

"""python -m pytest tests/data/test_csv_parse.py"""

import gzip
import math
import os
from pathlib import Path

import numpy as np
import pytest
from csv_tables import IMAGES, LABELS, RNG, Table, changed, kaggle, table, text

from mnist_exp.data import csv_layout, csv_parse
from mnist_exp.data.csv_file import HEADER, write_csv
from mnist_exp.data.csv_parse import CSVError, Layout, parse_cell, parse_digits, parse_plain_block


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits.csv"


def read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """All digits of the file at once."""
    images, labels = zip(*parse_digits(path, csv_layout.read_layout(path)), strict=True)
    return np.concatenate(images), None if labels[0] is None else np.concatenate(labels)


# ---- every form reads equal ----

FORMS = {
    "as written by write_csv": text([HEADER, *table()]),
    "Kaggle's header": text([kaggle(), *table()]),
    "no header": text(table()),
    "label last": text([kaggle(784), *table(784)]),
    "label in the middle": text([kaggle(300), *table(300)]),
    "label spelt otherwise": text([[" LaBeL ", *HEADER[1:]], *table()]),
    "header of numbers": text([["label", *map(str, range(784))], *table()]),
    "CRLF": text([HEADER, *table()], end="\r\n"),
    "byte order mark": b"\xef\xbb\xbf" + text([HEADER, *table()]),
    "byte order mark, no header": b"\xef\xbb\xbf" + text(table()),
    "no line end at the end": text([HEADER, *table()]).rstrip(),
    "blank lines": b"\n" + text([HEADER, *table()], end="\n\n") + b"  \n\n",
    "quotes": text([[f'"{cell}"' for cell in row] for row in [HEADER, *table()]]),
    "blanks after commas": text([HEADER, *table()]).replace(b",", b", "),
    "floats": text([HEADER, *([cell + ".0" for cell in row] for row in table())]),
    "np.savetxt": text([[f"{float(cell):.18e}" for cell in row] for row in table()]),
    "leading zeros": text([HEADER, *([cell.zfill(5) for cell in row] for row in table())]),
    "gzip": gzip.compress(text([HEADER, *table()])),
    "gzip, CRLF, no header": gzip.compress(text(table(), end="\r\n")),
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_digits(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    images, labels = read(path)
    assert labels is not None
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("rows", [[kaggle(None), *table(None)], table(None)], ids=["header", "no header"])
def test_a_file_without_a_label_column_has_no_labels(path: Path, rows: Table) -> None:
    path.write_bytes(text(rows))
    images, labels = read(path)
    assert labels is None
    np.testing.assert_array_equal(images, IMAGES)


# ---- a bad file gets one clear error ----

PIXEL = "is not a pixel, a whole number from 0 to 255"
BAD_CELLS = ["3.5", "abc", "256", "-1", "1e3", "999", "1000", "1_0", "0x1", "True", "nan", "inf", "٣", "1 2", "9" * 400]


@pytest.mark.parametrize("cell", BAD_CELLS)
@pytest.mark.parametrize("rows", [1, 12], ids=["one row", "many rows"])
def test_a_bad_pixel_is_named_with_its_place(path: Path, cell: str, rows: int) -> None:
    path.write_bytes(text(changed(rows, 29, cell)[: rows + 1]))
    with pytest.raises(CSVError) as error:
        read(path)
    assert f"{path}, line {rows + 1}, column 30 ('2x1'): '{cell[:40]}' {PIXEL}. Correct it" in str(error.value)


BAD_FILES = {
    "label too large": (text(changed(7, 0, "10")), ["line 8, column 1 ('label'): '10' is not a label", "0 to 9"]),
    "label a letter": (text(changed(7, 0, "A")), ["line 8, column 1 ('label'): 'A' is not a label"]),
    "empty cell": (text(changed(2, 784, "")), ["line 3, column 785 ('28x28'): an empty cell is not a pixel"]),
    "blank cell": (text(changed(2, 784, "  ")), ["line 3, column 785 ('28x28'): an empty cell is not a pixel"]),
    "no header": (text(changed(5, 3, "300")[1:]), ["line 5, column 4: '300' is not a pixel"]),
    "no header, first line": (text(changed(1, 3, "x")[1:]), ["line 1, column 4: 'x' is not a pixel"]),
    "after blank lines": (b"\n\n" + text(changed(5, 3, "300"), end="\n\n"), ["line 13, column 4 ('1x3'): '300'"]),
    "a scaled pixel": (text(changed(1, 3, "0.53")), ["line 2, column 4 ('1x3'): '0.53' is not a pixel"]),
    "a row too short": (text([HEADER, *table()[:3], table()[3][:-1]]), ["line 5: 784 columns", "header has 785"]),
    "a row too long": (text([HEADER, *table()[:3], [*table()[3], "0"]]), ["line 5: 786 columns", "header has 785"]),
    "all rows too short": (text([HEADER, *table(None)]), ["line 2: 784 columns, but the header has 785"]),
    "all rows too long": (
        text([HEADER, *([*row, "0"] for row in table())]),
        ["line 2: 786 columns, but the header has 785"],
    ),
    "no header, one too short": (text([*table()[:3], table()[3][:-1]]), ["line 4: 784 columns", "first line has 785"]),
    "no header, all too short": (text([row[:-2] for row in table()]), ["line 1: 783 columns. Without a header"]),
    "a line end lost": (text([HEADER, table()[0] + table()[1]]), ["line 2: 1570 columns"]),
    "empty": (b"", ["digits.csv: the file is empty"]),
    "only blank lines": (b"\n \n\n", ["digits.csv: the file is empty"]),
    "header only": (text([HEADER]), ["digits.csv: the file has a header and no digits below it"]),
    "duplicate names": (text(changed(0, 5, "1x2")), ["line 1, column 6: column 3 has the same name, '1x2'"]),
    "two labels": (text(changed(0, 5, "Label")), ["line 1, column 6: column 1 has the same name, 'label'"]),
    "two columns for the label": (text(changed(0, 5, "class")), ["line 1: any of the columns 'label', 'class' may be"]),
    "another column": (
        text([["note", *HEADER], *(["1", *row] for row in table())]),
        ["786 columns are one more than a label and 784 pixels, and column 1 does not number the rows"],
    ),
    "letters": (text([[*row[1:], "K"] for row in table()]), ["line 1, column 785: 'K' is not"]),
    "labels above 9": (
        text([["0", *row[2:], str(number)] for number, row in enumerate(table(), 5)]),
        ["column 1 has values from 0 to 0, 1 different and column 785 has values from 5 to 16, 12 different"],
    ),
    "words": (b"hello\nworld\n", ["line 1: 1 columns, from 'hello'"]),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), ["line 1, column 1", "PNG", "is not text. Is it a CSV file"]),
    "a zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00\xb5" + bytes(100), ["line 1, column 1", "is not text"]),
    "UTF-16": (text([HEADER, *table()]).decode().encode("utf-16"), ["line 1, column 1", "saved as UTF-8"]),
    "Latin-1": (text(changed(3, 9, "?")).replace(b"?", b"\xe9"), ["line 4, column 10: b'\\xe9", "saved as UTF-8"]),
    "a NUL": (text(changed(3, 9, "1\0")), ["line 4, column 10 ('1x9'): '1\\x00' is not a pixel"]),
    "an open quote": (text(changed(3, 9, '"1')), ["line 4: not a line of a CSV file", "unexpected end of data"]),
    "a closed quote too early": (text(changed(3, 9, '"5"5')), ["line 4: not a line of a CSV file", "expected after"]),
    "a line end in quotes": (text(changed(3, 9, '"5\n"')), ["line 4: not a line of a CSV file"]),
    "gzip cut short": (gzip.compress(text([HEADER, *table()]))[:-100], ["the gzip file is damaged", "again"]),
    "gzip overwritten": (gzip.compress(text([HEADER, *table()]))[:-8] + bytes(8), ["the gzip file is damaged"]),
}


@pytest.mark.parametrize(("content", "fragments"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_gets_one_clear_error(path: Path, content: bytes, fragments: list[str]) -> None:
    path.write_bytes(content)
    with pytest.raises(CSVError) as error:
        read(path)
    assert str(path) in str(error.value)
    for fragment in fragments:
        assert fragment in str(error.value)


def test_the_line_is_right_beyond_the_first_block(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_parse, "BLOCK_BYTES", 4000)  # one or two lines
    path.write_bytes(text(changed(12, 1, "300")))
    with pytest.raises(CSVError, match=r"line 13, column 2 \('1x1'\): '300'"):
        read(path)


def test_a_missing_file_suggests_its_neighbour(path: Path) -> None:
    write_csv(path, IMAGES, LABELS)
    with pytest.raises(CSVError, match=r"^no file /.*digist\.csv: did you mean 'digits\.csv'\?$"):
        read(path.with_name("digist.csv"))
    with pytest.raises(CSVError, match=r"no file /.*notes. Give the path of a CSV file$"):
        read(path.with_name("notes"))
    with pytest.raises(CSVError, match="Its folder does not exist either"):
        read(path.parent / "nowhere" / "digits.csv")
    with pytest.raises(CSVError, match=r"is a folder\. Give the path of a CSV file"):
        read(path.parent)


def test_a_file_that_the_system_does_not_read_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # as root, every file can be read
    with pytest.raises(CSVError, match=r"digits\.csv cannot be read: Permission denied"):
        read(path)


# ---- blocks ----


@pytest.mark.parametrize("block_bytes", [1, 1600, 4000, 10**6])
@pytest.mark.parametrize("name", ["no header", "byte order mark", "blank lines", "gzip, CRLF, no header"])
def test_the_size_of_a_block_changes_no_digit(
    path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, name: str
) -> None:
    monkeypatch.setattr(csv_parse, "BLOCK_BYTES", block_bytes)
    path.write_bytes(FORMS[name])
    images, labels = read(path)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_a_large_file_is_read_in_several_blocks(path: Path) -> None:
    write_csv(path, IMAGES.repeat(10, axis=0), LABELS.repeat(10))
    sizes = [len(images) for images, _ in parse_digits(path, csv_layout.read_layout(path))]
    assert len(sizes) > 1
    assert sum(sizes) == 120


# ---- one block ----

THREE_COLUMNS = Layout(None, None, 3, 0)


def test_the_example_of_the_module_holds() -> None:
    table = parse_plain_block(b"7,0,255\n", THREE_COLUMNS)
    assert table is not None
    assert (table.tolist(), table.dtype) == ([[7, 0, 255]], np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_every_value_is_read_at_every_place_of_a_line(width: int) -> None:
    values = [value for value in range(256) if len(f"{value:0{width}}") == width]
    for place in range(3):
        rows = [[*[4] * place, value, *[213] * (2 - place)] for value in values]
        block = "".join(",".join(f"{value:0{width}}" for value in row) + "\n" for row in rows).encode()
        table = parse_plain_block(block, THREE_COLUMNS)
        assert table is not None
        assert table.tolist() == rows


CELLS_THAT_ARE_NOT_PLAIN = [b"1,2,256", b"300,2,3", b"1,0002,3", b"0001,2,3", b",2,3", b"1,,3", b"1,2,", b"1, 2,3"]
CELLS_THAT_ARE_NOT_PLAIN += [b"1,2.0,3", b"1,-2,3", b"1:2,3,4", b"1,2/3"]
LINES_THAT_ARE_NOT_PLAIN = [b"1,2", b"1,2,3,4", b"1,2,3\n", b"1,2,3\n4", b"1,2\n3,4,5\n6"]


@pytest.mark.parametrize("block", CELLS_THAT_ARE_NOT_PLAIN + LINES_THAT_ARE_NOT_PLAIN)
def test_a_block_that_is_not_plain_is_left_to_the_exact_parser(block: bytes) -> None:
    assert parse_plain_block(block + b"\n", THREE_COLUMNS) is None


@pytest.mark.parametrize("label_column", [0, 1, 2])
def test_only_the_label_must_be_at_most_9(label_column: int) -> None:
    layout = Layout(None, label_column, 3, 0)
    row = [200, 200, 200]
    for label, plain in ((9, True), (10, False)):
        row[label_column] = label
        table = parse_plain_block((",".join(map(str, row)) + "\n").encode(), layout)
        assert (table is not None) == plain


@pytest.mark.parametrize("label_column", [None, 0])
def test_the_plain_parser_never_disagrees_with_the_exact_one(path: Path, label_column: int | None) -> None:
    layout = Layout(None, label_column, 3, 0)
    accepted = 0
    some = [*["0", "7", "9", "05", "007"] * 5, "10", "42", "255", "256", "0000", "", " 1", ",", "\n"]
    for _ in range(1000):
        cells = RNG.choice(some, 6)
        block = (",".join(cells[:3]) + "\n" + ",".join(cells[3:]) + "\n").encode()
        plain = parse_plain_block(block, layout)
        if plain is not None:
            accepted += 1
            exact = csv_parse.parse_cell_by_cell(block, layout, path=path, first_line=1)
            np.testing.assert_array_equal(plain, exact)
    assert 100 < accepted < 900


SPELLINGS = {"0": 0, "9": 9, "255": 255, "007": 7, "7.": 7, "7.000": 7, "7e0": 7, "0.7E+1": 7, "700e-2": 7, " 7\t": 7}
SPELLINGS |= {"+7": 7, "-0": 0, "2.55e2": 255, "1e2": 100, "0.53": 0.53, ".5": 0.5, "-1": -1, "1e3": 1000}


@pytest.mark.parametrize(("cell", "value"), SPELLINGS.items())
def test_a_cell_may_spell_its_number_in_many_ways(cell: str, value: float) -> None:
    assert parse_cell(cell) == value


@pytest.mark.parametrize("cell", ["abc", "1_0", "0x1", "True", "nan", "inf", "٣", "e1", "1e", ".", "5,", "", "1 2"])
def test_a_cell_that_spells_no_number_has_no_value(cell: str) -> None:
    assert math.isnan(parse_cell(cell))


# ---- the first line ----


@pytest.mark.parametrize(
    ("rows", "layout"),
    [
        (table(), (0, 785, 0)),
        (table(None), (None, 784, 0)),
        ([HEADER, *table()], (0, 785, 1)),
        ([kaggle(300), *table(300)], (300, 785, 1)),
        ([kaggle(None), *table(None)], (None, 784, 1)),
        ([[str(index) for index in range(784)], *table(None)], (None, 784, 1)),  # a header of numbers that all differ
    ],
    ids=["plain", "no label", "header", "label within", "header without label", "numbers"],
)
def test_the_first_line_tells_where_the_label_and_the_digits_are(
    path: Path, rows: Table, layout: tuple[int | None, int, int]
) -> None:
    path.write_bytes(text(rows))
    found = csv_layout.read_layout(path)
    assert (found.label_column, found.num_columns, found.lines_before_digits) == layout
    assert found.names == (rows[0] if layout[2] else None)


# ---- files that would hang or fill the memory ----


def gzipped(path: Path, *parts: tuple[bytes, int]) -> None:
    """A gzip file with each part repeated so many times."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for part, times in parts:
            file.write(part * times)


@pytest.mark.parametrize("start", [b"", text([HEADER, *table()])], ids=["first_line", "later"])
@pytest.mark.parametrize("cell", [b"0", b"0,"], ids=["one_cell", "many_cells"])
def test_a_line_without_an_end_is_refused_after_a_hundred_thousand_bytes(path: Path, start: bytes, cell: bytes):
    gzipped(path, (start, 1), (cell, 3_000_000))
    with pytest.raises(CSVError, match=f"{path}: a line of more than 100,000 bytes. Give"):
        read(path)


def test_a_line_of_the_greatest_length_is_read(path: Path, monkeypatch: pytest.MonkeyPatch):
    path.write_bytes(text([HEADER, *table()]))
    monkeypatch.setattr(csv_parse, "BLOCK_BYTES", 1)
    monkeypatch.setattr(csv_parse, "MAX_LINE", len(text([HEADER])))
    assert len(read(path)[0]) == len(IMAGES)
    monkeypatch.setattr(csv_parse, "MAX_LINE", len(text([HEADER])) - 2)  # the first of its bytes is the block
    with pytest.raises(CSVError, match="a line of more than"):
        read(path)


@pytest.mark.parametrize("compressed", [True, False])
def test_reading_stops_when_a_file_turns_out_too_large(path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool):
    content = text(table())
    monkeypatch.setattr(csv_parse, "BLOCK_BYTES", 1)
    path.write_bytes(gzip.compress(content) if compressed else content)
    monkeypatch.setattr(csv_parse, "MAX_BYTES", len(content))
    assert len(read(path)[0]) == len(IMAGES)
    monkeypatch.setattr(csv_parse, "MAX_BYTES", len(content) // 2)
    with pytest.raises(CSVError, match=rf"{path}: more than {len(content) // 2:,} bytes \(unpacked\). Split"):
        read(path)


def test_blank_lines_by_the_million_are_skipped_and_counted(path: Path):
    gzipped(path, (text(table()), 1), (b"\n", 1_000_000), (b"x\n", 1))
    with pytest.raises(CSVError, match=f"line {1_000_000 + len(IMAGES) + 1}: 1 columns"):
        read(path)


@pytest.mark.posix
def test_a_device_and_a_pipe_are_no_csv_files(path: Path):
    os.mkfifo(path)
    for each in (path, Path("/dev/zero")):
        with pytest.raises(CSVError, match=f"{each} is a device or a pipe. Give a CSV file"):
            read(each)

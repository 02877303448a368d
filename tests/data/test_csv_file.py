"""python -m pytest tests/test_csv_file.py"""

import gzip
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.data import csv_file
from mnist_exp.data.csv_file import HEADER, CSVError, read_csv, write_csv

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = RNG.integers(0, 10, 12)

Table = list[list[str]]


def table(label_at: int | None = 0) -> Table:
    """IMAGES and LABELS as rows of cells, the label in column `label_at`."""
    rows = IMAGES.reshape(len(IMAGES), -1).astype(str).tolist()
    if label_at is not None:
        for row, label in zip(rows, LABELS, strict=True):
            row.insert(label_at, str(label))
    return rows


def text(rows: Table, *, end: str = "\n") -> bytes:
    return "".join(",".join(row) + end for row in rows).encode()


def kaggle(label_at: int | None = 0) -> list[str]:
    names = [f"pixel{index}" for index in range(784)]
    if label_at is not None:
        names.insert(label_at, "label")
    return names


def changed(row: int, column: int, cell: str) -> Table:
    """The common form with another cell; row 0 is the header."""
    rows = [HEADER, *table()]
    rows[row] = [*rows[row][:column], cell, *rows[row][column + 1 :]]
    return rows


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the file is parsed, not read from the cache")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits.csv"


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


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_digits(path: Path, content: bytes, cache: bool) -> None:
    path.write_bytes(content)
    images, labels = read_csv(path, cache=cache)
    assert labels is not None
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("rows", [[kaggle(None), *table(None)], table(None)], ids=["header", "no header"])
def test_a_file_without_labels_is_read_where_they_are_optional(path: Path, rows: Table) -> None:
    path.write_bytes(text(rows))
    for _ in range(2):  # parsed, then from the cache
        images, labels = read_csv(path, labels="optional")
        assert labels is None
        np.testing.assert_array_equal(images, IMAGES)
    with pytest.raises(CSVError, match=r"digits.csv: it has 784 columns and none is the label.*can be predicted on"):
        read_csv(path)


@pytest.mark.parametrize("name", ["digits.csv", "digits.csv.gz"])
def test_what_is_written_reads_back_equal(tmp_path: Path, name: str) -> None:
    write_csv(tmp_path / name, IMAGES, LABELS)
    images, labels = read_csv(tmp_path / name)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_every_value_survives_and_blocks_do_not_show(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "BLOCK", 4000)  # one or two lines
    images = np.arange(30 * 784).astype(np.uint8).reshape(-1, 28, 28)
    write_csv(path, images, np.arange(30) % 10)
    assert path.read_bytes().startswith(b"label,1x1,1x2,")
    np.testing.assert_array_equal(read_csv(path)[0], images)


def test_arrays_that_are_no_digits_are_not_written(path: Path) -> None:
    with pytest.raises(ValueError, match=r"images are uint8 \[N, 28, 28\], not int64"):
        write_csv(path, IMAGES.astype(np.int64), LABELS)
    with pytest.raises(ValueError, match="labels are 12 whole numbers from 0 to 9"):
        write_csv(path, IMAGES, LABELS - 10)
    assert not path.exists()


def test_a_file_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("the old content")
    monkeypatch.setattr(csv_file, "_format", refuse)
    with pytest.raises(AssertionError):
        write_csv(path, IMAGES, LABELS)
    assert [file.name for file in path.parent.iterdir()] == ["digits.csv"]
    assert path.read_text() == "the old content"


# ---- a bad file gets one clear error ----

PIXEL = "is not a pixel, a whole number from 0 to 255"
BAD_CELLS = ["3.5", "abc", "256", "-1", "1e3", "999", "1000", "1_0", "0x1", "True", "nan", "inf", "٣", "1 2", "9" * 400]


@pytest.mark.parametrize("cell", BAD_CELLS)
@pytest.mark.parametrize("rows", [1, 12], ids=["one row", "many rows"])
def test_a_bad_pixel_is_named_with_its_place(path: Path, cell: str, rows: int) -> None:
    path.write_bytes(text(changed(rows, 29, cell)[: rows + 1]))
    with pytest.raises(CSVError) as error:
        read_csv(path)
    assert f"{path}, line {rows + 1}, column 30 ('2x1'): '{cell[:40]}' {PIXEL}. Correct it" in str(error.value)


BAD_FILES = {
    "label too large": (text(changed(7, 0, "10")), ["line 8, column 1 ('label'): '10' is not a label", "0 to 9"]),
    "label a letter": (text(changed(7, 0, "A")), ["line 8, column 1 ('label'): 'A' is not a label"]),
    "empty cell": (text(changed(2, 784, "")), ["line 3, column 785 ('28x28'): an empty cell is not a pixel"]),
    "blank cell": (text(changed(2, 784, "  ")), ["line 3, column 785 ('28x28'): an empty cell is not a pixel"]),
    "no header": (text(changed(5, 3, "300")[1:]), ["line 5, column 4: '300' is not a pixel"]),
    "no header, first line": (text(changed(1, 3, "x")[1:]), ["line 1, column 4: 'x' is not a pixel"]),
    "after blank lines": (b"\n\n" + text(changed(5, 3, "300"), end="\n\n"), ["line 13, column 4 ('1x3'): '300'"]),
    "scaled pixels": (text(changed(1, 3, "0.53")), ["line 2, column 4 ('1x3'): '0.53' is not a pixel"]),
    "a row too short": (text([HEADER, *table()[:3], table()[3][:-1]]), ["line 5: 784 columns", "header has 785"]),
    "a row too long": (text([HEADER, *table()[:3], [*table()[3], "0"]]), ["line 5: 786 columns", "header has 785"]),
    "all rows too short": (text([HEADER, *table(None)]), ["line 2: 784 columns, where the header has 785"]),
    "all rows too long": (
        text([HEADER, *([*row, "0"] for row in table())]),
        ["line 2: 786 columns, where the header has 785"],
    ),
    "no header, one too short": (text([*table()[:3], table()[3][:-1]]), ["line 4: 784 columns", "first line has 785"]),
    "no header, all too short": (text([row[:-2] for row in table()]), ["line 1: 783 columns. Without a header"]),
    "a line end lost": (text([HEADER, table()[0] + table()[1]]), ["line 2: 1570 columns"]),
    "empty": (b"", ["digits.csv: it is empty"]),
    "only blank lines": (b"\n \n\n", ["digits.csv: it is empty"]),
    "header only": (text([HEADER]), ["digits.csv: it has a header and no digits below it"]),
    "duplicate names": (text(changed(0, 5, "1x2")), ["line 1, column 6: the name '1x2' stands here and in column 3"]),
    "two labels": (text(changed(0, 5, "Label")), ["line 1, column 6: the name 'label' stands here and in column 1"]),
    "no label named": (text(changed(0, 0, "digit")), ["line 1: 785 columns, from 'digit' to '28x28'", "none of them"]),
    "an index column": (
        text([["", *HEADER], *(["0", *row] for row in table())]),
        ["line 1: 786 columns, from '' to '28x28', one of them named 'label'"],
    ),
    "semicolons": (text([HEADER, *table()]).replace(b",", b";"), ["line 1: 1 columns, from 'label;1x1;", "commas"]),
    "words": (b"hello\nworld\n", ["line 1: 1 columns, from 'hello'"]),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), ["line 1, column 1", "PNG", "is not text. Is it a CSV file"]),
    "a zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00\xb5" + bytes(100), ["line 1, column 1", "is not text"]),
    "UTF-16": (text([HEADER, *table()]).decode().encode("utf-16"), ["line 1, column 1", "saved as UTF-8"]),
    "Latin-1": (text(changed(3, 9, "?")).replace(b"?", b"\xe9"), ["line 4, column 10: b'\\xe9", "saved as UTF-8"]),
    "a NUL": (text(changed(3, 9, "1\0")), ["line 4, column 10 ('1x9'): '1\\x00' is not a pixel"]),
    "an open quote": (text(changed(3, 9, '"1')), ["line 4: not a line of a CSV file", "unexpected end of data"]),
    "a closed quote too early": (text(changed(3, 9, '"5"5')), ["line 4: not a line of a CSV file", "expected after"]),
    "a line end in quotes": (text(changed(3, 9, '"5\n"')), ["line 4: not a line of a CSV file"]),
    "CR line ends": (text([HEADER, *table()], end="\r"), ["line 1: not a line of a CSV file", "lines ending in LF"]),
    "gzip cut short": (gzip.compress(text([HEADER, *table()]))[:-100], ["the gzip file is damaged", "again"]),
    "gzip overwritten": (gzip.compress(text([HEADER, *table()]))[:-8] + bytes(8), ["the gzip file is damaged"]),
}


@pytest.mark.parametrize(("content", "fragments"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_gets_one_clear_error(path: Path, content: bytes, fragments: list[str]) -> None:
    path.write_bytes(content)
    with pytest.raises(CSVError) as error:
        read_csv(path)
    assert str(path) in str(error.value)
    for fragment in fragments:
        assert fragment in str(error.value)
    assert [file.name for file in path.parent.rglob("*.npy")] == []  # nothing half-written


def test_the_line_is_right_beyond_the_first_block(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "BLOCK", 4000)
    path.write_bytes(text(changed(12, 1, "300")))
    with pytest.raises(CSVError, match=r"line 13, column 2 \('1x1'\): '300'"):
        read_csv(path)


def test_a_missing_file_suggests_its_neighbours(path: Path) -> None:
    write_csv(path, IMAGES, LABELS)
    with pytest.raises(CSVError, match=r"digist.csv: there is no such file. Did you mean 'digits.csv'\?"):
        read_csv(path.with_name("digist.csv"))
    with pytest.raises(CSVError, match="Its folder does not exist either"):
        read_csv(path.parent / "nowhere" / "digits.csv")
    with pytest.raises(CSVError, match="this is a folder"):
        read_csv(path.parent)


def test_the_plain_parser_never_disagrees_with_the_exact_one(path: Path) -> None:
    layout = csv_file.Layout(None, 0, 3, 0)
    accepted = 0
    some = [*["0", "7", "9", "05", "007"] * 5, "10", "42", "255", "256", "0000", "", " 1", ",", "\n"]
    for _ in range(1000):
        cells = RNG.choice(some, 6)
        block = (",".join(cells[:3]) + "\n" + ",".join(cells[3:]) + "\n").encode()
        plain = csv_file._parse_plain(block, layout)
        if plain is not None:
            accepted += 1
            np.testing.assert_array_equal(plain, csv_file._parse_cells(block, layout, path=path, first_line=1))
    assert 100 < accepted < 900


# ---- the cache ----


def test_the_second_reading_comes_from_the_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(path, IMAGES, LABELS)
    read_csv(path)
    monkeypatch.setattr(csv_file, "_copy_digits", refuse)
    images, labels = read_csv(path)
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    with pytest.raises(AssertionError):
        read_csv(path, cache=False)


def test_a_changed_file_is_parsed_again_and_its_old_cache_removed(path: Path) -> None:
    write_csv(path, IMAGES, LABELS)
    read_csv(path)
    write_csv(path, IMAGES, 9 - LABELS)  # of the same size
    os.utime(path, ns=(0, 0))
    np.testing.assert_array_equal(read_csv(path)[1], 9 - LABELS)
    assert len(list(path.parent.glob("digits.csv.cache/*/images.npy"))) == 1


def test_writing_to_the_arrays_changes_no_file(path: Path) -> None:
    write_csv(path, IMAGES, LABELS)
    images, _ = read_csv(path)
    images[:] = 0  # allowed: torch.from_numpy warns of arrays that are read-only
    np.testing.assert_array_equal(read_csv(path)[0], IMAGES)


@pytest.mark.parametrize("damage", [b"", b"not an array"], ids=["emptied", "overwritten"])
def test_a_damaged_cache_is_made_anew(path: Path, damage: bytes) -> None:
    write_csv(path, IMAGES, LABELS)
    read_csv(path)
    next(path.parent.rglob("images.npy")).write_bytes(damage)
    np.testing.assert_array_equal(read_csv(path)[0], IMAGES)


def test_what_a_killed_process_left_is_cleared(path: Path) -> None:
    write_csv(path, IMAGES, LABELS)
    left = path.parent / "digits.csv.cache" / "unfinished"
    left.mkdir(parents=True)
    (left / "images.npy").write_bytes(b"half")
    np.testing.assert_array_equal(read_csv(path)[0], IMAGES)
    assert not left.exists()


def test_an_interruption_leaves_nothing_half_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    write_csv(path, IMAGES, LABELS)
    monkeypatch.setattr(csv_file, "_parse_plain", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_csv(path)
    assert [file.name for file in (path.parent / "digits.csv.cache").iterdir()] == ["lock"]


def test_without_a_place_for_the_cache_the_file_is_read_and_one_warning_given(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(path, IMAGES, LABELS)
    path.with_name("digits.csv.cache").write_text("a file where the folder would be")  # as root, no folder is read-only
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(read_csv(path)[0], IMAGES)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith(f"{path} is read without a cache, anew at every start: ")


def read_and_count(path: Path) -> tuple[int, int]:
    """In another process: how often it parsed the file, and the sum of all pixels."""
    parsed = 0
    copy_digits: Callable[[Path, object, object], tuple[int, int]] = csv_file._copy_digits

    def count(*args: object) -> tuple[int, int]:
        nonlocal parsed
        parsed += 1
        return copy_digits(*args)

    csv_file._copy_digits = count
    return int(read_csv(path)[0].astype(np.int64).sum()), parsed


def test_many_processes_parse_a_file_once(path: Path) -> None:
    write_csv(path, IMAGES.repeat(50, axis=0), LABELS.repeat(50))
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        sums, parsed = zip(*pool.map(read_and_count, [path] * 3), strict=True)
    assert set(sums) == {50 * IMAGES.astype(np.int64).sum()}
    assert sum(parsed) == 1


def test_importing_the_module_brings_no_heavy_package() -> None:
    code = "import sys, mnist_exp.data.csv_file; print({'torch', 'pandas', 'filelock'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"

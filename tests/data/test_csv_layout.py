"""How people write tables of digits: python -m pytest tests/data/test_csv_layout.py"""

import logging
from pathlib import Path

import numpy as np
import pytest
from conftest import make_digits

from mnist_exp.data.csv_file import read_csv
from mnist_exp.data.csv_parse import CSVError
from mnist_exp.data.digit_forms import enlarge

DIGITS = make_digits(40)
IMAGES, LABELS = DIGITS.images.numpy(), DIGITS.labels.numpy()
ROWS = IMAGES.reshape(40, 784)
SMALL = np.random.default_rng(0).integers(0, 17, (40, 64)) * (np.arange(64) % 8 > 2)
PIXEL_NAMES = [f"pixel{index}" for index in range(784)]


def text(*columns: np.ndarray, names: list[str] | None = None, between: str = ",", end: str = "\n") -> str:
    """A table of these columns (N,) and groups of columns (N, n)."""
    lines = [[f"{value:.7g}" for value in row] for row in np.column_stack(columns)]
    return "".join(between.join(line) + end for line in [*([names] if names else []), *lines])


NUMBERS = np.arange(40)
SHUFFLED = np.random.default_rng(0).permutation(40)
FORMS = {
    "label first": text(LABELS, ROWS),
    "label last": text(ROWS, LABELS),
    "label last, sorted": text(ROWS[LABELS.argsort(kind="stable")], np.sort(LABELS)),
    "class": text(ROWS, LABELS, names=[*PIXEL_NAMES, "class"]),
    "target": text(LABELS, ROWS, names=["Target", *PIXEL_NAMES]),
    "digit": text(LABELS, ROWS, names=["digit", *PIXEL_NAMES]),
    "an unknown name, first": text(LABELS, ROWS, names=["answer", *PIXEL_NAMES]),
    "an unknown name, last": text(ROWS, LABELS, names=[*PIXEL_NAMES, "answer"]),
    "a numbered header": text(LABELS, ROWS, names=[str(number) for number in range(785)]),
    "a numbered header, label last": text(ROWS, LABELS, names=[str(number) for number in range(785)]),
    "an index without a name": text(NUMBERS, LABELS, ROWS, names=["", "label", *PIXEL_NAMES]),
    "a shuffled index": text(SHUFFLED, LABELS, ROWS, names=["Unnamed: 0", "label", *PIXEL_NAMES]),
    "an index, no header": text(NUMBERS + 1, LABELS, ROWS),
    "an index, no header, label last": text(NUMBERS, ROWS, LABELS),
    "a long index": text(NUMBERS + 59_990, LABELS, ROWS),
    "semicolons": text(LABELS, ROWS, between=";"),
    "tabs": text(LABELS, ROWS, between="\t", names=["label", *PIXEL_NAMES]),
    "blanks": text(LABELS, ROWS, between=" "),
    "decimal commas": text(LABELS, ROWS / 255, between=";").replace(".", ","),
    "tabs and decimal commas": text(LABELS, ROWS / 255, between="\t").replace(".", ","),
    "CR": text(LABELS, ROWS, end="\r"),
    "CRLF and a blank last row": text(LABELS, ROWS, end="\r\n") + "\r\n",
    "CR CR LF": text(LABELS, ROWS, end="\r\r\n"),
    "0 to 1": text(LABELS, ROWS / 255),
    "0 to 1, label last": text(ROWS / 255, LABELS, names=[*PIXEL_NAMES, "label"]),
    "0 to 1, an index": text(NUMBERS, LABELS, ROWS / 255),
    "dark on light": text(LABELS, 255 - ROWS),
    "dark on light, label last": text(255 - ROWS, LABELS),
    "dark on light, 0 to 1, label last": text(1 - ROWS / 255, LABELS),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_digits(tmp_path: Path, name: str):
    (tmp_path / "digits.csv").write_text(FORMS[name], newline="")
    images, labels = read_csv(tmp_path / "digits.csv")
    order = LABELS.argsort(kind="stable") if "sorted" in name else np.arange(40)
    np.testing.assert_array_equal(images, IMAGES[order])
    np.testing.assert_array_equal(labels, LABELS[order])


@pytest.mark.parametrize("block_bytes", [1, 3000])
@pytest.mark.parametrize("name", ["label last, sorted", "an index, no header", "decimal commas", "CR", "CR CR LF"])
def test_the_size_of_a_block_changes_no_digit(
    tmp_path: Path, name: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mnist_exp.data.csv_parse.BLOCK_BYTES", block_bytes)
    test_every_form_gives_the_same_digits(tmp_path, name)


@pytest.mark.parametrize(
    "content",
    [
        text(LABELS, SMALL),
        text(SMALL, LABELS),  # optdigits.tra of UCI
        text(SMALL, LABELS, names=[*(f"pixel_{row}_{column}" for row in range(8) for column in range(8)), "target"]),
        text(NUMBERS, SMALL / 16, LABELS),
    ],
    ids=["label first", "UCI", "scikit-learn", "an index, 0 to 1"],
)
def test_images_of_8x8_are_enlarged(tmp_path: Path, content: str):
    (tmp_path / "digits.csv").write_text(content)
    images, labels = read_csv(tmp_path / "digits.csv")
    np.testing.assert_array_equal(labels, LABELS)
    expected = enlarge(SMALL.reshape(40, 8, 8) / 16)
    assert np.abs(images.astype(int) - expected).max() <= 2  # 0 to 1 is rounded to 0 to 255 first


@pytest.mark.parametrize("columns", [(ROWS,), (NUMBERS, ROWS)], ids=["pixels", "an index and pixels"])
@pytest.mark.parametrize("header", [True, False])
def test_a_table_without_labels_has_none(tmp_path: Path, columns: tuple[np.ndarray, ...], header: bool):
    names = [*[""] * (len(columns) - 1), *PIXEL_NAMES] if header else None
    (tmp_path / "test.csv").write_text(text(*columns, names=names))
    images, labels = read_csv(tmp_path / "test.csv", labels="optional")
    assert labels is None
    np.testing.assert_array_equal(images, IMAGES)


def test_a_single_row_is_read(tmp_path: Path):
    for columns in ((LABELS, ROWS), (ROWS, LABELS), (NUMBERS, LABELS, ROWS)):
        (tmp_path / "seven.csv").write_text(text(*(column[7:8] for column in columns)))
        images, labels = read_csv(tmp_path / "seven.csv")
        np.testing.assert_array_equal(images, IMAGES[7:8])
        assert labels is not None
        assert labels.tolist() == [7]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (text(LABELS, ROWS[:, 1:], LABELS[::-1]), "column 1 has values from 0 to 9, 10 different and column 785 has"),
        (text(ROWS, LABELS + 1), "column 785 has values from 1 to 10"),
        (text(np.where(ROWS[:, :1] == 0, 200, 0), LABELS, ROWS), "column 1 does not number the rows"),
        (text(LABELS, NUMBERS, ROWS, names=["label", "id", *PIXEL_NAMES]), "column 1 does not number the rows"),
        (text(LABELS, ROWS[:, :700]), "line 1: 701 columns. Without a header"),
        (text(LABELS, ROWS[:, :700], names=["label", *PIXEL_NAMES[:700]]), "line 1: 701 columns, from 'label' to"),
        (text(LABELS, ROWS / 100), "is not a pixel, a whole number from 0 to 255"),
        (text(LABELS, ROWS / 255 - 0.5), "'-0.5' is not a pixel, a number from 0 to 1"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, content: str, fragment: str):
    (tmp_path / "digits.csv").write_text(content)
    with pytest.raises(CSVError, match=fragment) as error:
        read_csv(tmp_path / "digits.csv")
    assert str(error.value).startswith(f"{tmp_path / 'digits.csv'}")


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("label first", "", ""),
        ("label last", "INFO", "the last column is taken for the label"),
        ("class", "INFO", "the last column ('class') is taken for the label"),
        ("an index, no header", "INFO", "column 1 is taken for the rows' numbers and left out, column 2 is taken for"),
        ("semicolons", "INFO", "semicolons separate the cells"),
        ("0 to 1", "INFO", "the pixels are scaled from 0..1 to 0..255"),
        ("dark on light", "WARNING", "the digits are dark on a bright background. They are inverted"),
    ],
)
def test_what_was_taken_for_what_is_logged(
    tmp_path: Path, name: str, level: str, message: str, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "digits.csv"
    path.write_text(FORMS[name])
    with caplog.at_level(logging.INFO):
        read_csv(path)
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert len(found) == bool(level)
    for found_level, text_ in found:
        assert found_level == level
        assert text_.startswith(f"{path}: {message}")

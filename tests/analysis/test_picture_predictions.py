"""Pictures that are read, drawn and listed: python -m pytest tests/analysis/test_picture_predictions.py -v"""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import drawn
from PIL import Image
from rich.console import Console

from mnist_exp.analysis import picture_predictions
from mnist_exp.analysis.picture_predictions import Prediction, draw, find_files, list_failures, read_digits
from mnist_exp.models.classifier import DigitClassifier


def test_files_folders_patterns_and_odd_names_are_found(pictures: Path):
    odd = pictures / "my [old] digit.jpeg"
    Image.new("L", (28, 28)).save(odd)
    (pictures / "notes.txt").touch()
    every = [pictures / f"{label}.png" for label in range(3)]
    assert list(find_files(str(pictures))) == [*every, odd]
    assert list(find_files([str(odd), f"{pictures}/[01].png"])) == [odd, *every[:2]]
    assert list(find_files("nowhere*.png")) == [Path("nowhere*.png")]


def test_each_file_gives_a_digit_or_a_reason(pictures: Path):
    (pictures / "1.png").write_bytes(b"no image")
    digits = read_digits([str(pictures), f"{pictures}/2.png"], photo=False)
    assert list(digits.images) == [f"{pictures}/0.png", f"{pictures}/2.png"]
    assert np.array_equal(digits.images[f"{pictures}/2.png"], drawn(2, seed=2))
    assert list(digits.failures) == [f"{pictures}/1.png"]
    assert not digits.is_unlabelled_table


def test_hidden_files_are_not_found_and_formats_that_are_not_read_are_named(pictures: Path):
    (pictures / ".cache").mkdir()
    for name in ("._0.png", ".cache/0.png", "scan.pdf", "photo.HEIC"):
        (pictures / name).write_bytes(b"no image")
    digits = read_digits(str(pictures), photo=False)
    assert [Path(name).name for name in digits.images] == ["0.png", "1.png", "2.png"]
    assert [why.partition(": ")[2] for why in digits.failures.values()] == [
        "HEIC files are not read; convert it to JPEG or PNG",
        "PDF files are not read; convert it to JPEG or PNG",
    ]


@pytest.mark.parametrize("name", ["digits.csv", "DIGITS.CSV", "digits.tsv"])
def test_the_rows_of_a_csv_are_numbered_from_1(tmp_path: Path, name: str):
    images = np.stack([drawn(label, seed=0) for label in range(2)])
    header = ",".join(f"pixel{index}" for index in range(784))
    np.savetxt(tmp_path / name, images.reshape(2, 784), fmt="%d", delimiter=",", header=header, comments="")
    digits = read_digits(str(tmp_path / name), photo="auto")
    assert digits.is_unlabelled_table
    assert digits.failures == {}
    assert list(digits.images) == ["1", "2"]
    assert np.array_equal(digits.images["2"], images[1])


def test_failures_are_listed_one_a_line():
    text = list_failures({"a.png": "a.png: no image", "b.png": "is a folder"})
    assert text == "2 could not be read:\n  a.png: no image\n  b.png: is a folder"


def test_a_prediction_is_the_two_largest_probabilities(monkeypatch: pytest.MonkeyPatch):
    probs = torch.tensor([[0.0, 0.12345678, 0.0, 0.8, *[0.0] * 6], [0.6, *[0.0] * 8, 0.4]])
    model = DigitClassifier(name="fixed", net=torch.nn.Identity())
    monkeypatch.setattr(model, "probabilities", lambda images: probs[: len(images)])
    images = {name: np.zeros((28, 28), np.uint8) for name in ("a", "b")}
    assert picture_predictions.predict_each(model, images) == [
        Prediction("a", 3, 0.8, 1, 0.123457),
        Prediction("b", 0, 0.6, 9, 0.4),
    ]


def test_an_answer_below_the_least_confidence_is_not_sure(monkeypatch: pytest.MonkeyPatch):
    probs = torch.tensor([[0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, 0.0], [0.0, 0.1, *[0.0] * 7, 0.9]]).double()
    model = DigitClassifier(name="fixed", net=torch.nn.Identity())
    monkeypatch.setattr(model, "probabilities", lambda images: probs[: len(images)])
    images = {name: np.zeros((28, 28), np.uint8) for name in ("a", "b")}
    found = picture_predictions.predict_each(model, images, min_confidence=0.75)
    assert found == [Prediction("a", 7, 0.6, 1, 0.4, sure=False), Prediction("b", 9, 0.9, 1, 0.1)]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(picture_predictions.table(found))
    a, b = (line.split() for line in shown.get().splitlines() if line.strip()[:2] in ("a ", "b "))
    assert a == ["a", "7", "0.6000", "1", "0.4000", "no"]
    assert b == ["b", "9", "0.9000", "1", "0.1000", "yes"]


def test_the_table_shows_the_first_twenty_by_folder_and_name():
    found = [Prediction(f"/far/away/[b]{index}.png", 7, 0.9, 1, 0.05) for index in range(21)]
    console = Console(width=100, record=True)
    with console.capture() as shown:
        console.print(picture_predictions.table(found))
    text = shown.get()
    assert "away/[b]19.png" in text
    assert "[b]20.png" not in text
    assert "far" not in text
    assert [text.count("0.9000"), text.count("0.0500")] == [20, 20]


@pytest.mark.parametrize(
    ("kaggle", "rows"),
    [
        (True, [["ImageId", "Label"], ["1", "7"]]),
        (False, [list(Prediction._fields), ["1", "7", "0.9", "1", "0.05", "False"]]),
    ],
)
def test_predictions_are_written_in_full_or_as_kaggle_takes_them(tmp_path: Path, kaggle: bool, rows: list[list[str]]):
    path = tmp_path / "new folder" / "predictions.csv"
    picture_predictions.write_predictions(path, [Prediction("1", 7, 0.9, 1, 0.05, sure=False)], kaggle=kaggle)
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == rows


def test_a_drawing_has_two_pixels_a_character_in_blocks_or_greys():
    image = np.zeros((28, 28), np.uint8)
    image[0, 0] = image[1, 1] = image[2:4, 2] = 200
    lines = draw(image, colour=False).plain.split("\n")
    assert [line[:4] for line in lines[:2]] == ["▀▄  ", "  █ "]
    assert [len(line) for line in lines] == [28] * 14
    console = Console(color_system="truecolor", force_terminal=True, width=40)
    with console.capture() as capture:
        console.print(draw(image, colour=True))
    assert "\x1b[38;2;200;200;200;48;2;0;0;0m▀" in capture.get()


def test_a_character_is_ink_above_half_grey():
    image = np.zeros((28, 28), np.uint8)
    image[0, :3] = [126, 127, 128]
    assert draw(image, colour=False).plain[:4] == "  ▀ "

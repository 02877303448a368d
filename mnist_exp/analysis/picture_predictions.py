"""Predictions of single pictures: the digits are read, each is predicted, and the answers are shown and written."""

import csv
import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from mnist_exp.data.named_sets import DIGITS, NAMED_SETS
from mnist_exp.files import atomic_write, write_bytes, write_errors

if TYPE_CHECKING:
    from mnist_exp.imaging.photo import Steps
    from mnist_exp.models.classifier import DigitClassifier

TABLES = (".csv", ".tsv", ".txt")  # how their names end, also with .gz
MAX_ROWS = 20  # of the printed table
KAGGLE_COLUMNS = ("ImageId", "Label")


class Prediction(NamedTuple):
    """A row of predictions.csv, in which the labels of other classes than digits have their names."""

    file: str
    label: int
    probability: float
    runner_up: int
    runner_up_probability: float
    sure: bool = True


class ReadDigits(NamedTuple):
    """The digits that a user named.

    images: uint8 (28, 28) by file name, or in a table by the row's number counted from 1 (Kaggle's ImageId).
    failures: what is wrong with each file that could not be read.
    is_unlabelled_table: whether it is a table without labels, such as Kaggle's test.csv.
    steps: what the photo preprocessing did with each file, also where it failed.
    """

    images: dict[str, np.ndarray]
    failures: dict[str, str]
    is_unlabelled_table: bool
    steps: "dict[str, Steps]"


# --- reading ---


def read_digits(
    images: str | Iterable[str], *, photo: bool | str, dataset: str = "mnist", keep_steps: bool = False
) -> ReadDigits:
    """Reads image files, folders, patterns, or a table. `photo`: as `image_folder.read_image_file` takes it.

    dataset: the named set whose pictures they resemble. Where it shows no pen strokes, they are only scaled.
    """
    from mnist_exp.data.image_folder import photo_setting

    names = [images] if isinstance(images, str) else list(images)
    if len(names) == 1 and names[0].lower().removesuffix(".gz").endswith(TABLES):
        from mnist_exp.data.csv_file import read_csv

        rows, labels = read_csv(Path(names[0]), labels="optional", strokes=NAMED_SETS[dataset].strokes)
        by_number = {str(number): row for number, row in enumerate(rows, 1)}
        return ReadDigits(by_number, {}, is_unlabelled_table=labels is None, steps={})
    steps = dict[str, "Steps"]()
    read = read_files(find_files(names), photo=photo_setting(photo, dataset), steps=steps if keep_steps else None)
    return ReadDigits(
        images={name: image for name, image in read.items() if not isinstance(image, Exception)},
        failures={name: str(error) for name, error in read.items() if isinstance(error, Exception)},
        is_unlabelled_table=False,
        steps=steps,
    )


def find_files(images: str | Iterable[str]) -> Iterator[Path]:
    """The image files that a user named: files, folders and patterns. A name that leads nowhere comes back as it is."""
    from mnist_exp.data.image_folder import is_hidden, is_picture

    for name in [images] if isinstance(images, str) else images:
        path = Path(name)
        if path.is_dir():
            files = [file for file in path.rglob("*") if not any(map(is_hidden, file.relative_to(path).parts))]
            yield from sorted(filter(is_picture, files)) or [path]
        elif path.exists():
            yield path
        else:
            yield from map(Path, sorted(glob.glob(name, recursive=True)) or [name])  # noqa: PTH207, absolute ones too


def read_files(
    paths: Iterable[Path], *, photo: bool | str, steps: "dict[str, Steps] | None" = None
) -> dict[str, np.ndarray | Exception]:
    """Each file's digit, uint8 (28, 28), or what is wrong with the file. `steps` gets what was done with each."""
    from mnist_exp.data.image_folder import read_image_file

    def read(path: Path) -> np.ndarray | Exception:
        try:
            return read_image_file(path, photo=photo, steps=None if steps is None else steps[str(path)])
        except (ValueError, OSError) as error:
            return error

    names = list(dict.fromkeys(map(str, paths)))
    if steps is not None:
        steps.update((name, []) for name in names)
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(read, map(Path, names)), strict=True))


def list_failures(failures: Mapping[str, str]) -> str:
    """One line for each file that could not be read."""
    lines = [f"  {name}: {why.removeprefix(f'{name}: ')}" for name, why in failures.items()]
    return "\n".join([f"{len(failures)} could not be read:", *lines])


# --- predicting ---


def predict_each(
    model: "DigitClassifier", images: Mapping[str, np.ndarray], *, min_confidence: float = 0.0
) -> list[Prediction]:
    """A prediction for each image, with probabilities rounded to six digits. Below `min_confidence` it is not sure."""
    predictions = []
    probs = model.probabilities(torch.from_numpy(np.stack(list(images.values()))))
    for name, row in zip(images, probs, strict=True):
        (best, second), (label, runner_up) = (each.tolist() for each in row.topk(2))
        predictions.append(Prediction(name, label, round(best, 6), runner_up, round(second, 6), best >= min_confidence))
    return predictions


# --- showing and writing. classes: what the labels 0 to 9 mean ---


def drawings(
    console: Console,
    predictions: Iterable[Prediction],
    images: Mapping[str, np.ndarray],
    classes: Sequence[str] = DIGITS,
) -> Columns:
    """What the network saw, side by side in as many columns as the terminal has room for."""
    colour = console.color_system in ("256", "truecolor")
    return Columns(
        Panel.fit(
            draw(images[each.file], colour=colour), title=escape(Path(each.file).name), subtitle=answer(each, classes)
        )
        for each in predictions
    )


def answer(each: Prediction, classes: Sequence[str]) -> str:
    """`7`, or `not sure: 7 or 1`."""
    return classes[each.label] if each.sure else f"not sure: {classes[each.label]} or {classes[each.runner_up]}"


def draw(image: np.ndarray, *, colour: bool) -> Text:
    """An image as 14 lines of 28 characters, each two pixels high: in grey, or without colour as ink and no ink."""
    text = Text()
    for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        for top, bottom in zip(upper, lower, strict=True):
            if colour:
                text.append("▀", style=f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
            else:
                text.append(" ▄▀█"[2 * (top > 127) + (bottom > 127)])
        text.append("\n")
    text.right_crop()
    return text


def write_steps(folder: Path, digits: ReadDigits) -> int:
    """Writes a PNG for each photo with what was made of it, step by step. Returns how many."""
    from mnist_exp.imaging.photo_steps import draw_steps

    shown = {name: steps for name, steps in digits.steps.items() if steps}
    for number, (name, steps) in enumerate(shown.items(), 1):
        sheet, data = draw_steps(steps, digits.failures.get(name, name)), BytesIO()
        sheet.save(data, "PNG")
        write_bytes(folder / f"{number:03}-{Path(name).stem}.png", data.getvalue())
    return len(shown)


def table(predictions: list[Prediction], classes: Sequence[str] = DIGITS) -> Table:
    """The first predictions. Only a file's folder and name are shown, so that rows fit on a line."""
    from rich.box import SIMPLE_HEAD

    columns = ["label", "probability", "runner-up", "probability"]
    unsure = any(not each.sure for each in predictions)
    rows = Table(Column("image", overflow="fold"), *columns, *["sure"] * unsure, box=SIMPLE_HEAD)
    for each in predictions[:MAX_ROWS]:
        name = "/".join(Path(each.file).parts[-2:])
        probabilities = f"{each.probability:.4f}", f"{each.runner_up_probability:.4f}"
        cells = classes[each.label], probabilities[0], classes[each.runner_up], probabilities[1]
        rows.add_row(escape(name), *cells, *["yes" if each.sure else "no"] * unsure)
    return rows


def check_replaceable(path: Path) -> None:
    """Raises ValueError where writing to `path` would replace a file that holds no predictions."""
    columns = Prediction._fields, Prediction._fields[:-1], KAGGLE_COLUMNS  # the second: before there was `sure`
    headers = [",".join(names).encode() for names in columns]
    with write_errors(path):
        if not path.is_file():
            return
        with path.open("rb") as file:
            header = file.readline(1000).strip()
    if header and header not in headers:
        raise ValueError(f"output={path} would replace a file that holds no predictions: choose another output=...")


def write_predictions(
    path: Path, predictions: Iterable[Prediction], *, kaggle: bool, classes: Sequence[str] = DIGITS
) -> None:
    """Writes a CSV file with a row for each prediction, whole or not at all.

    kaggle: only ImageId and Label, a number, as Kaggle's Digit Recognizer takes a submission.
    """

    def named(each: Prediction) -> tuple[Any, ...]:
        return each._replace(label=classes[each.label], runner_up=classes[each.runner_up])  # type: ignore[arg-type]

    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(KAGGLE_COLUMNS if kaggle else Prediction._fields)
        rows.writerows((each.file, each.label) if kaggle else named(each) for each in predictions)

"""Read digits: the label, how sure the network is, what else it might be, and what the network saw.

python -m mnist_exp.predict ckpt_path=outputs/runs/.../checkpoints/best.ckpt images='photos/*.jpg'
python -m mnist_exp.predict ckpt_path=outputs/runs/.../checkpoints/best.ckpt images=test.csv output=submission.csv
"""

import csv
import glob
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnist_exp.cli.command import command, fail

if TYPE_CHECKING:
    import numpy as np
    from omegaconf import DictConfig
    from rich.columns import Columns
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

DRAWN, LISTED = 10, 20  # images drawn with show=auto, and rows printed


class Prediction(NamedTuple):
    """A row of predictions.csv."""

    file: str
    label: int
    probability: float
    runner_up: int
    runner_up_probability: float


def predict(cfg: "DictConfig") -> tuple[list[Prediction], dict[str, str]]:
    """Predicts every digit of `cfg.images`. Returns a row for each, and the files that gave none, with the reason.

    Raises ValueError or OSError where nothing can be predicted.
    """
    for key in ("ckpt_path", "images"):
        if not cfg[key]:
            raise ValueError(f"{key}=... is needed: ckpt_path=outputs/runs/.../checkpoints/best.ckpt images='*.jpg'")

    import numpy as np
    import torch
    from rich.console import Console

    from mnist_exp.models.checkpoint import load_classifier

    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    model, _ = load_classifier(cfg.ckpt_path)
    from_csv = isinstance(cfg.images, str) and cfg.images.lower().endswith((".csv", ".csv.gz"))
    read = read_rows(Path(cfg.images)) if from_csv else read_files(find_files(cfg.images), photo=cfg.photo)
    images = {name: image for name, image in read.items() if not isinstance(image, Exception)}
    failures = {name: str(error) for name, error in read.items() if isinstance(error, Exception)}
    if not images:
        raise ValueError(report(failures))

    predictions = []
    for name, row in zip(images, model.probabilities(torch.from_numpy(np.stack(list(images.values())))), strict=True):
        (best, second), (label, runner_up) = (each.tolist() for each in row.topk(2))
        predictions.append(Prediction(name, label, round(best, 6), runner_up, round(second, 6)))

    console = Console()
    if cfg.show is True or (cfg.show == "auto" and len(images) <= DRAWN):
        console.print(drawings(console, predictions, images))
    console.print(listing(predictions))
    write(Path(cfg.output), predictions, kaggle=from_csv)
    print(f"{len(predictions):,} predictions in {cfg.output}")
    return predictions, failures


# --- what is read ---


def read_rows(path: Path) -> dict[str, "np.ndarray"]:
    """The digits of a CSV file, uint8 (28, 28), by Kaggle's ImageId, which counts from 1."""
    from mnist_exp.data.csv_file import read_csv

    images, _ = read_csv(path, labels="optional")
    return {str(number): image for number, image in enumerate(images, 1)}


def find_files(images: str | Iterable[str]) -> Iterator[Path]:
    """The image files that a user named: files, folders and patterns. What leads nowhere is passed on as it is."""
    from mnist_exp.data.image_folder import SUFFIXES

    for name in [images] if isinstance(images, str) else images:
        path = Path(name)
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES) or [path]
        elif path.exists():
            yield path
        else:
            yield from map(Path, sorted(glob.glob(name, recursive=True)) or [name])  # noqa: PTH207, absolute ones too


def read_files(paths: Iterable[Path], *, photo: bool | str) -> dict[str, "np.ndarray | Exception"]:
    """Each file's digit, uint8 (28, 28), or what is wrong with it."""
    from mnist_exp.data.image_folder import read_image_file

    def read(path: Path) -> "np.ndarray | Exception":
        try:
            return read_image_file(path, photo=photo)
        except (ValueError, OSError) as error:
            return error

    names = list(dict.fromkeys(map(str, paths)))
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(read, map(Path, names)), strict=True))


def report(failures: dict[str, str]) -> str:
    """One line for each file that could not be read."""
    lines = [f"  {name}: {why.removeprefix(f'{name}: ')}" for name, why in failures.items()]
    return "\n".join([f"{len(failures)} could not be read:", *lines])


# --- what is shown and written ---


def drawings(console: "Console", predictions: list[Prediction], images: dict[str, "np.ndarray"]) -> "Columns":
    """What the network saw, side by side as far as the terminal is wide."""
    from rich.columns import Columns
    from rich.markup import escape
    from rich.panel import Panel

    colour = console.color_system in ("256", "truecolor")
    return Columns(
        Panel.fit(draw(images[each.file], colour=colour), title=escape(Path(each.file).name), subtitle=str(each.label))
        for each in predictions
    )


def draw(image: "np.ndarray", *, colour: bool) -> "Text":
    """28 by 14 characters of two pixels each: in their greys where there is colour, else ink or none."""
    from rich.text import Text

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


def listing(predictions: list[Prediction]) -> "Table":
    """The first predictions. A file is called by its folder and name, which leaves a terminal's line whole."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(Column("image", overflow="fold"), "label", "probability", "runner-up", "probability", box=SIMPLE_HEAD)
    for each in predictions[:LISTED]:
        name = "/".join(Path(each.file).parts[-2:])
        probabilities = f"{each.probability:.4f}", f"{each.runner_up_probability:.4f}"
        table.add_row(escape(name), str(each.label), probabilities[0], str(each.runner_up), probabilities[1])
    return table


def write(path: Path, predictions: list[Prediction], *, kaggle: bool) -> None:
    """predictions.csv, or the form in which Kaggle's Digit Recognizer takes a submission; whole or not at all."""
    from mnist_exp.files import atomic_write

    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["ImageId", "Label"] if kaggle else Prediction._fields)
        rows.writerows((each.file, each.label) if kaggle else each for each in predictions)


@command("predict")
def main(cfg: "DictConfig") -> None:
    _, failures = predict(cfg)
    if failures:
        fail(report(failures))


if __name__ == "__main__":
    main()

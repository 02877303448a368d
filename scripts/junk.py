"""How much of what is no digit a model refuses: scribbles, letters, and two digits in one picture.

    python -m scripts.junk outputs/runs/solution2/... outputs/runs/robust/...

Prints a table: for each model and kind of junk, the share in percent that is refused at three values of min_confidence,
and beside it the share of MNIST's test images that is refused. The pictures are drawn at random from a fixed seed.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from mnist_exp.analysis.markdown import markdown_table
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.imaging.geometry import centre_by_mass
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.checkpoint_paths import checkpoint_paths

COUNT = 1000  # pictures of each kind
MIN_CONFIDENCES = (0.5, 0.9, 0.99)
PAPER = 112  # height and width of what is drawn before it is reduced, in pixels
LETTERS = "AEFHKMNPRTUVWXadefhkmnrtuvwx"  # without those that look like a digit, such as O, l, S, Z, B, q


def scribble(random: Generator, _: np.ndarray) -> Image.Image:
    """A closed line with many loops."""
    time, waves = np.linspace(0, 2 * np.pi, 200)[:, None], np.arange(2, 6)
    amount, phase = random.uniform(0.5, 1.5, (2, 1, 4)), random.uniform(0, 2 * np.pi, (2, 1, 4))
    x, y = (amount * np.sin(time * waves + phase)).sum(axis=2)
    points = [(PAPER * (0.5 + 0.1 * a), PAPER * (0.5 + 0.1 * b)) for a, b in zip(x, y, strict=True)]
    paper = Image.new("L", (PAPER, PAPER))
    ImageDraw.Draw(paper).line(points, fill=255, width=int(random.integers(4, 8)), joint="curve")
    return paper


def letter(random: Generator, _: np.ndarray) -> Image.Image:
    """A printed letter, turned by up to 15 degrees."""
    paper = Image.new("L", (PAPER, PAPER))
    font = ImageFont.load_default(size=80)
    character = LETTERS[random.integers(len(LETTERS))]
    ImageDraw.Draw(paper).text(
        (PAPER / 2, PAPER / 2), character, fill=255, font=font, anchor="mm", stroke_width=int(random.integers(3))
    )
    return paper.rotate(random.uniform(-15, 15), Image.Resampling.BILINEAR)


def two_digits(random: Generator, digits: np.ndarray) -> Image.Image:
    """Two digits of `digits` side by side."""
    left, right = digits[random.integers(len(digits), size=2)]
    return Image.fromarray(np.hstack([left[:, 4:24], right[:, 4:24]])).resize((160, PAPER), Image.Resampling.BICUBIC)


KINDS: dict[str, Callable[[Generator, np.ndarray], Image.Image]] = {
    "scribbles": scribble,
    "letters": letter,
    "two digits": two_digits,
}


def junk(kind: str, digits: np.ndarray, *, count: int) -> torch.Tensor:
    """Pictures of a kind, in MNIST's form: uint8 (count, 28, 28). digits: MNIST's, uint8 (N, 28, 28)."""
    random = np.random.default_rng(0)
    return torch.from_numpy(np.stack([as_in_mnist(KINDS[kind](random, digits)) for _ in range(count)]))


def as_in_mnist(picture: Image.Image) -> np.ndarray:
    """The ink of a picture, white on black, in a box of 20x20 pixels with its centre of mass in the middle."""
    box = picture.crop(picture.getbbox())
    scale = 20 / max(box.size)
    size = [max(1, round(side * scale)) for side in box.size]
    return centre_by_mass(np.asarray(box.resize(size, Image.Resampling.LANCZOS)) / 255)


def main(run_dirs: list[Path], *, data_dir: Path) -> None:
    test = load_mnist(data_dir)[1].images
    sets = {kind: junk(kind, test.numpy(), count=COUNT) for kind in KINDS} | {"MNIST's test images": test}
    rows = []
    for path in checkpoint_paths(list(map(str, run_dirs))):
        model, config = load_classifier(path)
        for kind, images in sets.items():
            confidence = model.probabilities(images).amax(dim=1)
            shares = [f"{100 * float((confidence < least).float().mean()):.1f}" for least in MIN_CONFIDENCES]
            rows.append([config["name"], kind, f"{len(images):,}", *shares])
    header = ["model", "pictures", "n", *(f"below {least}" for least in MIN_CONFIDENCES)]
    print(markdown_table("Pictures that are refused, in percent, by min_confidence", header, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, or checkpoints")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("MNIST_EXP_DATA") or "data"))
    arguments = parser.parse_args()
    main(arguments.runs, data_dir=arguments.data_dir)

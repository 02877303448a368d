"""Photo-like pictures of MNIST's digits, whose right answer is known, and how well the preprocessing reads them.

    python -m scripts.photo_like outputs/runs/.../checkpoints/best.ckpt          # 60 pictures of each kind: 10 minutes
    python -m scripts.photo_like outputs/runs/.../checkpoints/best.ckpt --each 10 --longest 800

A picture is paper under uneven light, with print and then ink on it. Each kind of picture (`KINDS`) has one difficulty:
a shadow, squared paper, a stroke that leaves the picture, and so on. "Cut perfectly" is the same ink, brought to
MNIST's form without paper, light and print. What the preprocessing loses is the difference of the two accuracies.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from scipy import ndimage

from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.imaging.geometry import centre_by_mass
from mnist_exp.imaging.photo import STROKE_WIDTH, PhotoError, load_photo, redraw
from mnist_exp.models.checkpoint import load_classifier

PAPERS = [(250, 250, 248), (240, 230, 205), (205, 225, 240), (250, 235, 130), (195, 165, 125), (215, 235, 210)]
PENS = [(25, 25, 30), (30, 50, 170), (190, 35, 45), (30, 120, 60), (95, 95, 100)]
PRINTS = [(150, 180, 215), (170, 170, 170), (60, 60, 60), (215, 150, 150)]
TRACED = 112  # pixels: the size at which a stroke's middle line is found


@dataclass
class Scene:
    """What a picture is made of. `size` is the digit's longer side in pixels, `box` its top, left, bottom, right."""

    ink: np.ndarray  # float [height, width], 0 to 1: how much of a pixel the ink covers
    light: np.ndarray  # [height, width], 0 to 1
    print: np.ndarray  # [height, width], 0 to 1: how much of a pixel printed lines cover
    paper: tuple[int, ...]
    pen: tuple[int, ...]
    size: int
    box: tuple[int, int, int, int]
    crop: tuple[slice, slice] = (slice(None), slice(None))
    table: np.ndarray | None = None  # bool [height, width]: where the paper has ended

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows and columns of all pixels, as they broadcast."""
        height, width = self.ink.shape
        return np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)

    def middle(self) -> tuple[float, float]:
        top, left, bottom, right = self.box
        return (top + bottom) / 2, (left + right) / 2


def enlarge(digit: np.ndarray, size: int) -> np.ndarray:
    """The digit's ink with sharp edges, float [height, width], 0 to 1. Its longer side has about `size` pixels."""
    rows, columns = np.nonzero(digit)
    box = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = size / max(box.shape)
    height, width = (round((length + 2) * scale) for length in box.shape)
    large = np.asarray(Image.fromarray(np.pad(box, 1)).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    return ((large / 255 - 0.45) * scale / 3 + 0.5).clip(0, 1)


def enlarge_thin(digit: np.ndarray, size: int, pen: float) -> np.ndarray:
    """As `enlarge`, drawn with a pen of `pen` pixels along the middle of the strokes."""
    thick = enlarge(digit, TRACED)
    ridge = ndimage.gaussian_filter(thick, TRACED / 25)
    distance = ndimage.distance_transform_edt((ridge < 0.98 * ndimage.maximum_filter(ridge, 3)) | (thick < 0.5))
    height, width = (round(length * size / TRACED) for length in thick.shape)
    large = Image.fromarray(distance.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    return (pen / 2 + 0.5 - np.asarray(large) * size / TRACED).clip(0, 1)


# --- the kinds of pictures: each changes a scene ---


def nothing(scene: Scene, random: Generator) -> None:
    pass


def pale_pen(scene: Scene, random: Generator) -> None:
    scene.ink *= random.uniform(0.15, 0.35)


def same_grey(scene: Scene, random: Generator) -> None:
    """A pen that is as light as the paper and differs in its colour alone."""
    scene.paper, scene.pen = [((250, 205, 195), (170, 235, 235)), ((225, 225, 215), (175, 240, 250)),
                              ((205, 225, 240), (255, 210, 190))][random.integers(3)]  # fmt: skip


def light_pen(scene: Scene, random: Generator) -> None:
    scene.paper, scene.pen = [((40, 70, 55), (235, 235, 230)), ((20, 20, 25), (240, 230, 120))][random.integers(2)]


def vignette(scene: Scene, random: Generator) -> None:
    rows, columns = scene.points()
    height, width = scene.ink.shape
    distance = np.hypot(rows / height - random.uniform(0.3, 0.7), columns / width - random.uniform(0.3, 0.7))
    scene.light *= 1 - random.uniform(0.6, 1.0) * distance**2


def shadow(scene: Scene, random: Generator) -> None:
    """A shadow with one edge, sharp or soft."""
    scene.light *= 1 - random.uniform(0.2, 0.55) * step(scene, random, softness=random.uniform(0.002, 0.15))


def finger(scene: Scene, random: Generator) -> None:
    """A narrow, soft shadow, as of a finger or a phone's edge."""
    softness = random.uniform(0.03, 0.08)
    one, other = step(scene, random, softness=softness, width=random.uniform(0.1, 0.3))
    scene.light *= 1 - random.uniform(0.2, 0.45) * one * other


def step(scene: Scene, random: Generator, *, softness: float, width: float | None = None) -> np.ndarray:
    """0 on one side of a line through the picture and 1 on the other; with a `width`, two such that face each other."""
    rows, columns = scene.points()
    (height, width_), angle = scene.ink.shape, random.uniform(0, 2 * np.pi)
    across = ((rows - height / 2) * np.sin(angle) + (columns - width_ / 2) * np.cos(angle)) / max(height, width_)
    across = across - random.uniform(-0.3, 0.3)
    one = (across / softness + 0.5).clip(0, 1)
    return one if width is None else np.stack([one, ((width - across) / softness + 0.5).clip(0, 1)])


def ruled(scene: Scene, random: Generator) -> None:
    print_lines(scene, random, spacing=random.uniform(0.7, 1.2) * scene.size, upright=False)


def squared(scene: Scene, random: Generator) -> None:
    spacing, slope = random.uniform(0.5, 1.0) * scene.size, random.uniform(-0.06, 0.06)
    for upright in (False, True):
        print_lines(scene, random, spacing=spacing, upright=upright, slope=-slope if upright else slope)


def print_lines(scene: Scene, random: Generator, *, spacing: float, upright: bool, slope: float | None = None) -> None:
    """Printed lines across the picture, `spacing` pixels apart."""
    rows, columns = scene.points()
    along, across = (rows, columns) if upright else (columns, rows)
    slope = random.uniform(-0.08, 0.08) if slope is None else slope
    thickness = max(1.2, scene.size * random.uniform(0.008, 0.03))
    off = (across - slope * along + random.uniform(0, spacing)) % spacing
    scene.print = np.maximum(scene.print, (thickness / 2 + 0.5 - abs(off - spacing / 2)).clip(0, 1))


def rectangle(scene: Scene, random: Generator, *, around: tuple[float, float, float, float], pen: float) -> None:
    """A printed rectangle: top, left, bottom, right in pixels, a little askew."""
    rows, columns = scene.points()
    (middle_y, middle_x), angle = scene.middle(), random.uniform(-0.05, 0.05)
    y = rows - middle_y + angle * (columns - middle_x)
    x = columns - middle_x - angle * (rows - middle_y)
    top, left, bottom, right = around
    outside = np.maximum(np.maximum(top - middle_y - y, y - bottom + middle_y),
                         np.maximum(left - middle_x - x, x - right + middle_x))  # fmt: skip
    scene.print = np.maximum(scene.print, (pen / 2 + 0.5 - abs(outside)).clip(0, 1))


def printed_box(scene: Scene, random: Generator) -> None:
    margins = random.uniform(0.08, 0.4, 4) * scene.size
    top, left, bottom, right = scene.box
    around = (top - margins[0], left - margins[1], bottom + margins[2], right + margins[3])
    rectangle(scene, random, around=around, pen=scene.size * random.uniform(0.015, 0.04))


def cell(scene: Scene, random: Generator) -> None:
    """A box whose sides are at the picture's border, or just outside of it."""
    height, width = scene.ink.shape
    inside = random.uniform(-0.02, 0.08, 4) * max(height, width)
    around = (inside[0], inside[1], height - inside[2], width - inside[3])
    rectangle(scene, random, around=around, pen=scene.size * random.uniform(0.03, 0.07))


def underline(scene: Scene, random: Generator) -> None:
    rows, columns = scene.points()
    (_, left, bottom, right), reach = scene.box, random.uniform(0.1, 0.5) * scene.size
    row = bottom + random.uniform(0.04, 0.2) * scene.size
    pen = scene.size * random.uniform(0.015, 0.04)
    distance = np.maximum(abs(rows - row + random.uniform(-0.05, 0.05) * (columns - left)) - pen / 2,
                          np.maximum(left - reach - columns, columns - right - reach))  # fmt: skip
    scene.print = np.maximum(scene.print, (0.5 - distance).clip(0, 1))


def table_edge(scene: Scene, random: Generator) -> None:
    """The paper ends in the picture, at a dark or a bright table, a little beside the digit."""
    rows, columns = scene.points()
    (middle_y, middle_x), angle = scene.middle(), random.uniform(0, 2 * np.pi)
    across = (rows - middle_y) * np.sin(angle) + (columns - middle_x) * np.cos(angle)
    top, left, bottom, right = scene.box
    reach = abs(np.sin(angle)) * (bottom - top) / 2 + abs(np.cos(angle)) * (right - left) / 2
    scene.table = across > reach + random.uniform(0.08, 0.3) * scene.size


def leaves(scene: Scene, random: Generator) -> None:
    """The crop's border cuts a little of the digit on one side."""
    side = random.integers(4)
    cut = int(random.uniform(-0.005, 0.04) * scene.size)
    keep = scene.box[side] + cut if side < 2 else scene.box[side] - cut
    part = slice(keep, None) if side < 2 else slice(keep)
    scene.crop = (part, slice(None)) if side % 2 == 0 else (slice(None), part)


def tight(scene: Scene, random: Generator) -> None:
    """No margin on any side."""
    margins = (random.uniform(-0.01, 0.04, 4) * scene.size).astype(int)
    top, left, bottom, right = scene.box
    rows = slice(max(top - margins[0], 0), bottom + margins[2])
    scene.crop = (rows, slice(max(left - margins[1], 0), right + margins[3]))


def broken(scene: Scene, random: Generator) -> None:
    """A gap across the digit, so that a flag, a roof or a foot stands apart."""
    top, _, bottom, _ = scene.box
    at = top + random.choice([random.uniform(0.15, 0.3), random.uniform(0.7, 0.85)]) * (bottom - top)
    scene.ink[int(at) : int(at + random.uniform(0.03, 0.08) * scene.size)] = 0


def neighbours(scene: Scene, random: Generator) -> None:
    """Strokes of the next digits come into the picture at the left and the right border."""
    top, left, bottom, right = scene.box
    ink = scene.ink[top:bottom, left:right].copy()
    width = min(ink.shape[1], int(min(left, scene.ink.shape[1] - right) * random.uniform(0.2, 0.6)))
    if width:
        scene.ink[top:bottom, :width] = ink[:, -width:]
        scene.ink[top:bottom, -width:] = ink[:, :width]


def hair(scene: Scene, random: Generator) -> None:
    """The pen is drawn thin in `render`."""


KINDS: dict[str, Callable[[Scene, Generator], None]] = {
    "plain": nothing, "pale pen": pale_pen, "colour alone": same_grey, "light on dark": light_pen,
    "vignette": vignette, "shadow": shadow, "finger": finger, "ruled": ruled, "squared": squared,
    "printed box": printed_box, "cell": cell, "underline": underline, "table edge": table_edge, "leaves": leaves,
    "tight": tight, "broken": broken, "neighbours": neighbours, "hair": hair,
}  # fmt: skip


# --- a picture ---


def render(digit: np.ndarray, kind: str, random: Generator, *, longest: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """A picture of the digit, uint8 [height, width, 3], and the digit cut perfectly, uint8 [28, 28].

    digit: as in MNIST, uint8 [28, 28].
    longest: pixels of the longer side, which is 200 at least.
    """
    side = int(np.exp(random.uniform(np.log(200), np.log(longest))))
    height, width = side, int(side * random.uniform(0.75, 1))
    if random.random() < 0.5:
        height, width = width, height
    size = int(min(height, width) * random.uniform(0.4, 0.7))
    pen = random.uniform(0.012, 0.025) if kind == "hair" else None
    ink = enlarge(digit, size) if pen is None else enlarge_thin(digit, size, max(pen * size, 1))
    top = int((height - ink.shape[0]) * random.uniform(0.3, 0.7))
    left = int((width - ink.shape[1]) * random.uniform(0.3, 0.7))
    canvas = np.zeros((height, width), np.float32)
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    rows, columns = (np.flatnonzero((canvas > 0.5).any(axis)) for axis in (1, 0))
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    scene = Scene(canvas, np.ones_like(canvas), np.zeros_like(canvas), PAPERS[random.integers(len(PAPERS))],
                  PENS[random.integers(len(PENS))], size, box)  # fmt: skip
    KINDS[kind](scene, random)
    perfect = enlarge(digit, 200) if pen is None else enlarge_thin(digit, 200, pen * 200)
    return expose(scene, random), centre_by_mass(redraw(perfect, perfect > 0.5, STROKE_WIDTH))


def expose(scene: Scene, random: Generator) -> np.ndarray:
    """The scene as a camera sees it: uint8 [height, width, 3]."""
    printed = PRINTS[random.integers(len(PRINTS))]
    table = np.array([(70, 50, 35), (120, 85, 55), (30, 30, 32)][random.integers(3)])
    noise, blur = random.uniform(0.5, 4), scene.size * random.uniform(0.001, 0.006)
    picture = np.empty((*scene.ink.shape, 3), np.float32)
    for channel in range(3):
        colour = scene.paper[channel] + scene.print * (printed[channel] - scene.paper[channel])
        colour = np.where(scene.table, table[channel], colour) if scene.table is not None else colour
        colour += scene.ink * (scene.pen[channel] - colour)
        picture[..., channel] = ndimage.gaussian_filter(colour * scene.light, blur)
    picture = picture[scene.crop]
    picture += noise * random.standard_normal(picture.shape[:2], np.float32)[..., None]
    return picture.clip(0, 255).astype(np.uint8)


# --- how well they are read ---


def read(picture: np.ndarray) -> np.ndarray | None:
    """The picture in MNIST's form, or None if it is refused."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "BMP")
    try:
        return load_photo(file)
    except PhotoError:
        return None


def accuracy(answers: np.ndarray, labels: np.ndarray) -> str:
    return f"{100 * (answers == labels).mean():10.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--each", type=int, default=60, help="pictures of each kind")
    parser.add_argument("--longest", type=int, default=4000, help="pixels of the longer side, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where MNIST is")
    args = parser.parse_args(arguments)

    _, test = load_mnist(args.data_dir)
    model, _ = load_classifier(args.checkpoint, None)
    chosen = np.random.default_rng(args.seed).permutation(len(test))[: args.each * len(KINDS)].reshape(len(KINDS), -1)
    labels = test.labels.numpy()[chosen]
    found, perfect = np.full((2, *chosen.shape), -1)
    print(f"{'kind':14s}{'pictures':>10s}{'refused':>10s}{'read, %':>10s}{'cut, %':>10s}")
    for row, kind in enumerate(KINDS):
        cut = []
        for column, index in enumerate(chosen[row]):
            random = np.random.default_rng([args.seed, int(index)])
            picture, form = render(test.images[index].numpy(), kind, random, longest=args.longest)
            cut.append(form)
            if (image := read(picture)) is not None:
                found[row, column] = model.probabilities(torch.from_numpy(image)[None]).argmax()
        perfect[row] = model.probabilities(torch.from_numpy(np.stack(cut))).argmax(1)
        refused = (found[row] < 0).sum()
        scores = accuracy(found[row], labels[row]) + accuracy(perfect[row], labels[row])
        print(f"{kind:14s}{args.each:10d}{refused:10d}{scores}", flush=True)
    print(f"{'all':14s}{found.size:10d}{(found < 0).sum():10d}{accuracy(found, labels)}{accuracy(perfect, labels)}")


if __name__ == "__main__":
    main()

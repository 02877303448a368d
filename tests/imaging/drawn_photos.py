"""Photos of digits, drawn here in numpy, so that they are the same with every version of Pillow."""

import itertools
from collections.abc import Callable

import numpy as np
from scipy import ndimage

Point = tuple[float, float]  # x, y

STROKES: dict[int, list[list[Point]]] = {  # in a box one high
    1: [[(0.15, 0.2), (0.35, 0.0), (0.35, 1.0)]],
    4: [[(0.45, 0.0), (0.0, 0.65), (0.75, 0.65)], [(0.5, 0.35), (0.5, 1.0)]],
    5: [[(0.08, 0.05), (0.06, 0.45), (0.4, 0.4), (0.58, 0.6), (0.5, 0.9), (0, 0.95)], [(0.1, 0.0), (0.6, 0.0)]],
    7: [[(0.0, 0.0), (0.6, 0.0), (0.2, 1.0)], [(0.1, 0.5), (0.5, 0.5)]],
}
LIGHT = np.linspace(1, 0.35, 240) * np.linspace(1, 0.7, 300)[:, None]  # falls off to the right and to the bottom
SHADOW = np.where(np.add.outer(np.arange(300), np.arange(240)) > 250, 1.0, 0.5)


def paper(width: int = 240, height: int = 300, grey: int = 225) -> np.ndarray:
    """Paper with a little noise, float [height, width]."""
    return grey + np.random.default_rng(0).normal(0, 2, (height, width))


def draw_line(page: np.ndarray, points: list[Point], *, pen: float, ink: float) -> np.ndarray:
    """`page` with lines from point to point, `pen` pixels wide, in the grey `ink`, with round ends and soft edges."""
    y, x = np.indices(page.shape)
    distance = np.full(page.shape, np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        along = (((x - x0) * dx + (y - y0) * dy) / (dx**2 + dy**2)).clip(0, 1)
        distance = np.minimum(distance, np.hypot(x - x0 - along * dx, y - y0 - along * dy))
    cover = (pen / 2 + 0.5 - distance).clip(0, 1)
    return page * (1 - cover) + ink * cover


def write(
    page: np.ndarray, digit: int = 5, *, left: int = 80, top: int = 80, tall: int = 140, pen: int = 6, ink: float = 50
) -> np.ndarray:
    """`page` with a digit written on it; `ink` is the grey of the pen."""
    for stroke in STROKES[digit]:
        page = draw_line(page, [(left + tall * x, top + tall * y) for x, y in stroke], pen=pen, ink=ink)
    return page


def ruled(page: np.ndarray, *, across: bool = True, down: bool = False, ink: float = 130) -> np.ndarray:
    """`page`, 240 wide and 300 high, with printed lines every 60 pixels."""
    for at in range(0, 300, 60):
        if across:
            page = draw_line(page, [(0, at), (240, at + 6)], pen=2, ink=ink)
        if down:
            page = draw_line(page, [(at, 0), (at - 6, 300)], pen=2, ink=ink)
    return page


PHOTOS: dict[str, Callable[[int], np.ndarray]] = {
    "faint pencil": lambda digit: write(paper(), digit, ink=185),
    "thin pen": lambda digit: write(paper(), digit, pen=3),
    "light falling off": lambda digit: write(paper(), digit) * LIGHT,
    "sharp shadow": lambda digit: write(paper(), digit) * SHADOW,
    "chalk on a board": lambda digit: write(paper(grey=60), digit, ink=210) * LIGHT,
    "noise": lambda digit: write(paper(), digit) + np.random.default_rng(1).normal(0, 15, (300, 240)),
    "blur": lambda digit: ndimage.gaussian_filter(write(paper(), digit), 3),
    "ruled paper": lambda digit: write(ruled(paper()), digit),
    "squared paper": lambda digit: write(ruled(paper(), down=True), digit),
    "lines darker than the pen": lambda digit: write(ruled(paper(), ink=30), digit, ink=110),
    "small in a large photo": lambda digit: write(paper(1000, 800), digit, left=600, top=220, tall=200, pen=9),
    "down in a corner": lambda digit: write(paper(), digit, left=140, top=190, tall=100, pen=5),
}

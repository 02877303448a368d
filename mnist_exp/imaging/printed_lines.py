"""Printed lines in a photo of a digit: ruled or squared paper, and the borders of a printed cell.

How a line is told from a stroke of the digit. Take a picture 100 pixels wide and high, with this ink in it:

    a bar in rows 10 to 11, from column 0 to 99     line: enters at the border, thin, straight and long
    a bar in rows 30 to 31, from column 20 to 80    stroke: does not touch the left or right border
    a bar in rows 50 to 51, from column 0 to 60     stroke: its length is below LINE_LENGTH, 0.75 of the width
    a bar in rows 70 to 84, from column 0 to 99     stroke: thicker than LINE_WIDTH, 0.1 of the side
    a bar in columns 45 to 48, from row 5 to 45     stroke: also where it crosses the line in rows 10 and 11

`find_printed_lines` gives rows 10 and 11 without columns 45 to 48. An upright line is found in the same way, in the
picture with rows and columns exchanged. Where an upright line crosses a level one, the crossing belongs to both.

"The side" is the picture's longer side. Lengths are fractions of it, so that small and large pictures are read alike.
"""

import numpy as np
from scipy import ndimage

from mnist_exp.imaging.windows import slide, with_margin

LINE_WIDTH = 0.1  # of the side: printed lines are thinner than this, blur included
LINE_LENGTH = 0.75  # of the picture's width or height: printed lines are longer, counted from the border
LINE_SLOPE = 0.2  # printed lines are at most 11 degrees askew
FIT_REACHES = (0.2, 0.4, 0.7, 1.0)  # of the width: the straight line is fitted to more and more of the ink
WOBBLE = 1 / 80  # of the side: ink this close above or below the fitted line still belongs to it
LONGEST_GAP = 1 / 20  # of the side: a line ends where no ink is near for longer than this


def find_printed_lines(mask: np.ndarray) -> np.ndarray:
    """The printed lines among the marks, without the strokes that cross them: bool [height, width].

    mask: where there is ink, bool [height, width].
    """
    lines, level, upright = np.zeros((3, *mask.shape), bool)
    for picture, found, courses in ((mask, lines, level), (mask.T, lines.T, upright.T)):
        for direction in (slice(None), slice(None, None, -1)):  # from the left border, then from the right one
            _find_from_left(picture[:, direction], found[:, direction], courses[:, direction])
    return lines | (mask & level & upright)


def _find_from_left(mask: np.ndarray, lines: np.ndarray, courses: np.ndarray) -> None:
    """Follow each thin stroke from the left border inwards. Where it is a line, set its pixels in `lines`.

    `courses` gets the line's whole course, with the strokes that cross it.
    """
    (height, width), side = mask.shape, max(mask.shape)
    widest = int(LINE_WIDTH * side)
    starts = _starts_at_left(mask, widest)
    if not starts:
        return
    wobble = int(WOBBLE * side)
    near_ink = slide(np.logical_or, with_margin(mask, wobble, 0), 2 * wobble + 1, axis=0)
    x, rows = np.arange(width), np.arange(height)[:, None]
    for start in starts:
        columns, slope, offset = _fit(mask, start, widest)
        path = np.round(offset + slope * x).astype(int)  # the line's row in each column
        inked = near_ink[path.clip(0, height - 1), x] | (path < 0) | (path >= height)
        gaps = np.flatnonzero(slide(np.logical_and, ~inked, int(LONGEST_GAP * side), axis=0))
        length = gaps[0] if len(gaps) else width
        if length < LINE_LENGTH * width or abs(slope) > LINE_SLOPE or not len(columns):
            continue
        inked_rows = np.bincount(columns)
        thickness = np.median(inked_rows[inked_rows > 0])
        course = (np.abs(rows - path) <= thickness) & (x < length + 2)  # 2: the blurred end
        lines |= mask & course & ~vertical_runs(mask, int(1.5 * thickness) + 2)  # longer runs are strokes that cross
        courses |= course


def _starts_at_left(mask: np.ndarray, widest: int) -> list[slice]:
    """The rows in which a stroke no taller than `widest` enters at the left border, one slice for each stroke."""
    border = mask[:, : widest // 2]
    border = border & ~vertical_runs(border, widest)
    if not border.any():  # the usual picture, of a digit amid clear paper
        return []
    starts, count = ndimage.label(border.mean(1) > 0.5)
    return [rows for (rows,) in ndimage.find_objects(starts, count)]


def _fit(mask: np.ndarray, start: slice, widest: int) -> tuple[np.ndarray, float, float]:
    """A straight line through the thin ink that goes on from `start`: (its pixels' columns, slope, row at column 0)."""
    width = mask.shape[1]
    y, x = np.nonzero(mask & ~vertical_runs(mask, int(1.5 * (start.stop - start.start)) + 3))
    slope, offset = 0.0, (start.start + start.stop - 1) / 2
    for reach in FIT_REACHES:
        line = (np.abs(y - offset - slope * x) <= widest / 2) & (x < reach * width)
        if np.count_nonzero(np.bincount(x[line])) > widest:  # of fewer columns the slope is uncertain
            slope, offset = _least_squares(x[line], y[line])
    return x[line], slope, offset


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and row at column 0 of the straight line through the points. np.polyfit takes five times as long."""
    from_mean = x - x.mean()
    slope = (from_mean @ y) / (from_mean @ from_mean)
    return slope, y.mean() - slope * x.mean()


def vertical_runs(mask: np.ndarray, length: int) -> np.ndarray:
    """The pixels of `mask` in vertical runs of at least `length` pixels, or `length` + 1 if that is even.

    This is a morphological opening by a vertical line.
    """
    length |= 1
    cores = slide(np.logical_and, with_margin(mask, length // 2, 0), length, axis=0)
    return slide(np.logical_or, with_margin(cores, length // 2, 0), length, axis=0)

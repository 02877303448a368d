"""Printed lines in a photo of a digit: ruled or squared paper, and the borders of a printed cell.

How a line is told from a stroke of the digit. Take a picture 100 pixels wide and high, with this ink in it:

    a bar in rows 10 to 11, from column 0 to 99     line: thin, straight, and leaves the picture at both ends
    a bar in rows 30 to 31, from column 20 to 80    stroke: does not touch the left or right border
    a bar in rows 50 to 51, from column 0 to 80     stroke: ends in clear paper
    a bar in rows 70 to 84, from column 0 to 99     stroke: thicker than LINE_WIDTH, 0.1 of the side
    a bar in columns 45 to 48, from row 5 to 45     stroke: also where it crosses the line in rows 10 and 11

`find_lines` finds rows 10 to 11, and `pixels_of` gives them without columns 45 to 48. Upright lines are found in the
same way, in the picture with rows and columns exchanged. Where an upright line crosses a level one, the crossing is of
both. A line may also end within the picture, if it ends at another one or runs beside another one: both make a
printed box.

In a crop without margin, a digit's own stroke may run from border to border. `are_printed` tells the two apart: there
are several printed lines, or the only one goes on beyond the digit at both ends.

"The side" is the picture's longer side. Lengths are fractions of it, so that small and large pictures are read alike.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mnist_exp.imaging.windows import slide, with_margin

LINE_WIDTH = 0.1  # of the side: printed lines are thinner than this, blur included
LINE_LENGTH = 0.75  # of the picture's width or height: the least distance from a border to a box's corner
LINE_SLOPE = 0.2  # printed lines are at most 11 degrees askew
FIT_REACHES = (0.2, 0.4, 0.7, 1.0)  # of the width: the straight line is fitted to more and more of the ink
WOBBLE = 1 / 80  # of the side: ink this close above or below the fitted line still belongs to it
LONGEST_GAP = 1 / 20  # of the side: a line ends where no ink is near for longer than this
WHOLE_PICTURE = 0.9  # of the picture's height or width: a digit that takes more is a crop without margin
BEYOND = 0.08  # of the picture's width or height: a printed line goes on for as long as this beside the digit


class Line(NamedTuple):
    """A thin, straight line from border to border, or from a border to another line. Masks are bool [height, width]."""

    pixels: np.ndarray  # the line without the strokes that cross it
    course: np.ndarray  # with them
    tip: np.ndarray | None  # the surroundings of its end; None if it leaves the picture at both ends
    is_upright: bool


def find_lines(mask: np.ndarray) -> list[Line]:
    """The lines among the marks, which may be printed or strokes of a digit that fills the picture.

    mask: where there is ink, bool [height, width].
    """
    lines = list[Line]()
    for is_upright, picture in ((False, mask), (True, mask.T)):
        for direction in (slice(None), slice(None, None, -1)):  # from the left border, then from the right one
            for found in _find_from_left(picture[:, direction]):
                pixels, course, tip = (_turned_back(each, direction, is_upright=is_upright) for each in found)
                lines.append(Line(pixels, course, tip if tip.any() else None, is_upright))
    return [line for line in lines if line.tip is None or any(_makes_box(line, other) for other in lines)]


def _turned_back(found: np.ndarray, direction: slice, *, is_upright: bool) -> np.ndarray:
    """What was found in a picture that was turned, as it is in the picture itself."""
    return found[:, direction].T if is_upright else found[:, direction]


def _makes_box(line: Line, other: Line) -> bool:
    """Whether the line ends at the other one, or runs beside it."""
    if line.is_upright == other.is_upright:
        return not _overlap(line, other)
    return line.tip is not None and bool((line.tip & other.course).any())


def _overlap(line: Line, other: Line) -> bool:
    """Whether two lines of one direction are the same, which is found from both of its ends."""
    return bool((line.course & other.course).any())


def pixels_of(lines: Sequence[Line], mask: np.ndarray) -> np.ndarray:
    """The ink of the lines without the strokes that cross them: bool [height, width]."""
    found, level, upright = np.zeros((3, *mask.shape), bool)
    for line in lines:
        found |= line.pixels
        courses = upright if line.is_upright else level
        courses |= line.course
    return found | (mask & level & upright)


def are_printed(lines: Sequence[Line], box: np.ndarray) -> bool:
    """Whether the lines are printed. A single one may be a stroke of the digit.

    box: top, left, bottom, right of the digit without the lines, int [4].
    """
    if any(line.is_upright != lines[0].is_upright or not _overlap(line, lines[0]) for line in lines):
        return True
    height, width = box[2:] - box[:2]
    if height > WHOLE_PICTURE * lines[0].course.shape[0] or width > WHOLE_PICTURE * lines[0].course.shape[1]:
        return False
    along = 0 if lines[0].is_upright else 1
    length = lines[0].course.shape[along]
    return bool(min(box[along], length - box[along + 2]) >= BEYOND * length)


def _find_from_left(mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Follow each thin stroke from the left border inwards: the `pixels`, `course` and `tip` of those that are long.

    The tip is empty if the line leaves the picture.
    """
    (height, width), side = mask.shape, max(mask.shape)
    widest = int(LINE_WIDTH * side)
    starts = _starts_at_left(mask, widest)
    if not starts:
        return
    wobble, longest_gap = int(WOBBLE * side), int(LONGEST_GAP * side)
    near_ink = slide(np.logical_or, with_margin(mask, wobble, 0), 2 * wobble + 1, axis=0)
    x, rows = np.arange(width), np.arange(height)[:, None]
    for start in starts:
        columns, slope, offset = _fit(mask, start, widest)
        path = np.round(offset + slope * x).astype(int)  # the line's row in each column
        inked = near_ink[path.clip(0, height - 1), x] | (path < 0) | (path >= height)
        gaps = np.flatnonzero(slide(np.logical_and, ~inked, longest_gap, axis=0))
        length = gaps[0] if len(gaps) else width
        if length < LINE_LENGTH * width or abs(slope) > LINE_SLOPE or not len(columns):
            continue
        inked_rows = np.bincount(columns)
        thickness = np.median(inked_rows[inked_rows > 0])
        course = (np.abs(rows - path) <= thickness) & (x < length + 2)  # 2: the blurred end
        pixels = mask & course & ~vertical_runs(mask, int(1.5 * thickness) + 2)  # longer runs are strokes that cross
        yield pixels, course, course & (x >= length - longest_gap) & (length < width)


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

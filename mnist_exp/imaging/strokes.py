"""Digits drawn from strokes, in forms that many people write and MNIST hardly has.

    drawn = draw_digits(labels)  # int64 (N,) to float (N, 28, 28)

Elsewhere than in MNIST a 1 has a flag and a foot, a 7 a bar, a 4 a closed top. `FORMS` lists such forms. Every drawn
digit gets its own draw of its points, of the width of its box and of its pen. Everything works on whole batches, on
the device of the labels, with torch's global generator.
"""

import re
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from mnist_exp.imaging.filters import SIZE, pixel_offsets

BOX = 20  # pixels: MNIST's digits fit a box of 20x20
UNSTEADY = 0.03  # standard deviation of every point, as a share of the digit's height
POINT = re.compile(r"(\d+)(?:\+-(\d+))?,(\d+)(?:\+-(\d+))?")  # such as 20+-15,33
PIECES = 4  # straight pieces in which a curve goes from point to point

# A form of a digit: its label, its weight among the forms of the label, its strokes. A stroke goes from point to point.
# A point is x,y in percent of the digit's width and height, y down; 20+-15 is drawn between 5 and 35. How it goes on:
#   -  straight    ~  in a smooth curve    <  in a curve that leaves the point with a corner    ;  the pen is lifted
FORMS = """
0  1  50,0 ~ 10+-5,22 ~ 8+-5,70+-10 ~ 50,100 ~ 92+-5,75+-10 ~ 88+-5,25 ~ 50+-15,2+-4
0  2  50,0 ~ 10+-5,22 ~ 8+-5,70+-10 ~ 50,100 ~ 92+-5,75+-10 ~ 88+-5,25 ~ 50+-10,0 ; 80+-20,15+-15 - 20+-20,85+-15
1  3  28+-18,38+-18 - 55,0 - 55+-8,100
1  2  28+-22,36+-20 - 55,0 - 55+-8,100 ; 20+-18,100 - 88+-18,100
1  1  22+-15,40+-12 ~ 42+-5,18+-4 ~ 55,0 - 55+-8,100
1  1  55+-5,0 - 55+-8,100 ; 30+-15,100 - 80+-15,100
2  1  10+-5,25+-10 ~ 35,2 ~ 78,12 ~ 78,40 ~ 8,98 - 92+-10,98+-8
2  1  10+-5,25+-10 ~ 35,2 ~ 78,12 ~ 78,38 ~ 45,75 ~ 15,97 ~ 3+-5,85+-5 ~ 25,78 ~ 50,93 ~ 95+-8,92+-10
2  1  10+-5,12+-10 ~ 50+-10,0 ~ 82,20 ~ 55,60 ~ 8,95 < 35,88 ~ 60,97 ~ 95+-5,90+-8
3  1  10+-5,15+-8 ~ 42,0 ~ 80,14 ~ 72,38 ~ 40+-10,46 < 80,58 ~ 88,82 ~ 50,100 ~ 6+-5,88+-8
3  1  10+-8,3+-5 - 82+-8,2+-5 - 40+-8,40+-5 < 80,55 ~ 85,82 ~ 48,100 ~ 6+-5,90+-8
4  1  25+-15,0+-10 - 8+-8,60+-10 - 95+-8,60+-10 ; 72+-10,15+-20 - 65+-12,100
4  2  65+-5,0 - 5+-5,64+-8 - 95+-8,64+-6 ; 66+-3,0 - 66+-5,100
4  1  55+-10,0 - 5+-5,62+-8 - 95+-8,60+-6 ; 68+-8,35+-15 - 66+-8,100
4  1  8+-6,5+-6 ~ 6+-4,40+-8 ~ 30,55 ~ 88+-10,50+-6 ; 85+-6,2+-8 - 82+-8,100
5  2  25+-6,2 - 18+-5,46+-5 < 55,42 ~ 88,62 ~ 78,92 ~ 40,100 ~ 5+-5,90+-8 ; 25+-8,2+-6 - 85+-15,2+-8
5  1  88+-10,3+-6 - 25+-6,3 - 18+-5,46+-5 < 55,42 ~ 88,62 ~ 78,92 ~ 40,100 ~ 5+-5,90+-8
6  1  72+-15,0+-5 ~ 35,22 ~ 10,62 ~ 25,95 ~ 65,98 ~ 85,75 ~ 60,52 ~ 15+-5,72+-8
6  1  60+-20,0 - 15,62 ~ 22,95 ~ 65,98 ~ 86,75 ~ 55,55 ~ 16+-5,75+-8
7  2  8+-8,5+-6 - 90+-5,3+-4 - 40+-15,100 ; 30+-12,50+-8 - 88+-12,47+-8
7  1  8+-8,5+-6 - 90+-5,3+-4 - 40+-15,100 ; 22+-8,60+-6 ~ 40,46 ~ 66,54 ~ 90+-8,42+-6
7  1  6+-4,22+-10 - 10+-3,3 - 90+-5,3+-4 - 40+-15,100
7  1  6+-4,22+-10 - 10+-3,3 - 90+-5,3+-4 - 40+-15,100 ; 30+-12,50+-8 - 88+-12,47+-8
7  1  4+-4,16+-6 ~ 25,2 ~ 50,10 ~ 90,2 < 58+-6,45 ~ 42+-12,100
8  1  82,12 ~ 45,0 ~ 15,18 ~ 45,45 ~ 86,74 ~ 50,100 ~ 12,75 ~ 52,48 ~ 85,20 ~ 78+-6,8+-6
8  1  50,0 ~ 20,12 ~ 22,36 ~ 50,46 ~ 78,36 ~ 80,12 ~ 50,0 ; 50,46 ~ 14,62 ~ 14,86 ~ 50,100 ~ 86,86 ~ 86,62 ~ 50,46
9  1  82,20 ~ 45,0 ~ 12,22 ~ 38,48 ~ 75,34 ~ 82,8 - 72+-15,100
9  1  82,20 ~ 45,0 ~ 12,22 ~ 38,48 ~ 75,34 ~ 82,8 < 84,60 ~ 66,94 ~ 36,100 ~ 12+-8,86+-8
9  1  70,12 ~ 45,0 ~ 22+-6,15 ~ 42+-5,33 ~ 68,22 ~ 74,5 < 82,55 ~ 60,95 ~ 25+-12,95+-8
9  1  50,0 ~ 16,12 ~ 16,38 ~ 50,50 ~ 84,38 ~ 84,12 ~ 50,0 ; 85,10+-12 - 82+-10,100
"""


class Form(NamedTuple):
    """A line of `FORMS` as numbers, with P points and S straight segments.

    middle, reach: (P, 2), x before y, as shares of the box: where a point is, and how far it may be from there.
    starts, ends: (S, P), the weights of the points in the ends of each segment.
    """

    label: int
    weight: float
    middle: Tensor
    reach: Tensor
    starts: Tensor
    ends: Tensor


def draw_digits(labels: Tensor) -> Tensor:
    """A digit drawn for each label, int64 (N,) of 0 to 9: float (N, 28, 28) in 0..1, white ink on black.

    The digits fit a box of 20x20 pixels, as MNIST's do. Their strokes are 1 to 4 pixels wide.
    """
    forms, chances = read_forms()
    chosen = torch.multinomial(chances.to(labels.device)[labels], 1)[:, 0]
    drawn = torch.zeros(len(labels), SIZE, SIZE, device=labels.device)
    for number, form in enumerate(forms):
        which = (chosen == number).nonzero()[:, 0]
        if len(which):
            drawn[which] = draw_form(form, which)
    return drawn


def draw_form(form: Form, like: Tensor) -> Tensor:
    """One form, drawn anew for each of the N elements of `like`, on its device: (N, 28, 28)."""
    middle, reach, starts, ends = (table.to(like.device) for table in form[2:])
    draws = torch.rand(len(like), *middle.shape, device=like.device) * 2 - 1
    points = middle + reach * draws + UNSTEADY * torch.randn_like(draws)
    points = fit_box(points, width=uniform(like, 0.45, 1.1))
    return draw_segments(starts @ points, ends @ points, half_width=uniform(like, 0.5, 1.8))


def uniform(like: Tensor, low: float, high: float) -> Tensor:
    """A uniform draw for each of the N elements, (N, 1, 1), on their device."""
    return low + (high - low) * torch.rand(len(like), 1, 1, device=like.device)


def fit_box(points: Tensor, *, width: Tensor) -> Tensor:
    """Points (N, P, 2) of a box of 1 by 1 to pixels from the middle of the image, so that they fit MNIST's box.

    width: of the digit, as a share of its height, (N, 1, 1).
    """
    points = points * torch.cat([width, torch.ones_like(width)], dim=-1)
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    return (points - (low + high) / 2) * (BOX - 2) / (high - low).amax(-1, keepdim=True)


def draw_segments(starts: Tensor, ends: Tensor, *, half_width: Tensor) -> Tensor:
    """Straight strokes with round ends and soft edges: (N, 28, 28) in 0..1.

    starts, ends: (N, S, 2), x before y, in pixels from the middle of the image. half_width: in pixels, (N, 1, 1).
    """
    offsets = pixel_offsets(starts.device)
    nearest = starts.new_full((len(starts), SIZE, SIZE), torch.inf)  # squared distance to a segment
    for start, end in zip(starts.unbind(1), ends.unbind(1), strict=True):
        x = offsets - start[:, 0, None, None]
        y = offsets[:, None] - start[:, 1, None, None]
        run_x, run_y = (end - start)[..., None, None].unbind(1)
        along = (x * run_x + y * run_y) / (run_x**2 + run_y**2).clamp(min=1e-6)
        along = along.clamp(0, 1)
        nearest = torch.minimum(nearest, (x - along * run_x) ** 2 + (y - along * run_y) ** 2)
    return (half_width + 0.5 - nearest.sqrt()).clamp(0, 1)


@cache
def read_forms() -> tuple[list[Form], Tensor]:
    """The forms of `FORMS`, and the chance of each for each label, (10, forms)."""
    forms = [read_form(line) for line in FORMS.strip().splitlines()]
    chances = torch.zeros(10, len(forms))
    for number, form in enumerate(forms):
        chances[form.label, number] = form.weight
    return forms, chances


def read_form(line: str) -> Form:
    """A line of `FORMS`."""
    label, weight, strokes = line.split(maxsplit=2)
    points: list[str] = []
    runs: list[list[int]] = []  # the numbers of the points that a straight line or a smooth curve joins
    for stroke in strokes.split(";"):
        first, *others = stroke.split()
        points.append(first)
        before = "-"
        for way, point in zip(others[::2], others[1::2], strict=True):
            if way != "~" or before == "-":
                runs.append([len(points) - 1])
            runs[-1].append(len(points))
            points.append(point)
            before = way
    percent = [[float(number or 0) for number in POINT.findall(point)[0]] for point in points]
    x, x_reach, y, y_reach = torch.tensor(percent).div(100).unbind(1)
    weights = torch.eye(len(points))
    curves = [curve(weights[run]) for run in runs]
    return Form(
        label=int(label),
        weight=float(weight),
        middle=torch.stack([x, y], dim=1),
        reach=torch.stack([x_reach, y_reach], dim=1),
        starts=torch.cat([each[:-1] for each in curves]),
        ends=torch.cat([each[1:] for each in curves]),
    )


def curve(points: Tensor) -> Tensor:
    """A smooth curve through `points` (K, D) as a chain of points: a Catmull-Rom spline, or a line if K is 2."""
    if len(points) == 2:
        return points
    padded = torch.cat([points[:1], points, points[-1:]])
    before, start, end, after = (padded[i : i + len(points) - 1, None] for i in range(4))  # (spans, 1, D)
    t = (torch.arange(PIECES) / PIECES)[:, None]
    spans = (
        start
        + t / 2 * (end - before)
        + t**2 / 2 * (2 * before - 5 * start + 4 * end - after)
        + t**3 / 2 * (3 * start - 3 * end + after - before)
    )
    return torch.cat([spans.flatten(0, 1), points[-1:]])

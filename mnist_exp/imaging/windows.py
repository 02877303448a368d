"""The largest, smallest or middle value in a window around each pixel.

The results are those of scipy.ndimage. Where windows are large or pictures are bool, these are several times faster.
"""

import numpy as np


def slide(join: np.ufunc, picture: np.ndarray, size: int, *, axis: int) -> np.ndarray:
    """`join` (such as np.maximum) of every `size` neighbours along `axis`, which gets `size` - 1 shorter.

    axis: 0 or 1. Windows of 2, 4, 8, ... pixels are each joined from two smaller ones, which may overlap.
    """
    joined, width = (picture.T if axis else picture), 1
    while width < size:
        step = min(width, size - width)
        joined = join(joined[:-step], joined[step:])
        width += step
    return joined.T if axis else joined


def with_margin(picture: np.ndarray, rows: int, columns: int, *, value: float = 0) -> np.ndarray:
    """The picture with `rows` more above and below, and `columns` more on the left and right. np.pad takes longer."""
    height, width = picture.shape
    framed = np.full((height + 2 * rows, width + 2 * columns), value, picture.dtype)
    framed[rows : rows + height, columns : columns + width] = picture
    return framed


def largest_near(picture: np.ndarray, size: int) -> np.ndarray:
    """The largest value of `size` x `size` pixels around each pixel, what is outside of the picture left out.

    `size` is odd.
    """
    padded = with_margin(picture, size // 2, size // 2, value=-np.inf)
    return slide(np.maximum, slide(np.maximum, padded, size, axis=0), size, axis=1)


def closing(picture: np.ndarray, size: int, *, inside: int = 1) -> np.ndarray:
    """The grey-scale closing: the smallest, in a window, of the largest values in a window around each pixel.

    `size` is odd. Windows may overhang the picture, but at least `inside` of their rows and columns are in it, and only
    these count.
    """
    out, rest = size - inside, inside - 1
    largest = slide(np.maximum, with_margin(picture, out, 0, value=-np.inf), size, axis=0)
    largest = slide(np.maximum, with_margin(largest, 0, out, value=-np.inf), size, axis=1)
    if rest:
        largest = with_margin(largest, rest, rest, value=np.inf)
    return slide(np.minimum, slide(np.minimum, largest, size, axis=1), size, axis=0)


def median_near(picture: np.ndarray, size: int) -> np.ndarray:
    """The median of `size` x `size` pixels around each pixel; the border's pixels are repeated outside of it.

    `size` is odd. It takes `size`**2 times the picture's memory.
    """
    padded = np.pad(picture, size // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size)).reshape(-1, size**2)
    middle = size**2 // 2
    return np.partition(windows, middle)[:, middle].reshape(picture.shape)


def dilate_by_disc(mask: np.ndarray, radius: float) -> np.ndarray:
    """Where a pixel of `mask` is at most `radius` pixels away: bool [height, width]."""
    reach = int(radius)
    height = len(mask)
    wide, half = with_margin(mask, reach, reach), 0  # the mask widened by `half` pixels to the left and to the right
    near = np.zeros_like(wide)
    for dy in range(reach, -1, -1):
        while half < reach and np.sqrt((half + 1) ** 2 + dy**2) <= radius:
            half += 1
            grown = wide.copy()
            grown[:, 1:] |= wide[:, :-1]
            grown[:, :-1] |= wide[:, 1:]
            wide = grown
        near[reach - dy : reach - dy + height] |= wide[reach : reach + height]
        near[reach + dy : reach + dy + height] |= wide[reach : reach + height]
    return near[reach : reach + height, reach:-reach] if reach else mask.copy()

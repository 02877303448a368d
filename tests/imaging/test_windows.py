"""Windows agree with scipy.ndimage: python -m pytest tests/imaging/test_windows.py -v"""

import numpy as np
import pytest
from scipy import ndimage

from mnist_exp.imaging.windows import closing, dilate_by_disc, largest_near, median_near, slide


def picture(height: int = 23, width: int = 31) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 50, (height, width)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 23])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_slide_joins_that_many_neighbours(size: int, axis: int):
    windows = np.lib.stride_tricks.sliding_window_view(picture(), size, axis=axis)
    np.testing.assert_array_equal(slide(np.minimum, picture(), size, axis=axis), windows.min(-1))


@pytest.mark.parametrize("size", [1, 3, 5, 21, 45])
def test_the_largest_near(size: int):
    np.testing.assert_array_equal(largest_near(picture(), size), ndimage.maximum_filter(picture(), size))


@pytest.mark.parametrize("size", [1, 3, 5, 21, 45])
def test_windows_of_a_closing_may_overhang(size: int):
    half = size // 2
    largest = ndimage.maximum_filter(np.pad(picture(), half, constant_values=-1e9), size)
    smallest = ndimage.minimum_filter(largest, size, mode="constant", cval=1e9)
    np.testing.assert_array_equal(closing(picture(), size), smallest[half : half + 23, half : half + 31])


@pytest.mark.parametrize("inside", [3, 4, 5])
def test_a_dark_strip_stays_where_windows_may_overhang_less_than_that(inside: int):
    """Both strips are 4 pixels wide, one along a border, the other amid the picture. The window is 9 pixels wide."""
    page = np.full((40, 40), 200.0, np.float32)
    page[:, :4] = page[:, 20:24] = 50
    closed = closing(page, 9, inside=inside)
    assert closed[20, 2] == (50 if inside <= 4 else 200)
    assert closed[20, 22] == 200


@pytest.mark.parametrize("size", [1, 3, 13])
def test_the_median_near(size: int):
    np.testing.assert_array_equal(median_near(picture(), size), ndimage.median_filter(picture(), size, mode="nearest"))


@pytest.mark.parametrize("radius", [0.0, 0.9, 1.0, 1.4142, 2.3, 5.0, 7.7])
def test_a_disc_reaches_as_far_as_its_radius(radius: float):
    mask = picture() > 190
    mask[0, 0] = mask[-1, -1] = True
    np.testing.assert_array_equal(dilate_by_disc(mask, radius), ndimage.distance_transform_edt(~mask) <= radius)

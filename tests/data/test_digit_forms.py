"""Arrays of digits in MNIST's form: python -m pytest tests/data/test_digit_forms.py"""

import logging

import numpy as np
import pytest
from conftest import make_digits
from PIL import Image
from scipy import ndimage

from mnist_exp.data.digit_forms import arrays_to_mnist_form, bitmap_to_mnist_form, check_labels, enlarge

IMAGES = make_digits(40).images.numpy()
FORMS = {
    "as MNIST": IMAGES,
    "int64": IMAGES.astype(np.int64),
    "float 0 to 255": IMAGES.astype(np.float32),
    "float 0 to 1": IMAGES / 255,
    "float16 0 to 1": (IMAGES / 255).astype(np.float16),
    "a channel last": IMAGES[..., None],
    "a channel first": IMAGES[:, None],
    "flat": IMAGES.reshape(40, 784),
    "dark on light": 255 - IMAGES,
    "dark on light, 0 to 1": 1 - IMAGES / 255,
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_images(name: str):
    images = arrays_to_mnist_form(FORMS[name], source="digits.npz")
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, IMAGES)


def test_mnists_own_form_is_not_copied():
    assert np.shares_memory(arrays_to_mnist_form(IMAGES, source=""), IMAGES)


def test_black_and_white_images_of_0_and_1_become_0_and_255(caplog: pytest.LogCaptureFixture):
    for pixels in (IMAGES > 127, (IMAGES > 127).astype(np.uint8)):
        images = arrays_to_mnist_form(pixels, source="digits.npz")
        np.testing.assert_array_equal(images, np.where(IMAGES > 127, 255, 0))
    message = "digits.npz: the largest pixel is 1. The pixels are taken for black and white: 1 becomes 255"
    assert caplog.messages == [message] * 2


@pytest.mark.parametrize("invert", [False, True])
def test_8x8_images_may_be_of_any_range(invert: bool):
    small = np.random.default_rng(0).integers(0, 17, (5, 8, 8)) * (np.arange(8) > 3)
    expected = enlarge(small / 16)
    for white in (1, 16, 255):
        pixels = (16 - small if invert else small) * (white / 16)
        assert np.abs(arrays_to_mnist_form(pixels, source="").astype(int) - expected).max() <= 1


def test_blank_images_and_no_images_stay_as_they_are():
    assert not arrays_to_mnist_form(np.zeros((2, 28, 28), np.uint8), source="").any()
    assert arrays_to_mnist_form(np.zeros((2, 8, 8)), source="").shape == (2, 28, 28)
    assert arrays_to_mnist_form(np.zeros((0, 784)), source="").shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            np.where(np.arange(40)[:, None, None] < 10, 255 - IMAGES, IMAGES),
            "25% of the images have a bright background",
        ),
        (IMAGES // 8, "the largest pixel is 31, and full ink is 255"),
    ],
)
def test_images_that_are_probably_not_what_they_seem_are_warned_of_and_left(
    pixels: np.ndarray, message: str, caplog: pytest.LogCaptureFixture
):
    np.testing.assert_array_equal(arrays_to_mnist_form(pixels, source="digits.npz"), pixels)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith(f"digits.npz: {message}")


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((2, 28, 28), 256), "from 0 to 255 or from 0 to 1, not from 256 to 256"),
        (np.full((2, 28, 28), -1), "not from -1 to -1"),
        (np.full((2, 28, 28), np.nan), "not from nan to nan"),
        (np.zeros((2, 28, 27)), r"must be \[N, 28, 28\] or \[N, 8, 8\], not \[2, 28, 27\]"),
        (np.zeros(784), r"not \[784\]"),
        (np.full((2, 28, 28), "a"), "must be numbers, not <U1"),
    ],
)
def test_other_arrays_are_refused(pixels: np.ndarray, message: str):
    with pytest.raises(ValueError, match=f"digits.npz: .*{message}"):
        arrays_to_mnist_form(pixels, source="digits.npz")


def test_equal_labels_are_warned_of(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        check_labels(np.array([0, 1]), source="a.csv")
        check_labels(np.array([3]), source="a.csv")
        assert caplog.messages == []
        check_labels(np.array([0] * 2000), source="a.csv")
    assert caplog.messages == ["a.csv: all 2,000 labels are 0. Is another column the label?"]


# ---- small images ----


def test_a_bitmap_fills_the_box_of_20_with_its_mass_in_the_middle():
    bitmap = np.zeros((8, 8), np.float32)
    bitmap[1:7, 2:4] = 1
    bitmap[6, 2:6] = 1
    image = bitmap_to_mnist_form(bitmap)
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
    assert np.count_nonzero(image.any(axis=1)) == 20
    assert ndimage.center_of_mass(image) == pytest.approx((14, 14), abs=0.5)


def mnist_form_by_hand(bitmap: np.ndarray) -> np.ndarray:
    """`bitmap_to_mnist_form`, a step at a time: crop, scale to 20, put the centre of mass on the centre."""
    ys, xs = np.nonzero(bitmap)
    box = bitmap[min(ys) : max(ys) + 1, min(xs) : max(xs) + 1]
    factor = 20 / max(box.shape)
    size = max(1, round(box.shape[1] * factor)), max(1, round(box.shape[0] * factor))
    ink = np.asarray(Image.fromarray(box).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    y, x = ndimage.center_of_mass(ink)
    top, left = min(max(round(14 - y), 0), 28 - size[1]), min(max(round(14 - x), 0), 28 - size[0])
    return np.pad(np.round(255 * ink), ((top, 28 - top - size[1]), (left, 28 - left - size[0]))).astype(np.uint8)


def test_bitmaps_of_any_shape_and_position_are_brought_to_mnists_form_as_by_hand():
    rng = np.random.default_rng(0)
    for height, width in [(8, 8), (16, 16), (2, 9), (9, 2), (3, 12), (40, 25)]:
        for _ in range(5):
            bitmap = np.float32(rng.random((height, width)) * (rng.random((height, width)) < 0.7))
            bitmap[rng.integers(height), rng.integers(width)] = 1
            np.testing.assert_array_equal(bitmap_to_mnist_form(bitmap), mnist_form_by_hand(bitmap))


def test_a_line_of_one_pixel_is_not_lost_and_the_box_stays_within_the_image():
    line = np.zeros((8, 8), np.float32)
    line[3] = [0, 1, 1, 1, 1, 1, 1, 0]
    image = bitmap_to_mnist_form(line)
    assert (image.any(axis=1).sum(), image.any(axis=0).sum()) == (3, 20)
    lopsided = np.full((20, 20), 0.002, np.float32)
    lopsided[0, 0] = 1  # its centre of mass is so near a corner that the box would leave the image
    for bitmap, first in ((lopsided, 8), (lopsided[::-1, ::-1].copy(), 0)):
        rows, columns = bitmap_to_mnist_form(bitmap).nonzero()
        assert (rows.min(), columns.min()) == (first, first)


def test_small_images_keep_their_order_and_ink():
    ink = np.zeros((2, 4, 4))
    ink[0, :, 1:3], ink[1, 1:3] = 1, 0.5
    images = enlarge(ink)
    assert [image.max() for image in images] == [255, 128]
    assert images[0].any(axis=1).sum() == images[1].any(axis=0).sum() == 20

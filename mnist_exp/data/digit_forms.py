"""Bring arrays of digits to MNIST's form, and warn of digits that are probably not what they seem.

    images = arrays_to_mnist_form(file["x_test"], source="mnist.npz")

People store digits as 0 to 255 or as 0 to 1, 28x28 or 8x8, white on black or black on white. The values tell which.
"""

import logging

import numpy as np

SIDE = 28
SMALL_SIDE = 8  # of scikit-learn's and UCI's digits, whose values are from 0 to SMALL_LARGEST
SMALL_LARGEST = 16
GLANCE, LOOK = 64, 1000  # images of many that are looked at; more only where something is odd
DIM = 100  # of 255: every image of MNIST has brighter pixels
NEARLY_ALL = 0.95  # of the images

logger = logging.getLogger(__name__)


def arrays_to_mnist_form(pixels: np.ndarray, *, source: str, strokes: bool = True) -> np.ndarray:
    """Images as MNIST has them: uint8 (N, 28, 28), white on black.

    pixels: numbers or booleans of any type, 28x28 or 8x8, as (N, 28, 28), (N, 28, 28, 1), (N, 1, 28, 28) or (N, 784).
        From 0 to 1, to 16 (8x8 alone) or to 255, as the largest value tells.
    source: names the file in messages.
    strokes: the images show pen strokes, which leave more than half of an image to the background. False for other
        pictures: they are taken for white on black.

    Images of strokes that are nearly all black on white are inverted. What was changed is logged.

    Raises ValueError for other shapes and numbers.
    """
    images = _as_squares(pixels, source)
    if not images.size:
        return np.zeros((0, SIDE, SIDE), np.uint8)
    small = images.shape[1] == SMALL_SIDE
    white = _value_of_white(images, source, small=small)
    if small:
        logger.info("%s: 8x8 images are enlarged to 28x28", source)
        return enlarge(_white_on_black(images / white, 1.0, source))
    if white != 255 or images.dtype != np.uint8:
        images = np.round(images * (255 / white)).astype(np.uint8)
    return _white_on_black(images, 255, source) if strokes else images


def check_labels(labels: np.ndarray, *, source: str) -> None:
    """Warn where all of several labels are equal."""
    if len(labels) > 1 and labels.min() == labels.max():
        logger.warning("%s: all %s labels are %s. Is another column the label?", source, f"{len(labels):,}", labels[0])


def _as_squares(pixels: np.ndarray, source: str) -> np.ndarray:
    """The images as (N, side, side)."""
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"{source}: images must be numbers, not {pixels.dtype}")
    for side in (SIDE, SMALL_SIDE):
        image_shapes = ((side, side), (side, side, 1), (1, side, side), (side * side,))
        if pixels.ndim > 1 and pixels.shape[1:] in image_shapes:
            return pixels.reshape(-1, side, side)
    raise ValueError(f"{source}: images must be [N, 28, 28] or [N, 8, 8], not {list(pixels.shape)}")


def _value_of_white(images: np.ndarray, source: str, *, small: bool) -> int:
    """The value of full ink: 1, 16 or 255."""
    if images.dtype == np.uint8 and _some(images, GLANCE).max() >= DIM:
        return 255  # as in MNIST: most of a memory-mapped file need not be read for this
    least, largest = images.min(), images.max()
    if not (least >= 0 and largest <= 255):  # NaN, too
        raise ValueError(f"{source}: pixels must be from 0 to 255 or from 0 to 1, not from {least:g} to {largest:g}")
    if largest > 1:
        if not small and largest < DIM:
            logger.warning("%s: the largest pixel is %g, and full ink is 255. Are the pixels scaled?", source, largest)
        return SMALL_LARGEST if small and largest <= SMALL_LARGEST else 255
    if images.dtype.kind == "f":
        logger.info("%s: the pixels are scaled from 0..1 to 0..255", source)
    elif largest:
        logger.warning("%s: the largest pixel is 1. The pixels are taken for black and white: 1 becomes 255", source)
    return 1


def _white_on_black(images: np.ndarray, white: float, source: str) -> np.ndarray:
    """The images, inverted if the background is bright in nearly all of them. A warning if it is in some."""
    if not _bright(_some(images, GLANCE), white):
        return images
    bright = _bright(_some(images, LOOK), white)
    if bright > NEARLY_ALL:
        logger.warning("%s: the digits are dark on a bright background. They are inverted", source)
        return white - images
    logger.warning(
        "%s: %.0f%% of the images have a bright background and the others a dark one. Digits must be white on black: "
        "invert those that are not",
        source,
        100 * bright,
    )
    return images


def _bright(images: np.ndarray, white: float) -> float:
    """The share of images with a bright background. Ink takes less than half of an image."""
    return float((images.reshape(len(images), -1).mean(axis=1) > white / 2).mean())


def _some(images: np.ndarray, number: int) -> np.ndarray:
    """About so many of the images, at equal distances."""
    return images[:: -(-len(images) // number)]


# ---- small images ----


def enlarge(ink: np.ndarray) -> np.ndarray:
    """Small images (N, height, width) with values from 0 to 1, white on black, in MNIST's form: uint8 (N, 28, 28)."""
    return np.stack([bitmap_to_mnist_form(bitmap.astype(np.float32)) for bitmap in ink])


def bitmap_to_mnist_form(bitmap: np.ndarray) -> np.ndarray:
    """One small image, float32 (height, width) from 0 to 1, as MNIST would hold it: uint8 (28, 28).

    The ink is scaled into a box of 20x20 with its aspect kept, and its centre of mass put in the middle.
    """
    from PIL import Image

    from mnist_exp.imaging.geometry import centre_by_mass  # imports scipy: slow

    rows, columns = np.nonzero(bitmap)
    if not len(rows):
        return np.zeros((SIDE, SIDE), np.uint8)
    box = bitmap[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = (max(1, round(side * 20 / max(box.shape))) for side in box.shape)
    ink = np.asarray(Image.fromarray(box).resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    return centre_by_mass(ink)

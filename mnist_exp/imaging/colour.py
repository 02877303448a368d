"""From a colour picture to a grey one in which the ink stands out: `to_grey(image)`.

Grey as the eye sees it is right for nearly all pens. A pale blue-green pen on pink paper can be as light as the paper,
and then only its colour tells it apart. So the colours' differences within a small neighbourhood are measured, in the
middle of the picture above all. Where they are much larger along some direction of colour than in grey, the picture is
projected onto that direction (the first principal component).
"""

import numpy as np
from PIL import Image
from scipy import ndimage

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow has it
SIZE, WINDOW = 64, 13  # pixels: the picture is reduced, and compared with its mean in a window
MORE_CONTRAST = 1.5  # times the contrast in grey: only then does another direction pay
MOSTLY_CLEAR = 0.5  # mean opacity: below that, whatever is opaque is ink


def to_grey(image: Image.Image) -> np.ndarray:
    """The grey values of a picture of any mode: uint8 [height, width].

    Where a picture is mostly transparent, what is opaque is ink, and becomes black. Otherwise what is transparent
    becomes white. 16 or 32 bits a pixel are stretched from the smallest to the largest value.
    """
    if image.mode[0] in "IF":  # no header tells their range, so use what there is
        wide = np.nan_to_num(np.asarray(image, np.float64))
        return ((wide - wide.min()) * (255 / max(np.ptp(wide), 1e-9))).astype(np.uint8)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
        if alpha.mean() < MOSTLY_CLEAR * 255:
            return 255 - alpha
        if alpha.min() < 255:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))
    colours = image.convert("RGB")
    small = np.asarray(colours.resize((SIZE, SIZE), Image.Resampling.BOX), np.float32)
    weights = best_direction(small)
    if weights is None:
        return np.asarray(colours.convert("L"))
    paper = np.median(small, axis=(0, 1))
    return np.asarray(colours.convert("L", (*weights.tolist(), 128 - float(weights @ paper))))


def best_direction(colours: np.ndarray) -> np.ndarray | None:
    """The direction of colour with the most contrast, [3], absolute values with the sum 1. None where grey is as good.

    colours: [height, width, 3].
    """
    difference = colours - ndimage.uniform_filter(colours, (WINDOW, WINDOW, 0), mode="nearest")
    rows, columns = (np.hanning(length + 2)[1:-1] for length in colours.shape[:2])
    weighted = difference * (rows[:, None] * columns)[..., None]
    covariance = np.tensordot(weighted, weighted, ((0, 1), (0, 1)))
    variances, directions = np.linalg.eigh(covariance)
    grey = LUMINANCE @ covariance @ LUMINANCE / (LUMINANCE @ LUMINANCE)
    if variances[-1] <= MORE_CONTRAST**2 * grey:
        return None
    return directions[:, -1] / np.abs(directions[:, -1]).sum()

"""From a photo of one handwritten digit to MNIST's form: `load_photo(path)` gives uint8 [28, 28], white on black.

MNIST's digits were made like this (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document
recognition, Proc. IEEE 86(11), 1998, section III-A): the digit is scaled into a 20x20 box with its aspect kept, its
edges are grey from resampling, and its centre of mass is the centre of 28x28. The steps here:

1. `read_photo`             turns the picture upright and makes it grey, so that coloured ink stands out (colour.py);
2. `find_ink`               tells dark ink from light paper, or the other way round, in uneven light and in shadows
                            (shadows.py);
3. `find_marks`, `sharpen`  drop noise, paper grain and blur;
4. `find_lines`             finds ruled or squared paper and cell borders, which are dropped (printed_lines.py);
5. `find_digit`             drops specks, frames and neighbours, and keeps broken strokes together (pieces.py);
6. `redraw`                 scales the digit into the box and widens a thin pen;
7. `centre_by_mass`         places it on 28x28 (geometry.py).

Lengths are fractions of the picture's longer side ("the side"), so that a small crop and a large photo are read alike.
Not handled: a digit amid other writing, a digit smaller than a twentieth of the side, and digits that touch each other,
which are read as one. In a crop without any margin, two strokes from edge to edge, such as the bar and the stem of a 4,
are taken for printed lines. A shadow that is as narrow or as sharp as a stroke is taken for ink.

`photo_steps.py` draws what each step has made of a picture. `scripts/photo_like.py` measures how well they work.
"""

import struct
import warnings
from os import PathLike
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from mnist_exp.imaging.colour import to_grey
from mnist_exp.imaging.geometry import centre_by_mass
from mnist_exp.imaging.pieces import EIGHT_NEIGHBOURS, are_large, find_pieces, has_second_digit, join_digit, outer_box
from mnist_exp.imaging.printed_lines import are_printed, find_lines, pixels_of
from mnist_exp.imaging.shadows import PAPER_WINDOW, SHADOW_WINDOW, find_shadows, ink_on_paper
from mnist_exp.imaging.windows import dilate_by_disc, largest_near, median_near

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")  # no EPS: it would start Ghostscript
MAX_PIXELS = 50_000_000  # larger pictures are refused from the header: decoding them would take 150 MB and more
TOO_LARGE = f"above {MAX_PIXELS // 10**6} megapixels; reduce it first"
MIN_SIDE = 8  # pixels, of the shorter side
WORK_SIDES = (128, 512)  # pixels of the longer side: smaller pictures are enlarged, larger ones reduced
STROKE_WIDTH = 2.0  # pixels of the 28x28; MNIST's own have a median of 2.5, and half of them are 2.2 to 3.1 wide
BOX = 20  # pixels: the longer side of MNIST's digits

# Which ink is on which paper
NOISE_BLUR = 1 / 180  # of the side: sigma of a blur that removes the noise of single pixels
GLANCE = 128  # pixels: a picture of this size is enough to find shadows
SURROUNDINGS = (24, 15)  # the picture is reduced to 24x24, where 15x15 pixels are the surroundings of one

# What is ink, as a fraction of the paper's light
NOISE_PERCENTILE = 16  # of all pixels: one sigma lighter than the median paper; there is no ink on that side
NOISE_SIGMAS = 3  # ink is darker than the paper's noise by this many sigmas
FAINTEST = 0.03  # ink takes at least this fraction of the paper's light
TYPICAL_PERCENTILE = 80  # of all marks: the darkness of a stroke's middle
MARK_DARKNESS = 0.2  # times the typical darkness: anything fainter is a smudge or paper grain
STROKE_EDGE = 0.3  # times the stroke's own darkness: a stroke ends here, so that faint strokes are kept, too
STROKE_WINDOW = 0.08  # of the side: the neighbourhood in which the darkest ink is the stroke's own

# What is the digit
NARROW_CROP = 2  # times as high as wide: such a crop may hold a 1 that looks like a printed line

# How it is drawn anew
OVERSAMPLING = 8  # strokes are drawn at 160 pixels, then averaged down to 20: this gives MNIST's grey edges
MARGIN = 4  # pixels around the digit, so that resizing sees paper on all sides
OUTLINE = 0.5  # times the darkest ink near by: where the edge of a blurred stroke was
OUTLINE_WINDOW = 4  # pixels of the result: width of the window in which the darkest ink is the stroke's own

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # we refuse such pictures with an error


class PhotoError(ValueError):
    """A picture that cannot be read as one digit. The message says what is wrong and what to do."""


Steps = list[tuple[str, np.ndarray]]  # what was done, and the picture [height, width] after it: float 0 to 1, or bool


def load_photo(path: str | PathLike[str] | BinaryIO, *, stroke_width: float | None = STROKE_WIDTH) -> np.ndarray:
    """One digit from a picture file, as MNIST has it: uint8 [28, 28], background 0, ink up to 255.

    path: a file's path, or a file opened in binary mode.
    stroke_width: as in `to_mnist_form`.

    Raises PhotoError, which names the file, if it cannot be read or does not show exactly one digit.
    """
    grey = read_photo(path)
    try:
        return to_mnist_form(grey, stroke_width=stroke_width)
    except PhotoError as error:
        raise PhotoError(f"{_name(path)}: {error}") from None


def read_photo(path: str | PathLike[str] | BinaryIO) -> np.ndarray:
    """The grey values of a picture file, upright: uint8 [height, width], 0 black to 255 white.

    What is transparent becomes white. A large JPEG is read at a half, quarter or eighth of its size, but at least 512
    pixels a side: this saves most of the decoding.

    Raises PhotoError, which names the file, if it is missing, not a picture, damaged, tiny or above MAX_PIXELS.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_size(*image.size)
            image.draft("RGB", (WORK_SIDES[1], WORK_SIDES[1]))
            return to_grey(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = TOO_LARGE
    except UnidentifiedImageError:
        problem = f"not a picture that can be read; use one of {', '.join(FORMATS)}"
    except FileNotFoundError:
        problem = "no such file; check the path"
    except PhotoError as error:
        problem = str(error)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:  # Pillow's decoders raise all of these
        problem = f"cannot be read ({error}); if it is cut short or damaged, copy it again"
    raise PhotoError(f"{_name(path)}: {problem}")


def _name(path: str | PathLike[str] | BinaryIO) -> str:
    """What to call the picture in an error message."""
    return str(path if isinstance(path, str | PathLike) else getattr(path, "name", "the picture"))


def _check_size(width: int, height: int) -> None:
    """PhotoError if the picture is too large or too small."""
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{width}x{height} is {TOO_LARGE}")
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{width}x{height} is too small for a digit; give at least {MIN_SIDE}x{MIN_SIDE} pixels")


def to_mnist_form(
    grey: np.ndarray, *, stroke_width: float | None = STROKE_WIDTH, steps: Steps | None = None
) -> np.ndarray:
    """One digit from a grey picture, as MNIST has it: uint8 [28, 28], background 0, ink up to 255.

    grey: [height, width], 0 black to 255 white; the digit may be darker or lighter than its background.
    stroke_width: in pixels of the result. Thinner strokes are widened to it. None leaves them as they are.
    steps: a list to which each step's result is added, also where the picture is then refused.

    Raises PhotoError if the picture is blank, tiny or huge, shows several digits, or is not [height, width].
    """
    if grey.ndim != 2:
        raise PhotoError(f"shape {grey.shape} is not a grey picture; give [height, width]")
    _check_size(grey.shape[1], grey.shape[0])
    steps = [] if steps is None else steps
    side = max(grey.shape)
    picture = _resize(np.asarray(grey, np.float32), np.clip(side, *WORK_SIDES) / side)
    steps.append(("grey", picture.clip(0, 255) / 255))
    ink = find_ink(picture)
    steps.append(("ink", ink.clip(0, 1)))
    digit = find_digit(ink, steps)
    image = centre_by_mass(redraw(ink, digit, stroke_width))
    steps.append(("28x28", image / 255))
    return image


def _resize(picture: np.ndarray, scale: float, method: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """`picture` with its height and width times `scale`."""
    height, width = (max(1, round(length * scale)) for length in picture.shape)
    return np.asarray(Image.fromarray(picture).resize((width, height), method))


# --- from grey values to ink ---


def find_ink(grey: np.ndarray) -> np.ndarray:
    """The fraction of the paper's light that the ink takes: float32 [height, width], about 0 on paper, at most 1.

    Narrow soft shadows are paper, and wide ones, too (shadows.py).
    """
    side = max(grey.shape)
    sharp = grey.clip(0, 255)  # bicubic resizing goes beyond that
    grey = ndimage.gaussian_filter(sharp, NOISE_BLUR * side)
    if is_light_on_dark(grey):
        sharp, grey = 255 - sharp, 255 - grey
    ink = ink_on_paper(grey, PAPER_WINDOW)
    shadows = find_shadows(*(_resize(each, min(1, GLANCE / side), Image.Resampling.BOX) for each in (sharp, ink)))
    if not shadows.any():
        return ink
    in_shadow = np.asarray(Image.fromarray(shadows).resize(grey.shape[::-1], Image.Resampling.NEAREST))
    return np.where(in_shadow, ink_on_paper(grey, SHADOW_WINDOW), ink)


def is_light_on_dark(grey: np.ndarray) -> bool:
    """Whether the ink is lighter than the paper.

    Ink is what differs from its surroundings most. So the cube of the difference decides by its sign, and the middle
    of the picture, where the digit is expected, weighs most.
    """
    size, window = SURROUNDINGS
    small = np.asarray(Image.fromarray(grey).resize((size, size), Image.Resampling.BOX))
    surroundings = Image.fromarray(median_near(small, window))
    contrast = grey - np.asarray(surroundings.resize(grey.shape[::-1], Image.Resampling.BILINEAR))
    rows, columns = (np.hanning(length + 2)[1:-1] for length in grey.shape)
    return bool(rows @ (contrast * contrast * contrast) @ columns > 0)


# --- from ink to the digit's strokes ---


def find_marks(ink: np.ndarray) -> np.ndarray:
    """Where anything is darker than paper: bool [height, width]. PhotoError if there is nothing."""
    noise = -np.percentile(ink, NOISE_PERCENTILE)
    floor = max(NOISE_SIGMAS * noise, FAINTEST)
    if not (ink > floor).any():
        raise PhotoError("blank: no ink stands out from the paper; take a sharper or closer photo")
    typical = np.percentile(ink[ink > floor], TYPICAL_PERCENTILE)
    return ink > max(floor, MARK_DARKNESS * typical)


def sharpen(marks: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """The marks without the blur around dark strokes: bool [height, width]."""
    darkest_near_by = largest_near(ink, int(STROKE_WINDOW * max(ink.shape)) | 1)
    return marks & (ink > STROKE_EDGE * darkest_near_by)


def find_digit(ink: np.ndarray, steps: Steps | None = None) -> np.ndarray:
    """The digit's strokes: bool [height, width]. `steps` as in `to_mnist_form`.

    Raises PhotoError if there is no digit, or more than one.
    """
    steps = [] if steps is None else steps
    marks = find_marks(ink)
    strokes = sharpen(marks, ink)
    steps.append(("marks", strokes))
    lines = find_lines(marks)
    pieces = find_pieces(strokes & ~pixels_of(lines, marks), ink)
    if are_large(pieces).any():
        members = join_digit(pieces)
        printed = not lines or are_printed(lines, outer_box(pieces.boxes[members]))
    elif lines and ink.shape[0] >= NARROW_CROP * ink.shape[1]:
        printed = False
    else:
        raise PhotoError("blank: specks or printed lines, but no digit; take a sharper or closer photo")
    if not printed:
        lines = []
        pieces = find_pieces(strokes, ink)
        members = join_digit(pieces)
    steps.append(("printed lines removed" if lines else "no printed lines", pieces.labels > 0))
    if has_second_digit(pieces, members):
        raise PhotoError("more than one digit; crop the picture to one")
    digit = pieces.pixels_of(members)
    steps.append((f"the digit: {members.sum()} of {len(members)} pieces", digit))
    return digit


# --- from strokes to MNIST's form ---


def redraw(ink: np.ndarray, digit: np.ndarray, stroke_width: float | None) -> np.ndarray:
    """The digit scaled so that its longer side is 20 pixels: float32 [height, width], 0 to 1.

    digit: where its strokes are, bool [height, width]; `ink` has the same shape.
    """
    strokes = _trace(ink, digit)
    if stroke_width is not None:
        strokes = _widen(strokes, stroke_width * OVERSAMPLING)
    y, x = np.nonzero(strokes)
    strokes = strokes[y.min() : y.max() + 1, x.min() : x.max() + 1].astype(np.float32)
    small = _resize(strokes, BOX / max(strokes.shape), Image.Resampling.BOX)
    return small / small.max()


def _trace(ink: np.ndarray, digit: np.ndarray) -> np.ndarray:
    """The digit's strokes enlarged to 160 pixels and a margin, without blur: bool [height, width]."""
    y, x = np.nonzero(digit)
    rows, columns = (slice(max(at.min() - MARGIN, 0), at.max() + MARGIN + 1) for at in (y, x))
    scale = BOX * OVERSAMPLING / (max(np.ptp(y), np.ptp(x)) + 1)
    with_edges = ndimage.binary_dilation(digit[rows, columns], EIGHT_NEIGHBOURS)
    large = _resize(np.where(with_edges, ink[rows, columns], 0).astype(np.float32), scale)
    strokes = large > OUTLINE * largest_near(large, OUTLINE_WINDOW * OVERSAMPLING + 1)
    return strokes & _resize(with_edges, scale, Image.Resampling.NEAREST)


def _widen(strokes: np.ndarray, width: float) -> np.ndarray:
    """The strokes with ink added on all sides until they are `width` pixels wide; wider ones stay as they are."""
    y, x = np.nonzero(strokes)
    strokes = strokes[max(y.min() - 1, 0) : y.max() + 2, max(x.min() - 1, 0) : x.max() + 2]  # less to do below
    depth = ndimage.distance_transform_edt(strokes)[strokes].mean()
    own_width = 4 * depth - 1  # for a straight stroke: the distance from paper to paper
    added = (width - own_width) / 2
    if added <= 0:
        return strokes
    return dilate_by_disc(np.pad(strokes, int(added) + 2), added)

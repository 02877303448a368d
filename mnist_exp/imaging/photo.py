"""From a photo of one handwritten digit to MNIST's form: `load_photo(path)` gives uint8 [28, 28], white on black.

MNIST's own making is the aim (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document
recognition, Proc. IEEE 86(11), 1998, section III-A): the digit fits a 20x20 box with its aspect kept, its edges are
grey from resampling, and its centre of mass is the centre of 28x28. What a photo adds is taken away first:

1. `read_photo`  the camera's orientation, transparency, colour;
2. `_ink`        which of ink and paper is dark, uneven light and shadows;
3. `_strokes`    noise and paper grain;
4. `_lines`      printed lines: ruled or squared paper, cell borders;
5. `_digit`      specks, frames and neighbours, while broken strokes are kept together;
6. `_redraw`     the pen: a thin line is widened.

Lengths are fractions of the picture's longer side ("of the side"), so that a crop and a large photo are read alike.
Out of reach: a digit amid other writing, a digit under a twentieth of the side, and digits that touch each other
(they are read as one). In a crop without any margin, a stroke that runs from edge to edge may pass for a printed line.
"""

import struct
import warnings
from os import PathLike
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")  # no EPS: it would start Ghostscript
MAX_PIXELS = 50_000_000  # more are refused from the header: decoding them would take 150 MB and up
MIN_SIDE = 8  # pixels
WORK_SIDES = (128, 512)  # smaller pictures are enlarged to the first, larger ones reduced to the second
STROKE_WIDTH = 2.0  # pixels of the 28x28; MNIST's own: median 2.5, middle half 2.2 to 3.1

WINDOW = 0.4  # of the side: what is dark over a wider patch is shadow or table, not ink
FAINTEST = 0.03  # ink takes at least this share of the paper's light
LINE_WIDTH = 0.1  # of the side: printed lines are thinner, blur included
LINE_LENGTH = 0.75  # of the picture's width or height: printed lines are longer, counted from the border
LINE_SLOPE = 0.2  # printed lines are at most 11 degrees askew
SMALLEST = 0.05  # of the side: a digit is larger
FILL = 0.9
GAP = 0.25  # of the digit's longer side: pieces farther apart are not one broken stroke
OVERSAMPLED = 8  # strokes are redrawn in a box of 160 pixels, then averaged down to 20: hence MNIST's grey edges
EIGHT = np.ones((3, 3), bool)  # diagonal neighbours touch

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS is the lower limit


class PhotoError(ValueError):
    """A picture that cannot be read as one digit; the message says what is wrong and what to do."""


class _Pieces(NamedTuple):
    """What hangs together: one entry a piece in each of the arrays [n]."""

    labels: np.ndarray  # [height, width]: 0 where there is no ink, else 1 + the piece's index
    boxes: np.ndarray  # [n, 4]: top, left, bottom, right
    area: np.ndarray  # pixels
    darkness: np.ndarray  # mean ink
    central: np.ndarray  # mean weight of its pixels, from 1 in the picture's middle to 0.05 at the border
    cut: np.ndarray  # whether the picture's border cuts it


def load_photo(path: str | PathLike[str] | BinaryIO, *, stroke_width: float | None = STROKE_WIDTH) -> np.ndarray:
    """A picture file, or one opened in binary mode, to MNIST's form: uint8 [28, 28], background 0, ink up to 255.

    `stroke_width` as in `to_mnist_form`. Every PhotoError names the file.
    """
    grey = read_photo(path)
    try:
        return to_mnist_form(grey, stroke_width=stroke_width)
    except PhotoError as error:
        raise PhotoError(f"{_name(path)}: {error}") from None


def read_photo(path: str | PathLike[str] | BinaryIO) -> np.ndarray:
    """A picture file to grey, upright: uint8 [height, width], 0 black to 255 white, transparency on white.

    Large JPEGs come at a half, quarter or eighth of their size, at least 512 pixels a side: most of the decoding is
    saved. PhotoError, naming the file, for one that is missing, no picture, cut short, tiny or above MAX_PIXELS.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_size(*image.size)
            image.draft("RGB", (WORK_SIDES[1], WORK_SIDES[1]))
            return _grey(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = f"above {MAX_PIXELS // 10**6} megapixels; reduce it first"
    except UnidentifiedImageError:
        problem = f"not a picture that can be read; {', '.join(FORMATS)} can"
    except FileNotFoundError:
        problem = "no such file; check the path"
    except PhotoError as error:
        problem = str(error)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:  # Pillow's decoders raise all of these
        problem = f"cannot be read ({error}); if it is cut short or damaged, copy it again"
    raise PhotoError(f"{_name(path)}: {problem}")


def _name(path: str | PathLike[str] | BinaryIO) -> str:
    return str(path if isinstance(path, str | PathLike) else getattr(path, "name", "the picture"))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{width}x{height} is above {MAX_PIXELS // 10**6} megapixels; reduce it first")
    if min(width, height) < MIN_SIDE:
        raise PhotoError(f"{width}x{height} is too small for a digit; give at least {MIN_SIDE}x{MIN_SIDE} pixels")


def _grey(image: Image.Image) -> np.ndarray:
    if image.mode[0] in "IF":  # 16 or 32 bits a pixel, of which no header tells the range
        wide = np.nan_to_num(np.asarray(image, np.float64))
        return ((wide - wide.min()) * (255 / max(np.ptp(wide), 1e-9))).astype(np.uint8)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("L"))


def to_mnist_form(grey: np.ndarray, *, stroke_width: float | None = STROKE_WIDTH) -> np.ndarray:
    """A grey picture [height, width], 0 black to 255 white, of one digit, light or dark, to uint8 [28, 28].

    The background is 0 and ink goes up to 255. `stroke_width` is in pixels of the result: strokes thinner than that
    are widened to it; None leaves them as the pen drew them. PhotoError for a blank picture and for several digits.
    """
    if grey.ndim != 2:
        raise PhotoError(f"shape {grey.shape} is not a grey picture; give [height, width]")
    _check_size(grey.shape[1], grey.shape[0])
    side = max(grey.shape)
    ink = _ink(_resize(np.asarray(grey, np.float32), np.clip(side, *WORK_SIDES) / side))
    return _centre(_redraw(ink, _digit(ink), stroke_width))


def _resize(picture: np.ndarray, scale: float, how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    height, width = (max(1, round(length * scale)) for length in picture.shape)
    return np.asarray(Image.fromarray(picture).resize((width, height), how))


def _ink(grey: np.ndarray) -> np.ndarray:
    """Share of the paper's light that the ink takes: float32 [height, width], about 0 on paper, at most 1.

    Paper is the grey-scale closing (Serra 1982): the brightest in a window, then the darkest of those. Unlike a blur
    it keeps a shadow's sharp edge. Windows may overhang the picture, so what darkens towards the border is light too.
    """
    side = max(grey.shape)
    grey = ndimage.gaussian_filter(grey.clip(0, 255), side / 180)  # bicubic resizing overshoots
    if _is_light_on_dark(grey):
        grey = 255 - grey
    size = int(WINDOW * side) | 1
    half = size // 2
    brightest = ndimage.maximum_filter(np.pad(grey, half, constant_values=-1), size)
    paper = ndimage.minimum_filter(brightest, size, mode="constant", cval=256)[half:-half, half:-half]
    ink = 1 - (grey + 1) / (paper + 1)
    return ink - np.median(ink)


def _is_light_on_dark(grey: np.ndarray) -> bool:
    """Whether what differs from its wide surroundings is lighter. Skewness decides, and the middle weighs most."""
    small = np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.BOX))
    wide = Image.fromarray(ndimage.median_filter(small, 13, mode="nearest"))
    contrast = grey - np.asarray(wide.resize(grey.shape[::-1], Image.Resampling.BILINEAR))
    middle = np.hanning(grey.shape[0] + 2)[1:-1, None] * np.hanning(grey.shape[1] + 2)[1:-1]
    return bool((middle * contrast**3).sum() > 0)


def _marks(ink: np.ndarray) -> np.ndarray:
    """Where anything is darker than paper: bool [height, width]."""
    noise = -np.percentile(ink, 16)  # one sigma below paper: ink is all on the other side
    floor = max(3 * noise, FAINTEST)
    if not (ink > floor).any():
        raise PhotoError("blank: no ink stands out from the paper; take a sharper or closer photo")
    typical = np.percentile(ink[ink > floor], 80)
    return ink > max(floor, 0.2 * typical)


def _strokes(ink: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """`marks` without the blur around darker ones: a stroke ends at 0.3 of its own darkness, so faint ones survive."""
    return marks & (ink > 0.3 * ndimage.maximum_filter(ink, int(0.08 * max(ink.shape)) | 1))


def _lines(mask: np.ndarray) -> np.ndarray:
    """The printed lines in `mask`, less the strokes that cross them: bool [height, width]."""
    lines, across, down = np.zeros((3, *mask.shape), bool)
    for picture, found, bands in ((mask, lines, across), (mask.T, lines.T, down.T)):
        for way in (slice(None), slice(None, None, -1)):
            _lines_from_left(picture[:, way], found[:, way], bands[:, way])
    return lines | (mask & across & down)


def _lines_from_left(mask: np.ndarray, lines: np.ndarray, bands: np.ndarray) -> None:
    """Follow each thin stroke at the left border inwards; if it is long, straight and unbroken, mark it in `lines`.

    `bands` gets all of the line's course, the crossing strokes included.
    """
    (height, width), side = mask.shape, max(mask.shape)
    widest = int(LINE_WIDTH * side)
    near_ink = ndimage.maximum_filter1d(mask, 2 * (side // 80) + 1, axis=0)
    x, rows = np.arange(width), np.arange(height)[:, None]
    starts, count = ndimage.label((mask & ~_tall(mask, widest))[:, : widest // 2].mean(1) > 0.5)
    for (start,) in ndimage.find_objects(starts, count):
        thin = mask & ~_tall(mask, int(1.5 * (start.stop - start.start)) + 3)
        slope, offset = 0.0, (start.start + start.stop - 1) / 2
        for reach in (0.2, 0.4, 0.7, 1.0):  # a straight line is fitted to more and more of it
            line = thin & (np.abs(rows - offset - slope * x) <= widest / 2) & (x < reach * width)
            y_line, x_line = np.nonzero(line)
            if len(np.unique(x_line)) > widest:
                slope, offset = np.polyfit(x_line, y_line, 1)
        path = np.round(offset + slope * x).astype(int)
        inked = near_ink[path.clip(0, height - 1), x] | (path < 0) | (path >= height)
        gaps = np.flatnonzero(ndimage.binary_opening(~inked, np.ones(side // 20)))
        length = gaps[0] if len(gaps) else width
        if length < LINE_LENGTH * width or abs(slope) > LINE_SLOPE or not line.any():
            continue
        thickness = np.median(line.sum(0)[line.any(0)])
        band = (np.abs(rows - path) <= thickness) & (x < length + 2)
        lines |= mask & band & ~_tall(mask, int(1.5 * thickness) + 2)
        bands |= band


def _tall(mask: np.ndarray, length: int) -> np.ndarray:
    """The pixels of `mask` in vertical runs of at least `length`, made odd: a morphological opening by a line."""
    cores = ndimage.minimum_filter1d(mask, length | 1, axis=0, mode="constant", cval=0)
    return ndimage.maximum_filter1d(cores, length | 1, axis=0, mode="constant", cval=0)


def _digit(ink: np.ndarray) -> np.ndarray:
    """The digit's strokes: bool [height, width]. The most central piece, and what lies close to it."""
    side, marks = max(ink.shape), _marks(ink)
    strokes = _strokes(ink, marks)
    pieces = _pieces(strokes & ~_lines(marks), ink)
    large = (_sizes(pieces.boxes) >= SMALLEST * side).any()
    if not large and ink.shape[0] < 2 * ink.shape[1]:
        raise PhotoError("blank: specks or printed lines, but no digit; take a sharper or closer photo")
    members = _join(pieces, side) if large else None
    if members is None or (_extent(pieces.boxes[members]) > FILL * np.array(ink.shape)).any():
        pieces = _pieces(strokes, ink)  # a crop without margin: what runs from edge to edge is the digit's
        members = _join(pieces, side)
    _check_single(pieces, members)
    return np.append(False, members)[pieces.labels]


def _pieces(mask: np.ndarray, ink: np.ndarray) -> _Pieces:
    labels, count = ndimage.label(mask, EIGHT)
    boxes = np.array([(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(labels)], int).reshape(-1, 4)
    (height, width), index = mask.shape, labels.ravel()
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    middle = np.maximum(0.05, 1 - np.maximum(abs(x), abs(y)))
    area, darkness, central = (np.bincount(index, w.ravel(), count + 1)[1:] for w in (mask, ink, middle))
    cut = (boxes[:, :2] == 0).any(1) | (boxes[:, 2:] == (height, width)).any(1)
    return _Pieces(labels, boxes, area, darkness / area, central / area, cut)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    """Each box's longer side: int [n]."""
    return (boxes[:, 2:] - boxes[:, :2]).max(1)


def _extent(boxes: np.ndarray) -> np.ndarray:
    """Height and width of all boxes together."""
    return boxes[:, 2:].max(0) - boxes[:, :2].min(0)


def _join(pieces: _Pieces, side: int) -> np.ndarray:
    """Which pieces make the digit: bool [n]."""
    heights, widths = (pieces.boxes[:, 2:] - pieces.boxes[:, :2]).T
    frames, flat = _frames(pieces), widths > 4 * heights
    main = np.argmax(pieces.area * pieces.central * np.where(frames | flat, 0.01, 1))
    members = np.arange(len(heights)) == main
    for _ in range(4):
        size = max(_extent(pieces.boxes[members]).max(), 0.25 * side)
        away = ndimage.distance_transform_edt(~np.append(False, members)[pieces.labels])
        gaps = np.full(len(members) + 1, np.inf)
        np.minimum.at(gaps, pieces.labels, away)
        near = (gaps[1:] < GAP * size) & ~pieces.cut & ~frames & ~members
        near &= _sizes(pieces.boxes) <= np.where(flat, 1, 1.5) * size  # a longer flat one is an underline
        near &= (pieces.area > 0.03 * pieces.area[members].sum()) & (pieces.darkness > 0.5 * pieces.darkness[main])
        if not near.any():
            break
        members |= near
    return members


def _frames(pieces: _Pieces) -> np.ndarray:
    """Which pieces are a box or a ring around another one: bool [n]."""
    frames = np.zeros(len(pieces.area), bool)
    large = np.flatnonzero(_sizes(pieces.boxes) >= SMALLEST * max(pieces.labels.shape))
    top, left, bottom, right = pieces.boxes[large].T
    height, width = bottom - top, right - left
    holds = (top[:, None] < top) & (left[:, None] < left) & (bottom[:, None] > bottom) & (right[:, None] > right)
    for i in np.flatnonzero((holds & (height > 0.2 * height[:, None])).any(1)):
        h, w = height[i] // 4, width[i] // 4
        inner = pieces.labels[top[i] + h : bottom[i] - h, left[i] + w : right[i] - w]
        frames[large[i]] = not (inner == large[i] + 1).any()
    return frames


def _check_single(pieces: _Pieces, members: np.ndarray) -> None:
    """PhotoError where a second piece is as tall as the digit: apart from it, or beside it with a clear gap."""
    top, left, bottom, right = pieces.boxes.T
    height = bottom[members].max() - top[members].min()
    tall = (bottom - top > 0.6 * height) & (bottom - top < 1.6 * height)
    others = tall & ~members & ~pieces.cut & ~_frames(pieces) & (pieces.central > 0.3)
    others &= pieces.darkness > 0.5 * pieces.darkness[members].mean()
    parts = np.flatnonzero(tall & members)
    parts = parts[np.argsort(left[parts])]
    if others.any() or (left[parts[1:]] - right[parts[:-1]] > 0.2 * height).any():
        raise PhotoError("more than one digit; crop the picture to one")


def _redraw(ink: np.ndarray, digit: np.ndarray, stroke_width: float | None) -> np.ndarray:
    """The digit in its box, the longer side 20: float32, 0 to 1. Strokes end at half their height, as seen blurred."""
    y, x = np.nonzero(digit)
    box = slice(max(y.min() - 4, 0), y.max() + 5), slice(max(x.min() - 4, 0), x.max() + 5)
    scale = 20 * OVERSAMPLED / (max(np.ptp(y), np.ptp(x)) + 1)
    kept = ndimage.binary_dilation(digit[box], EIGHT)
    large = _resize(np.where(kept, ink[box], 0).astype(np.float32), scale)
    stroke = large > 0.5 * ndimage.maximum_filter(large, 4 * OVERSAMPLED + 1)
    stroke &= _resize(kept, scale, Image.Resampling.NEAREST)
    width = 4 * ndimage.distance_transform_edt(stroke)[stroke].mean() - 1  # exact for a long straight stroke
    grow = ((stroke_width or 0) * OVERSAMPLED - width) / 2
    if grow > 0:
        stroke = ndimage.distance_transform_edt(~np.pad(stroke, int(grow) + 2)) <= grow
    y, x = np.nonzero(stroke)
    stroke = stroke[y.min() : y.max() + 1, x.min() : x.max() + 1].astype(np.float32)
    small = _resize(stroke, 20 / max(stroke.shape), Image.Resampling.BOX)
    return small / small.max()


def _centre(digit: np.ndarray) -> np.ndarray:
    """A digit of at most 20x20, 0 to 1, on uint8 [28, 28], its centre of mass at pixel (14, 14), as MNIST's are."""
    mass = ndimage.center_of_mass(digit)
    top, left = (round(min(max(14 - m, 0), 28 - n)) for m, n in zip(mass, digit.shape, strict=True))
    form = np.zeros((28, 28), np.uint8)
    form[top : top + digit.shape[0], left : left + digit.shape[1]] = np.round(255 * digit)
    return form

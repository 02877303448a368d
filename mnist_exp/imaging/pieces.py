"""The connected pieces of ink in a photo, and which of them make the digit.

The most central large piece starts the digit. Pieces close to it join, so that a broken stroke stays whole. Frames,
underlines, specks, and what the picture's border cuts do not join. "The side" is the picture's longer side.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mnist_exp.imaging.shadows import STRIP

SMALLEST_DIGIT = 0.05  # of the side: anything smaller is a speck
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)  # pixels that touch at a corner hang together

LEAST_CENTRAL = 0.05  # weight of a pixel at the border, so that a digit there still counts
FLAT = 4  # times as wide as high: a dash or an underline
UNLIKELY_START = 0.01  # weight of frames and flat pieces in the choice of the first piece

JOIN_ROUNDS = 4  # each round joins what is near to the digit so far: enough for a stroke in five bits
JOIN_GAP = 0.25  # of the digit's longer side: pieces farther apart are not one broken stroke
JOIN_SIZE = 0.25  # of the side: a digit counts as this large at least, so that one broken into bits can grow
JOIN_LARGEST = 1.5  # times the digit's longer side: a larger piece is something else
JOIN_LARGEST_FLAT = 1.0  # the same for a flat piece: a longer one is an underline
JOIN_AREA = 0.03  # of the digit's area: a smaller piece is a speck
SAME_PEN = 0.5  # times the digit's darkness: a fainter piece is a smudge, or shines through from the back

FRAMED_HEIGHT = 0.2  # times the frame's height: what a frame holds is larger, a speck is not
SECOND_HEIGHT = (0.6, 1.6)  # times the digit's height: only a piece as tall as that can be another digit
SECOND_CENTRAL = 0.3  # a piece nearer to the border than that is a neighbour, which is left out without an error
SECOND_IN_TIGHT_CROP = 0.15  # the same where the digit itself touches the border
THIN = 0.2  # times as wide as high: there, such a piece is rather the rest of a printed line
SECOND_GAP = 0.2  # times the digit's height: clear paper between two tall pieces means two digits


class Pieces(NamedTuple):
    """The n connected pieces: one entry for each in every array but `labels`."""

    labels: np.ndarray  # int [height, width]: 0 where there is no ink, else 1 + the piece's index
    boxes: np.ndarray  # int [n, 4]: top, left, bottom, right
    area: np.ndarray  # [n], pixels
    darkness: np.ndarray  # [n], mean ink of its pixels
    central: np.ndarray  # [n], mean weight of its pixels: 1 in the picture's middle, LEAST_CENTRAL at the border
    cut: np.ndarray  # bool [n], whether the picture's border cuts it

    def pixels_of(self, members: np.ndarray) -> np.ndarray:
        """Where the pieces `members`, bool [n], are: bool [height, width]."""
        return np.append(False, members)[self.labels]


def find_pieces(mask: np.ndarray, ink: np.ndarray) -> Pieces:
    """The connected pieces of `mask`, bool [height, width]; `ink` is the darkness of each pixel."""
    labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    boxes = np.array([(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(labels)], int).reshape(-1, 4)
    (height, width), index = mask.shape, labels.ravel()
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    weight = np.maximum(LEAST_CENTRAL, 1 - np.maximum(abs(x), abs(y)))
    area, darkness, central = (np.bincount(index, w.ravel(), count + 1)[1:] for w in (mask, ink, weight))
    cut = (boxes[:, :2] == 0).any(1) | (boxes[:, 2:] == (height, width)).any(1)
    return Pieces(labels, boxes, area, darkness / area, central / area, cut)


def longer_sides(boxes: np.ndarray) -> np.ndarray:
    """Each box's longer side in pixels: int [n]."""
    return (boxes[:, 2:] - boxes[:, :2]).max(1)


def outer_box(boxes: np.ndarray) -> np.ndarray:
    """Top, left, bottom and right of the box around all boxes: int [4]."""
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def extent(boxes: np.ndarray) -> np.ndarray:
    """Height and width in pixels of the box around all boxes: int [2]."""
    return boxes[:, 2:].max(0) - boxes[:, :2].min(0)


def are_large(pieces: Pieces) -> np.ndarray:
    """Which pieces are large enough for a digit, and not confined to a strip along the border: bool [n]."""
    height, width = pieces.labels.shape
    side = max(height, width)
    strip = STRIP * side + 2
    top, left, bottom, right = pieces.boxes.T
    inside = (bottom > strip) & (right > strip) & (top < height - strip) & (left < width - strip)
    return inside & (longer_sides(pieces.boxes) >= SMALLEST_DIGIT * side)


def join_digit(pieces: Pieces) -> np.ndarray:
    """Which pieces make the digit: bool [n]. There must be one piece at least."""
    side = max(pieces.labels.shape)
    heights, widths = (pieces.boxes[:, 2:] - pieces.boxes[:, :2]).T
    frames, flat = are_frames(pieces), widths > FLAT * heights
    first = np.argmax(pieces.area * pieces.central * np.where(frames | flat, UNLIKELY_START, 1))
    members = np.arange(len(heights)) == first
    for _ in range(JOIN_ROUNDS):
        size = max(extent(pieces.boxes[members]).max(), JOIN_SIZE * side)
        near = ~pieces.cut & ~frames & ~members
        near &= longer_sides(pieces.boxes) <= np.where(flat, JOIN_LARGEST_FLAT, JOIN_LARGEST) * size
        near &= pieces.area > JOIN_AREA * pieces.area[members].sum()
        near &= pieces.darkness > SAME_PEN * pieces.darkness[first]
        if near.any():  # only then is it worth measuring distances
            near &= _gaps_to(pieces, members) < JOIN_GAP * size
        if not near.any():
            break
        members |= near
    return members


def _gaps_to(pieces: Pieces, members: np.ndarray) -> np.ndarray:
    """The distance in pixels of each piece from the nearest of the members: [n]."""
    distance = ndimage.distance_transform_edt(~pieces.pixels_of(members))
    gaps, inked = np.full(len(members) + 1, np.inf), pieces.labels > 0
    np.minimum.at(gaps, pieces.labels[inked], distance[inked])
    return gaps[1:]


def are_frames(pieces: Pieces) -> np.ndarray:
    """Which pieces are a box or a ring around another piece, with no ink of their own in their middle: bool [n]."""
    frames = np.zeros(len(pieces.area), bool)
    large = np.flatnonzero(are_large(pieces))
    top, left, bottom, right = pieces.boxes[large].T
    height, width = bottom - top, right - left
    holds = (top[:, None] < top) & (left[:, None] < left) & (bottom[:, None] > bottom) & (right[:, None] > right)
    for i in np.flatnonzero((holds & (height > FRAMED_HEIGHT * height[:, None])).any(1)):
        h, w = height[i] // 4, width[i] // 4
        middle = pieces.labels[top[i] + h : bottom[i] - h, left[i] + w : right[i] - w]
        frames[large[i]] = not (middle == large[i] + 1).any()
    return frames


def has_second_digit(pieces: Pieces, members: np.ndarray) -> bool:
    """Whether a second piece is as tall as the digit: outside of it, or in it with clear paper between the two."""
    top, left, bottom, right = pieces.boxes.T
    height = bottom[members].max() - top[members].min()
    lowest, tallest = SECOND_HEIGHT
    tall = (bottom - top > lowest * height) & (bottom - top < tallest * height)
    if pieces.cut[members].any():
        are_neighbours = (pieces.central <= SECOND_IN_TIGHT_CROP) | (right - left < THIN * (bottom - top))
    else:
        are_neighbours = pieces.cut | (pieces.central <= SECOND_CENTRAL)
    others = tall & ~members & ~are_neighbours & ~are_frames(pieces)
    others &= pieces.darkness > SAME_PEN * pieces.darkness[members].mean()
    parts = np.flatnonzero(tall & members)
    parts = parts[np.argsort(left[parts])]
    gaps = left[parts[1:]] - right[parts[:-1]]
    return bool(others.any() or (gaps > SECOND_GAP * height).any())

"""Which dark patches of a photo are shadows and no ink: `find_shadows(grey)`.

The paper's light at a pixel is estimated from a window around it (`ink_on_paper`). In a wide window, a narrow shadow,
as of a finger or of a phone, is ink. In a small one, the middle of a broad stroke is paper. So both are tried. What is
ink in the wide window alone is a shadow if most of its rim is paper, and this edge is soft: a pen's edges are steep. A
shadow falls into the picture from outside, so one of its patches touches the border.

"The side" is the picture's longer side.
"""

import numpy as np
from scipy import ndimage

from mnist_exp.imaging.windows import closing

PAPER_WINDOW = 0.4  # of the side: what is dark over a wider patch is shadow or table, not ink
SHADOW_WINDOW = 0.12  # of the side: wider than the strokes of most digits
STRIP = 0.08  # of the side: a dark strip along the border is a stroke up to this width, and shadow if it is wider
FAINT = 0.2  # times the darkest ink: fainter patches are not looked at
MOST = 0.5  # of a patch's rim: a shadow lies on paper, the middle of a broad stroke amid other ink
SOFT = 0.75  # times the steepness of the pen's edges: below that, an edge is a shadow's


def ink_on_paper(grey: np.ndarray, window: float) -> np.ndarray:
    """The fraction of the paper's light that is missing: [height, width], about 0 on paper, at most 1.

    The paper is the grey-scale closing (Serra 1982): the brightest value in a window, then the darkest of those.
    Unlike a blur it keeps a shadow's sharp edge. Windows may overhang the picture, so a patch that gets darker towards
    the border counts as paper in a shadow. `window` is a fraction of the side.
    """
    size, inside = (int(length * max(grey.shape)) | 1 for length in (window, STRIP))
    paper = closing(grey, size, inside=inside)
    ink = 1 - (grey + 1) / (paper + 1)  # + 1: black paper has some light, too
    half = ink.max() / 2
    level = np.median(ink)
    return ink - (level if level <= half else np.median(ink[ink < half]))  # a tight crop may be mostly ink


def find_shadows(grey: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Where there are shadows narrower than PAPER_WINDOW: bool [height, width].

    grey: [height, width], not blurred. The ink is darker than the paper.
    ink: as `ink_on_paper` gives it with PAPER_WINDOW, after noise has been removed.
    """
    marks, strokes = ink > FAINT * ink.max(), ink_on_paper(grey, SHADOW_WINDOW) > FAINT * ink.max()
    patches, _ = ndimage.label(marks & ~strokes)
    large = np.flatnonzero(np.bincount(patches.ravel())[1:] > (SHADOW_WINDOW * max(grey.shape)) ** 2) + 1
    at_border = np.unique(np.concatenate([patches[[0, -1]].ravel(), patches[:, [0, -1]].ravel()]))
    none = np.zeros(grey.shape, bool)
    if not np.isin(large, at_border).any():  # the usual picture
        return none
    slope = np.hypot(*np.gradient(ink_on_paper(grey, PAPER_WINDOW)))
    pen = _steepness(strokes, ndimage.binary_dilation(strokes) & ~marks, slope, ink)
    soft = list[int]()
    for label in large.tolist():
        patch = patches == label
        rim = ndimage.binary_dilation(patch) & ~patch
        edge = rim & ~marks  # towards the paper, and not towards other ink
        if edge.sum() > MOST * rim.sum() and _steepness(patch, edge, slope, ink) < SOFT * pen:
            soft.append(label)
    if not np.isin(soft, at_border).any():
        return none
    return ndimage.binary_dilation(np.isin(patches, soft), iterations=2) & ~strokes


def _steepness(patch: np.ndarray, edge: np.ndarray, slope: np.ndarray, ink: np.ndarray) -> float:
    """The median slope at the patch's edge, for ink as dark as 1."""
    return float(np.median(slope[edge]) / ink[patch].mean()) if edge.any() else 0.0

"""Read and write digits as a table: one digit a line, its label and its 28x28 pixels as whole numbers.

    images, labels = read_csv(Path("train.csv"))

How the table is written is found out in csv_layout.py, and how a cell becomes a number is in csv_parse.py. What was
parsed can be kept by csv_cache.py.
"""

import functools
import gzip
import logging
from pathlib import Path
from typing import Literal

import numpy as np

from mnist_exp.data.csv_cache import read_cached
from mnist_exp.data.csv_layout import describe, read_layout
from mnist_exp.data.csv_parse import MAX_LABEL, MAX_PIXEL, CSVError, Layout, parse_digits
from mnist_exp.data.digit_forms import SIDE, arrays_to_mnist_form, check_labels
from mnist_exp.files import atomic_write

PIXELS = SIDE * SIDE
HEADER = ["label", *(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1))]
ROWS_AT_ONCE = 1000  # as many digits are formatted in one go; bounds the memory

# Every cell as it is written, after the separator that stands before it.
LABEL_CELLS = np.array([b"\n%d" % value for value in range(MAX_LABEL + 1)])
PIXEL_CELLS = np.array([b",%d" % value for value in range(MAX_PIXEL + 1)])


logger = logging.getLogger(__name__)


def read_csv(
    path: Path,
    *,
    data_dir: Path | None = None,
    labels: Literal["required", "optional"] = "required",
    strokes: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images, uint8 [N, 28, 28], and labels, int64 [N], in the order of the file, which may be gzipped.

    A line has 784 pixels row by row, or the 64 of an 8x8 image, and the label first or last, or wherever the header
    names it. A first column that numbers the rows is left out. Commas, semicolons, tabs, bars or blanks separate the
    cells. Pixels are from 0 to 1 or from 0 to 255, white on black or black on white (digit_forms.py). A number may be
    written as "5", 5.0 or 5e0, and blank lines are skipped. What is not as in MNIST's usual CSV is logged.

    data_dir: where to keep the arrays, which are then returned memory-mapped, copy-on-write (see csv_cache.py). None
        parses the file every time. So does a folder that cannot be written to, and a warning says so.
    labels: a file without labels, such as Kaggle's test.csv, is an error if labels are required; if they are optional,
        the labels returned are None.
    strokes: whether the images show pen strokes, as `digit_forms.arrays_to_mnist_form` takes it.

    Raises CSVError for anything that is wrong with the file.
    """
    layout = read_layout(path)
    if layout.label_column is None and labels == "required":
        raise CSVError(
            f"{path}: a line has {layout.side**2} pixels and no label, as in Kaggle's test.csv. `predict` takes such a "
            "file. To train, leave data.test_csv out: some images of data.train_csv are then held out for the test"
        )
    if unusual := describe(layout):
        logger.info("%s: %s", path, unusual)
    images, found = _read_arrays(path, layout, data_dir)
    if found is not None:
        check_labels(found, source=str(path))
    return arrays_to_mnist_form(images, source=str(path), strokes=strokes), found


def _read_arrays(path: Path, layout: Layout, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The images, uint8 [N, side, side], and labels as they stand in the file."""
    if data_dir is not None:
        try:
            return read_cached(path, layout, data_dir)
        except OSError as error:  # about the cache: what is wrong with the CSV file itself is a CSVError
            warn_once(f"{path} is read without a cache and will be parsed at every start: {error}")
    image_blocks, label_blocks = zip(*parse_digits(path, layout), strict=True)
    return np.concatenate(image_blocks), None if label_blocks[0] is None else np.concatenate(label_blocks)


@functools.cache
def warn_once(message: str) -> None:
    logger.warning(message)


def write_csv(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images, uint8 [N, 28, 28], and labels [N], 0 to 9, below the header label,1x1,1x2,...,28x28.

    The file is gzipped if its name ends in .gz. It is written whole or not at all.

    Raises ValueError for other arrays.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"images must be uint8 [N, {SIDE}, {SIDE}], not {images.dtype} {list(images.shape)}")
    if labels.shape != images.shape[:1] or not np.isin(labels, range(MAX_LABEL + 1)).all():
        raise ValueError(f"labels must be {len(images)} whole numbers from 0 to {MAX_LABEL}")
    with (
        atomic_write(path) as partial,
        gzip.open(partial, "wb") if path.suffix == ".gz" else partial.open("wb") as file,
    ):
        file.write(",".join(HEADER).encode())
        for start in range(0, len(images), ROWS_AT_ONCE):
            file.write(_format_rows(images[start : start + ROWS_AT_ONCE], labels[start : start + ROWS_AT_ONCE]))
        file.write(b"\n")


def _format_rows(images: np.ndarray, labels: np.ndarray) -> bytes:
    r"""Lines of text, each after its \n: all cells are looked up at once in LABEL_CELLS and PIXEL_CELLS."""
    cells = np.empty((len(images), 1 + PIXELS), PIXEL_CELLS.dtype)
    cells[:, 0] = LABEL_CELLS[labels.astype(np.intp)]
    cells[:, 1:] = PIXEL_CELLS[images.reshape(len(images), PIXELS)]
    return cells.tobytes().translate(None, b"\0")  # numpy pads short cells with NUL

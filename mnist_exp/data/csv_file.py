"""Read and write digits as a CSV file: one digit a line, its label and its 28x28 pixels as whole numbers.

    images, labels = read_csv(Path("data/mnist_train.csv"))

How a cell becomes a number is in csv_parse.py. What was parsed is kept beside the file by csv_cache.py.
"""

import gzip
from pathlib import Path
from typing import Literal

import numpy as np

from mnist_exp.data.csv_cache import read_cached, warn_once
from mnist_exp.data.csv_parse import MAX_LABEL, MAX_PIXEL, PIXELS, SIDE, CSVError, parse_digits, read_layout
from mnist_exp.files import atomic_write

HEADER = ["label", *(f"{row}x{column}" for row in range(1, SIDE + 1) for column in range(1, SIDE + 1))]
ROWS_AT_ONCE = 1000  # as many digits are formatted in one go; bounds the memory

# Every cell as it is written, after the separator that stands before it.
LABEL_CELLS = np.array([b"\n%d" % value for value in range(MAX_LABEL + 1)])
PIXEL_CELLS = np.array([b",%d" % value for value in range(MAX_PIXEL + 1)])


def read_csv(
    path: Path, *, cache: bool = True, labels: Literal["required", "optional"] = "required"
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images, uint8 [N, 28, 28], and labels, int64 [N], in the order of the file, which may be gzipped.

    The label is the column named `label`, in upper or lower case, at any place. The other 784 columns are the pixels,
    row by row, whatever their names. Without a header the first column is the label. Numbers may also be written as
    "5", 5.0, 5e0 or 005, and blank lines are skipped.

    cache: keep the arrays beside the file and return them memory-mapped, copy-on-write. If that is not possible, the
        file is parsed every time and a warning says so.
    labels: a file of 784 columns, such as Kaggle's test.csv, has no labels. That is an error if labels are required;
        if they are optional, the labels returned are None.

    Raises CSVError for anything that is wrong with the file.
    """
    if read_layout(path).label_column is None and labels == "required":
        raise CSVError(
            f"{path}: the file has {PIXELS} columns and none is the label, as in Kaggle's test.csv. `predict` takes "
            f"such a file. To train or test, give one with a column named 'label'"
        )
    if cache:
        try:
            return read_cached(path)
        except OSError as error:  # about the cache: what is wrong with the CSV file itself is a CSVError
            warn_once(f"{path} is read without a cache and will be parsed at every start: {error}")
    image_blocks, label_blocks = zip(*parse_digits(path), strict=True)
    return np.concatenate(image_blocks), None if label_blocks[0] is None else np.concatenate(label_blocks)


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

"""Twelve digits, and the text of CSV files that hold them in one form or another."""

import numpy as np

from mnist_exp.data.csv_file import HEADER

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 28, 28), dtype=np.uint8) * (RNG.random((12, 28, 28)) < 0.5)  # mostly background
LABELS = RNG.integers(0, 10, 12)

Table = list[list[str]]


def table(label_at: int | None = 0) -> Table:
    """IMAGES and LABELS as rows of cells, the label in column `label_at`."""
    rows = IMAGES.reshape(len(IMAGES), -1).astype(str).tolist()
    if label_at is not None:
        for row, label in zip(rows, LABELS, strict=True):
            row.insert(label_at, str(label))
    return rows


def text(rows: Table, *, end: str = "\n") -> bytes:
    return "".join(",".join(row) + end for row in rows).encode()


def kaggle(label_at: int | None = 0) -> list[str]:
    names = [f"pixel{index}" for index in range(784)]
    if label_at is not None:
        names.insert(label_at, "label")
    return names


def changed(row: int, column: int, cell: str) -> Table:
    """The common form with another cell; row 0 is the header."""
    rows = [HEADER, *table()]
    rows[row] = [*rows[row][:column], cell, *rows[row][column + 1 :]]
    return rows

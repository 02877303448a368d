"""`data=csv`: digits read from CSV files of pixel values, your own or those of a named set such as MNIST."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from mnist_exp.data.csv_file import read_csv, write_csv
from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import load_set
from mnist_exp.data.named_sets import named_set
from mnist_exp.files import default_data_dir, make_data_dir


class CSVDataModule(DigitsDataModule):
    """Two tables with one digit a line: a label and its pixels. `csv_file.read_csv` describes the forms that are read.

    data_dir: the folder where named sets are stored. They are downloaded to it if they are missing. What was parsed is
        kept there. None for `default_data_dir`.
    train_csv, test_csv: your own files. If both are None, the images of the set `dataset` are written to `data_dir` as
        CSV once, and then read from there. Without test_csv a part of train_csv is held out for the test (test_size).
    common: the settings of `DigitsDataModule`.

    Raises ValueError for a test_csv without a train_csv.
    """

    def __init__(
        self,
        *,
        data_dir: str | None = None,
        train_csv: str | None = None,
        test_csv: str | None = None,
        name: str = "csv",
        **common: Any,
    ) -> None:
        super().__init__(name=name, **common)
        if test_csv and not train_csv:
            raise ValueError("data.test_csv needs data.train_csv, the file to train on. Leave both out to read MNIST")
        self.data_dir = Path(data_dir or default_data_dir())
        self.own_files = train_csv is not None
        train, test = (self.data_dir / f"{self.dataset}_{part}.csv" for part in ("train", "test"))
        self.train_csv = Path(train_csv or train)
        self.test_csv = Path(test_csv) if test_csv else None if train_csv else test

    def prepare_data(self) -> None:
        if self.own_files or all(path and path.exists() for path in (self.train_csv, self.test_csv)):
            return
        make_data_dir(self.data_dir)
        with FileLock(self.data_dir / ".csv.lock"):
            parts = load_set(self.dataset, self.data_dir)
            for path, digits in zip((self.train_csv, self.test_csv), parts, strict=True):
                if path and not path.exists():  # another job may have written it while this one waited
                    write_csv(path, digits.images.numpy(), digits.labels.numpy())

    def load(self) -> tuple[Digits, Digits | None]:
        # A named set is white on black, and so are clothes even where they fill an image.
        strokes = self.own_files and named_set(self.dataset).strokes

        def read(path: Path) -> Digits:
            return load_csv(path, modified_ns(path), self.data_dir, strokes=strokes)

        return read(self.train_csv), read(self.test_csv) if self.test_csv else None


def modified_ns(path: Path) -> int:
    """When the file was last written, in nanoseconds; 0 for a missing file, which `read_csv` will report."""
    return path.stat().st_mtime_ns if path.exists() else 0


@cache
def load_csv(path: Path, modified_ns: int, data_dir: Path, *, strokes: bool) -> Digits:  # noqa: ARG001, a cache's key
    """The digits of one file. The result is kept until the file changes: the jobs of a sweep share a process."""
    images, labels = read_csv(path, data_dir=data_dir, strokes=strokes)
    return Digits(torch.from_numpy(images), torch.from_numpy(labels))

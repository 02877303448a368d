"""`data=csv`: digits read from CSV files of pixel values, your own or MNIST's written as CSV."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from mnist_exp.data.csv_file import read_csv, write_csv
from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.files import default_data_dir, make_data_dir


class CSVDataModule(DigitsDataModule):
    """Two tables with one digit a line: a label and its pixels. `csv_file.read_csv` describes the forms that are read.

    data_dir: the folder where MNIST is stored. It is downloaded to it if it is missing. What was parsed is kept there.
        None for `default_data_dir`.
    train_csv, test_csv: your own files. If both are None, MNIST's images are written to `data_dir` as CSV once, and
        then read from there. Without test_csv a part of train_csv is held out for the test (test_size).
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
        self.train_csv = Path(train_csv or self.data_dir / "mnist_train.csv")
        self.test_csv = Path(test_csv) if test_csv else None if train_csv else self.data_dir / "mnist_test.csv"

    def prepare_data(self) -> None:
        if self.own_files or all(path and path.exists() for path in (self.train_csv, self.test_csv)):
            return
        make_data_dir(self.data_dir)
        with FileLock(self.data_dir / ".csv.lock"):
            for path, digits in zip((self.train_csv, self.test_csv), load_mnist(self.data_dir), strict=True):
                if path and not path.exists():  # another job may have written it while this one waited
                    write_csv(path, digits.images.numpy(), digits.labels.numpy())

    def load(self) -> tuple[Digits, Digits | None]:
        def read(path: Path) -> Digits:
            return load_csv(path, modified_ns(path), self.data_dir)

        return read(self.train_csv), read(self.test_csv) if self.test_csv else None


def modified_ns(path: Path) -> int:
    """When the file was last written, in nanoseconds; 0 for a missing file, which `read_csv` will report."""
    return path.stat().st_mtime_ns if path.exists() else 0


@cache
def load_csv(path: Path, modified_ns: int, data_dir: Path) -> Digits:  # noqa: ARG001, part of the cache's key
    """The digits of one file. The result is kept until the file changes: the jobs of a sweep share a process."""
    images, labels = read_csv(path, data_dir=data_dir)
    return Digits(torch.from_numpy(images), torch.from_numpy(labels))

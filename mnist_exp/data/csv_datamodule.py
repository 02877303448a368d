"""`data=csv`: digits read from CSV files of pixel values, your own or MNIST's written as CSV."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from mnist_exp.data.csv_file import read_csv, write_csv
from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import default_data_dir, load_mnist


class CSVDataModule(DigitsDataModule):
    """Two CSV files with one digit a line: a label and 784 pixel values. `csv_file.read_csv` describes the format.

    data_dir: the folder where MNIST is stored. It is downloaded to it if it is missing. None for `default_data_dir`.
    train_csv, test_csv: your own files. If both are None, MNIST's images are written to `data_dir` as CSV once, and
        then read from there.
    common: the settings of `DigitsDataModule`.

    Raises ValueError if only one of the two files is given.
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
        if (train_csv is None) != (test_csv is None):
            raise ValueError("data.train_csv and data.test_csv go together: give both files, or neither to read MNIST")
        self.data_dir = Path(data_dir or default_data_dir())
        self.own_files = train_csv is not None
        self.train_csv = Path(train_csv or self.data_dir / "mnist_train.csv")
        self.test_csv = Path(test_csv or self.data_dir / "mnist_test.csv")

    def prepare_data(self) -> None:
        if self.own_files or (self.train_csv.exists() and self.test_csv.exists()):
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(self.data_dir / ".csv.lock"):
            for path, digits in zip((self.train_csv, self.test_csv), load_mnist(self.data_dir), strict=True):
                if not path.exists():  # another job may have written it while this one waited
                    write_csv(path, digits.images.numpy(), digits.labels.numpy())

    def load(self) -> tuple[Digits, Digits]:
        train, test = (load_csv(path, modified_ns(path)) for path in (self.train_csv, self.test_csv))
        return train, test


def modified_ns(path: Path) -> int:
    """When the file was last written, in nanoseconds; 0 for a missing file, which `read_csv` will report."""
    return path.stat().st_mtime_ns if path.exists() else 0


@cache
def load_csv(path: Path, modified_ns: int) -> Digits:  # noqa: ARG001, part of the cache's key
    """The digits of one file. The result is kept until the file changes: the jobs of a sweep share a process."""
    images, labels = read_csv(path)
    return Digits(torch.from_numpy(images), torch.from_numpy(labels))

"""`data=image`: digits read as images, from MNIST or from a folder of image files."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_folder import read_image_folder
from mnist_exp.data.mnist_download import fetch_mnist


class ImageDataModule(DigitsDataModule):
    """MNIST, or your own image files `folder/{train,test}/{0..9}/*.png|jpg|bmp|webp`.

    data_dir: the folder where MNIST is stored. It is downloaded to it if it is missing. None for `default_data_dir`.
    folder: your own images, of any size and colour mode; None for MNIST.
    common: the settings of `DigitsDataModule`.
    """

    def __init__(
        self, *, data_dir: str | None = None, folder: str | None = None, name: str = "image", **common: Any
    ) -> None:
        super().__init__(name=name, **common)
        self.data_dir = Path(data_dir or default_data_dir())
        self.folder = Path(folder) if folder else None

    def prepare_data(self) -> None:
        if self.folder is None:
            load_mnist(self.data_dir)

    def load(self) -> tuple[Digits, Digits]:
        if self.folder is not None:
            return read_image_folder(self.folder / "train"), read_image_folder(self.folder / "test")
        return load_mnist(self.data_dir)


def default_data_dir() -> str:
    """Where MNIST is stored when nobody says otherwise, as in conf/train.yaml."""
    return os.environ.get("MNIST_EXP_DATA", "data")


@cache
def load_mnist(data_dir: Path) -> tuple[Digits, Digits]:
    """MNIST's 60,000 training and 10,000 test digits, in MNIST's own order.

    The result is kept: Lightning prepares the data before fit and before test, and the jobs of a sweep share a process.

    Raises MNISTUnavailableError if `data_dir` has no MNIST and it cannot be downloaded.
    """
    from torchvision.datasets import MNIST  # slow to import, and CSV files do not need it

    fetch_mnist(data_dir)
    train, test = (MNIST(str(data_dir), train=train) for train in (True, False))
    return Digits(train.data, train.targets), Digits(test.data, test.targets)

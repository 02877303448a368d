"""`data=image`: digits read as images, from MNIST or from a folder of image files."""

import logging
from functools import cache
from pathlib import Path
from typing import Any

from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_folder import list_refused, read_image_folder
from mnist_exp.data.mnist_download import fetch_mnist
from mnist_exp.files import default_data_dir

logger = logging.getLogger(__name__)


class ImageDataModule(DigitsDataModule):
    """MNIST, or your own image files `folder/{train,test}/{0..9}/*.png|jpg|...`.

    data_dir: the folder where MNIST is stored. It is downloaded to it if it is missing. None for `default_data_dir`.
    folder: your own images, of any size and colour mode; None for MNIST. Without folder/test a part of the others is
        held out for the test (test_size), and they may be in folder/{0..9}. Files that cannot be read are left out.
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

    def load(self) -> tuple[Digits, Digits | None]:
        if self.folder is None:
            return load_mnist(self.data_dir)
        train, test = self.folder / "train", self.folder / "test"
        if test.is_dir():
            return read_readable(train), read_readable(test)
        return read_readable(train if train.is_dir() else self.folder), None


def read_readable(folder: Path) -> Digits:
    """The digits of a folder without those that cannot be read, which a warning names."""
    digits = read_image_folder(folder)
    if digits.refused:
        logger.warning("%s: pictures are left out, %s", folder, list_refused(digits.refused))
    return Digits(digits.images, digits.labels)


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

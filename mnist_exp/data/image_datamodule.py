"""`data=image`: digits read as images, MNIST's own or a folder of image files."""

from functools import cache
from pathlib import Path
from typing import Any

from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_folder import read_image_folder
from mnist_exp.data.mnist_download import fetch_mnist


class ImageDataModule(DigitsDataModule):
    """MNIST through torchvision; or, with `folder`, the files `folder/{train,test}/{0..9}/*.png|jpg|bmp|webp`.

    data_dir: where MNIST lies, or is downloaded to.
    folder: your own digits, of any size and mode; None for MNIST.
    """

    def __init__(self, *, data_dir: str, folder: str | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.data_dir = Path(data_dir)
        self.folder = Path(folder) if folder else None

    def prepare_data(self) -> None:
        if self.folder is None:
            load_mnist(self.data_dir)  # once a process: Lightning asks again before fit and test

    def load(self) -> tuple[Digits, Digits]:
        if self.folder is not None:
            return read_image_folder(self.folder / "train"), read_image_folder(self.folder / "test")
        return load_mnist(self.data_dir)


@cache
def load_mnist(data_dir: Path) -> tuple[Digits, Digits]:
    """MNIST's 60,000 training and 10,000 test digits, in its own order; parsed once a process, for the jobs of a sweep.

    Raises MNISTUnavailableError where `data_dir` has no MNIST and none can be downloaded.
    """
    from torchvision.datasets import MNIST  # slow to import, and the CSV road does not need it

    fetch_mnist(data_dir)
    train, test = (MNIST(str(data_dir), train=train) for train in (True, False))
    return Digits(train.data, train.targets), Digits(test.data, test.targets)

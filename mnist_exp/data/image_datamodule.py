"""`data=image`: digits read as images, from MNIST, from another named set, or from a folder of image files."""

import gzip
import logging
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch

from mnist_exp.data.datamodule import DigitsDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_folder import list_refused, photo_setting, read_image_folder
from mnist_exp.data.mnist_download import fetch_set
from mnist_exp.data.named_sets import NamedSet, named_set
from mnist_exp.files import default_data_dir

logger = logging.getLogger(__name__)


class ImageDataModule(DigitsDataModule):
    """A named set such as MNIST, or your own image files `folder/{train,test}/{0..9}/*.png|jpg|...`.

    data_dir: the folder where named sets are stored. They are downloaded to it if they are missing. None for
        `default_data_dir`.
    folder: your own images, of any size and colour mode; None for the set `dataset`. Without folder/test a part of the
        others is held out for the test (test_size), and they may be in folder/{0..9}. Files that cannot be read are
        left out.
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
            load_set(self.dataset, self.data_dir)

    def load(self) -> tuple[Digits, Digits | None]:
        if self.folder is None:
            return load_set(self.dataset, self.data_dir)
        train, test = self.folder / "train", self.folder / "test"
        photo = photo_setting("auto", self.dataset)
        if test.is_dir():
            return read_readable(train, photo=photo), read_readable(test, photo=photo)
        return read_readable(train if train.is_dir() else self.folder, photo=photo), None


def read_readable(folder: Path, *, photo: bool | str) -> Digits:
    """The digits of a folder without those that cannot be read, which a warning names. `photo`: of its reader."""
    digits = read_image_folder(folder, photo=photo)
    if digits.refused:
        logger.warning("%s: pictures are left out, %s", folder, list_refused(digits.refused))
    return Digits(digits.images, digits.labels)


def load_mnist(data_dir: Path) -> tuple[Digits, Digits]:
    """MNIST's 60,000 training and 10,000 test digits, in MNIST's own order. See `load_set`."""
    return load_set("mnist", data_dir)


@cache
def load_set(name: str, data_dir: Path) -> tuple[Digits, Digits]:
    """The training and the test images of a named set, in its own order and upright.

    The result is kept: Lightning prepares the data before fit and before test, and the jobs of a sweep share a process.

    Raises MNISTUnavailableError if `data_dir` does not have the set and it cannot be downloaded.
    """
    wanted = named_set(name)
    raw = fetch_set(wanted, data_dir)
    return read_part(raw, wanted, wanted.train), read_part(raw, wanted, wanted.test)


def read_part(raw: Path, wanted: NamedSet, files: tuple[str, str]) -> Digits:
    """The digits of two files, of images and of labels, in the folder `raw` or in the set's archive there."""
    images, labels = (read_idx(read_file(raw, name, archive=wanted.archive)) for name in files)
    if wanted.by_columns:
        images = images.swapaxes(1, 2)
    if labels.ndim == 2:
        labels = labels[:, 0]  # QMNIST has eight numbers for a digit: its label, its writer, ...
    return Digits(torch.from_numpy(np.array(images, order="C")), torch.from_numpy(labels.astype(np.int64)))


def read_file(raw: Path, name: str, *, archive: str | None) -> bytes:
    """The content of a file, unpacked."""
    if archive is None:
        content = (raw / name).read_bytes()
    else:
        with ZipFile(raw / archive) as files:
            content = files.read(name)
    return gzip.decompress(content) if name.endswith(".gz") else content


def read_idx(content: bytes) -> np.ndarray:
    """The array in an IDX file of bytes or of whole numbers, as LeCun's page on MNIST describes the format.

    Two zeros, the type, the number of dimensions, each dimension in four bytes, and the numbers, all big-endian.
    """
    numbers = {0x08: ">u1", 0x0C: ">i4"}[content[2]]
    dimensions = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, numbers, offset=4 + dimensions.nbytes).reshape(dimensions)

"""What `evaluate` tests on: suites of labelled digits in named subsets, none of them ever trained on.

    for name, digits in Corruptions(name="corruptions", data_dir="data").subsets(): ...

A subset named "family/member" counts towards its family as well. `conf/suite/` has a file for each suite.
"""

import hashlib
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mnist_exp.data.csv_file import read_csv
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.data.image_folder import read_image_folder
from mnist_exp.data.mnist_download import download
from mnist_exp.files import write_bytes
from mnist_exp.imaging.corruptions import FAMILIES, corrupt

logger = logging.getLogger(__name__)

Subsets = Iterator[tuple[str, Digits]]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """name: what the configuration calls it."""

    name: str

    @property
    def label(self) -> str:
        """What its results are called: evaluation-<label>.json, and <label>/acc in TensorBoard."""
        return self.name

    def subsets(self) -> Subsets:
        """The digits to test on, made or read as they are asked for."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class MNISTTest(Suite):
    """MNIST's own 10,000 test images, from `data_dir` or downloaded to it."""

    data_dir: str

    def subsets(self) -> Subsets:
        yield "test", load_mnist(Path(self.data_dir))[1]


@dataclass(frozen=True, kw_only=True)
class Corruptions(Suite):
    """The same 10,000 images with each corruption of `corruptions.FAMILIES`, at one severity (0 to 5).

    every: 1 takes all of them, 5 every fifth.
    """

    data_dir: str
    severity: int = 3
    seed: int = 0
    every: int = 1

    def subsets(self) -> Subsets:
        if self.every < 1:
            raise ValueError(f"suite.every is at least 1 (all images), not {self.every}")
        _, test = load_mnist(Path(self.data_dir))
        images, labels = test.images[:: self.every], test.labels[:: self.every]
        for family, corruptions in FAMILIES.items():
            for name in corruptions:
                yield f"{family}/{name}", Digits(corrupt(images, name, severity=self.severity, seed=self.seed), labels)


@dataclass(frozen=True, kw_only=True)
class OtherHands(Suite):
    """Digits of other people that can be had without asking. A set that cannot is skipped, with a word in the log."""

    data_dir: str

    def subsets(self) -> Subsets:
        for name, read in {"load_digits": read_load_digits, "usps": read_usps}.items():
            try:
                digits = read(Path(self.data_dir))
            except Exception as error:  # whatever it fails of, the others can be had
                logger.warning("%s is skipped: %s", name, error)
            else:
                yield name, digits


@dataclass(frozen=True, kw_only=True)
class All(Suite):
    """What can be tested without files of one's own."""

    test: Suite
    corruptions: Suite
    other_hands: Suite

    def subsets(self) -> Subsets:
        for suite in (self.test, self.corruptions, self.other_hands):
            yield from suite.subsets()


@dataclass(frozen=True, kw_only=True)
class OwnDigits(Suite):
    """Digits of one's own, in the file or folder `path`, which names them."""

    path: str

    @property
    def stem(self) -> str:
        return Path(Path(self.path).resolve().name.removesuffix(".gz")).stem

    @property
    def label(self) -> str:
        return f"{self.name}-{self.stem}"

    def subsets(self) -> Subsets:
        yield self.stem, self.read(Path(self.path))

    def read(self, path: Path) -> Digits:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Folder(OwnDigits):
    """Image files `path/{0..9}/*` of any size; `photo` as in `image_folder.read_image_folder`."""

    photo: bool | str = "auto"

    def read(self, path: Path) -> Digits:
        return read_image_folder(path, photo=self.photo)


@dataclass(frozen=True, kw_only=True)
class CSVFile(OwnDigits):
    """A label and 784 pixel values a row: `csv_file.read_csv` tells which forms."""

    def read(self, path: Path) -> Digits:
        images, labels = read_csv(path)
        return Digits(torch.from_numpy(images), torch.from_numpy(labels))


@dataclass(frozen=True, kw_only=True)
class NPZFile(OwnDigits):
    """numpy.savez's `images` uint8 [N, 28, 28], white on black, and `labels`, whole numbers [N] from 0 to 9."""

    def read(self, path: Path) -> Digits:
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                images, labels = file["images"], file["labels"]
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is no .npz file of images and labels ({type(error).__name__})") from error
        if labels.dtype.kind not in "iu" or not labels.size:
            raise ValueError(f"{path}: labels are whole numbers, one at least, not {labels.dtype} {list(labels.shape)}")
        return Digits(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


# --- sets that the program gets by itself ---


def read_load_digits(data_dir: Path) -> Digits:  # noqa: ARG001, it lies in scikit-learn itself
    """1,797 digits by 43 people, 8x8 with 17 greys (E. Alpaydin, C. Kaynak, UCI 1998), from scikit-learn's wheel."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("it comes with scikit-learn, which is not installed: pip install scikit-learn") from error
    bunch = load_digits()
    return from_bitmaps(bunch.images / 16, bunch.target)


def read_usps(data_dir: Path) -> Digits:
    """USPS's 2,007 test digits, 16x16, cut from envelopes (J. J. Hull 1994), downloaded to `data_dir/USPS` once."""
    from torchvision.datasets import USPS

    url, name, md5 = USPS.split_list["test"]
    path = data_dir / "USPS" / name
    if not path.exists():
        try:
            content = download(url)
        except OSError as error:
            raise OSError(f"{url} cannot be reached ({error}); lay the file in {path.parent} by hand") from error
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
            raise ValueError(f"what {url} sent is damaged (its MD5 is another)")
        write_bytes(path, content)
    usps = USPS(str(path.parent), train=False)
    return from_bitmaps(usps.data / 255, np.array(usps.targets))


def from_bitmaps(ink: np.ndarray, labels: np.ndarray) -> Digits:
    """Small bitmaps (N, h, w) in 0..1, white on black, brought to MNIST's form."""
    images = np.stack([enlarge(bitmap.astype(np.float32)) for bitmap in ink])
    return Digits(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


def enlarge(bitmap: np.ndarray) -> np.ndarray:
    """One bitmap, its ink scaled smoothly into a box of 20x20, its centre of mass in the middle: uint8 (28, 28)."""
    rows, columns = np.nonzero(bitmap)
    box = bitmap[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = (max(1, round(side * 20 / max(box.shape))) for side in box.shape)
    ink = np.asarray(Image.fromarray(box).resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    mass = (np.average(np.arange(len(line)), weights=line) for line in (ink.sum(axis=1), ink.sum(axis=0)))
    top, left = (min(max(round(14 - at), 0), 28 - side) for at, side in zip(mass, ink.shape, strict=True))
    image = np.zeros((28, 28), np.uint8)
    image[top : top + height, left : left + width] = np.round(255 * ink)
    return image

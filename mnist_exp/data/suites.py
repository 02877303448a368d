"""Test suites: the labelled digits that `evaluate` tests a model on. No model is trained on them.

    for name, digits in Corruptions(name="corruptions", data_dir="data").subsets(): ...

A suite consists of named subsets. A subset named "family/member" also counts towards its family. `conf/suite/` has a
file for each suite.
"""

import hashlib
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch

from mnist_exp.data.csv_file import read_csv
from mnist_exp.data.digit_forms import arrays_to_mnist_form, check_labels, enlarge
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import load_set
from mnist_exp.data.image_folder import photo_setting, read_image_folder
from mnist_exp.data.mnist_download import download
from mnist_exp.data.named_sets import DIGITS, named_set
from mnist_exp.files import make_data_dir, write_bytes
from mnist_exp.imaging.corruptions import FAMILIES, corrupt

logger = logging.getLogger(__name__)

MAX_ARRAY = 1_000_000_000  # bytes of an array of NPZFile, unpacked: a million images have 784,000,000
NPZ_NAMES = (  # of images and labels, the preferred first
    ("images", "labels"), ("x_test", "y_test"), ("test_images", "test_labels"), ("x", "y"), ("data", "target"),
    ("x_train", "y_train"), ("train_images", "train_labels"), ("arr_0", "arr_1"),
)  # fmt: skip
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)  # all that zipfile raises

Subsets = Iterator[tuple[str, Digits]]


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The base of all suites.

    name: names the results. See `label`.
    dataset: the named set whose classes the labels mean, such as "mnist". It may be the one to test on.
    """

    name: str
    dataset: str = "mnist"

    @property
    def label(self) -> str:
        """Names the results: evaluation-<label>.json in the run folder, and <label>/acc in TensorBoard."""
        return self.name

    def subsets(self) -> Subsets:
        """Yield the name and the digits of each subset. They are made or read only when they are asked for."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class OfNamedSet(Suite):
    """The base of suites made of the test images of a named set, which are downloaded if they are missing.

    data_dir: where named sets are stored.
    """

    data_dir: str

    @property
    def label(self) -> str:
        return self.name if self.dataset == "mnist" else f"{self.name}-{self.dataset}"

    def test_images(self) -> Digits:
        return load_set(self.dataset, Path(self.data_dir))[1]


@dataclass(frozen=True, kw_only=True)
class MNISTTest(OfNamedSet):
    """The set's own test images: MNIST's are 10,000."""

    def subsets(self) -> Subsets:
        yield "test", self.test_images()


@dataclass(frozen=True, kw_only=True)
class Corruptions(OfNamedSet):
    """The set's test images made harder to read, by each corruption of `corruptions.FAMILIES` in turn.

    severity: 0 (unchanged) to 5 (hardest).
    seed: decides the random draws.
    every: 1 to test on all images, 5 to test on every fifth.

    `subsets` raises ValueError if `every` is below 1.
    """

    severity: int = 3
    seed: int = 0
    every: int = 1

    def subsets(self) -> Subsets:
        if self.every < 1:
            raise ValueError(f"suite.every must be at least 1 (all images), not {self.every}")
        test = self.test_images()
        images, labels = test.images[:: self.every], test.labels[:: self.every]
        for family, corruptions in FAMILIES.items():
            for name in corruptions:
                yield f"{family}/{name}", Digits(corrupt(images, name, severity=self.severity, seed=self.seed), labels)


@dataclass(frozen=True, kw_only=True)
class OtherHands(Suite):
    """Digits by people who are not in MNIST, from data sets that need no registration.

    A set that cannot be read or downloaded is skipped, with a warning in the log. So are all of them where the labels
    of `dataset` mean no digits.
    """

    data_dir: str

    def subsets(self) -> Subsets:
        if named_set(self.dataset).classes != DIGITS:
            logger.warning("%s is skipped: it has digits, and %s has none", self.name, named_set(self.dataset).title)
            return
        for name, read in {"load_digits": read_load_digits, "usps": read_usps}.items():
            try:
                digits = read(Path(self.data_dir))
            except Exception as error:  # whatever is wrong with this set, test on the others
                logger.warning("%s is skipped: %s", name, error)
            else:
                yield name, digits


@dataclass(frozen=True, kw_only=True)
class All(OfNamedSet):
    """All suites that need no files of your own."""

    test: Suite
    corruptions: Suite
    other_hands: Suite

    def subsets(self) -> Subsets:
        for suite in (self.test, self.corruptions, self.other_hands):
            yield from suite.subsets()


@dataclass(frozen=True, kw_only=True)
class OwnDigits(Suite):
    """The base of suites of your own digits, in the file or folder `path`. Its name becomes the name of the subset."""

    path: str

    @property
    def stem(self) -> str:
        return Path(Path(os.path.realpath(self.path)).name.removesuffix(".gz")).stem

    @property
    def label(self) -> str:
        return f"{self.name}-{self.stem}"

    def subsets(self) -> Subsets:
        yield self.stem, self.read(Path(self.path))

    def read(self, path: Path) -> Digits:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Folder(OwnDigits):
    """Your image files `path/{0..9}/*`, of any size. For `photo` see `image_folder.read_image_folder`.

    Pictures that show no strokes, as `dataset` tells, are only scaled with "auto", too.
    """

    photo: bool | str = "auto"

    def read(self, path: Path) -> Digits:
        return read_image_folder(path, photo=photo_setting(self.photo, self.dataset))


@dataclass(frozen=True, kw_only=True)
class CSVFile(OwnDigits):
    """Your table of digits, one a line. `csv_file.read_csv` describes the forms that are read."""

    def read(self, path: Path) -> Digits:
        images, labels = read_csv(path, strokes=named_set(self.dataset).strokes)
        return Digits(torch.from_numpy(images), torch.from_numpy(labels))


@dataclass(frozen=True, kw_only=True)
class NPZFile(OwnDigits):
    """Your .npz file of images and labels, such as Keras's mnist.npz.

    images: named images, x_test, x, ... (NPZ_NAMES), in one of the forms that `digit_forms.arrays_to_mnist_form` takes.
    labels: whole numbers from 0 to 9, [N] or [N, 1], or [N, 10] with a 1 at the label.

    `subsets` raises ValueError for other arrays or another file.
    """

    def read(self, path: Path) -> Digits:
        try:
            if path.exists() and not path.is_file():
                raise ValueError("a folder, a device or a pipe")
            with path.open("rb") as raw:
                _check_npz_size(raw)
                with np.load(raw) as file:
                    names = _image_and_label_names(file.files)
                    images, labels = (file[name] for name in names)
        except (OSError, EOFError, KeyError, TypeError, ValueError, MemoryError, *DAMAGED_ZIP) as error:
            raise ValueError(
                f"{path} is not an .npz file with images and labels ({type(error).__name__}: {error}). Write one with "
                f"numpy.savez(path, images=images, labels=labels)"
            ) from error
        if names != NPZ_NAMES[0]:
            logger.info("%s: %s are taken for the images, and %s for the labels", path, *names)
        labels = _whole_labels(labels, path)
        check_labels(labels, source=str(path))
        images = arrays_to_mnist_form(images, source=str(path), strokes=named_set(self.dataset).strokes)
        try:
            return Digits(torch.from_numpy(images), torch.from_numpy(labels))
        except ValueError as error:
            raise ValueError(f"{path}: {error}. It needs a label from 0 to 9 for each image") from error


def _image_and_label_names(names: list[str]) -> tuple[str, str]:
    """The arrays of an .npz file that hold the images and the labels. A test set comes before a training set."""
    by_lower = {name.lower(): name for name in names}
    for images, labels in NPZ_NAMES:
        if images in by_lower and labels in by_lower:
            return by_lower[images], by_lower[labels]
    raise ValueError(f"it has {', '.join(names) or 'no arrays'}")


def _whole_labels(labels: np.ndarray, path: Path) -> np.ndarray:
    """The labels as int64 [N]."""
    if labels.ndim == 2 and labels.shape[1] == 10 and (np.sort(labels)[:, -2:] == (0, 1)).all():
        labels = labels.argmax(axis=1)  # a 1 at the label
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    is_whole = labels.dtype.kind in "iuf" and labels.size and (labels == np.floor(labels)).all()
    if labels.ndim != 1 or not is_whole:
        raise ValueError(f"{path}: labels must be whole numbers, at least one, not {labels.dtype} {list(labels.shape)}")
    return labels.astype(np.int64)


def _check_npz_size(file: IO[bytes]) -> None:
    """Raises ValueError if an array is larger than MAX_ARRAY by the archive's own word, at which unpacking stops."""
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.file_size > MAX_ARRAY:
                raise ValueError(f"{entry.filename} has more than {MAX_ARRAY:,} bytes, unpacked: use fewer images")
    file.seek(0)


# ---- the data sets of OtherHands ----


def read_load_digits(data_dir: Path) -> Digits:  # noqa: ARG001, the data are part of scikit-learn
    """1,797 digits by 43 people (E. Alpaydin, C. Kaynak, UCI 1998), brought to MNIST's form.

    scikit-learn contains them as 8x8 pixels with values from 0 to 16. Raises ImportError if it is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("scikit-learn, which contains it, is not installed: pip install scikit-learn") from error
    bunch = load_digits()
    return _small_digits(bunch.images / 16, bunch.target)


def read_usps(data_dir: Path) -> Digits:
    """USPS's 2,007 test digits, 16x16 and cut from envelopes (J. J. Hull 1994), brought to MNIST's form.

    They are downloaded to `data_dir/USPS` if the file is missing or damaged. Raises OSError if that fails, ValueError
    if the download is damaged.
    """
    from torchvision.datasets import USPS

    url, name, md5 = USPS.split_list["test"]
    path = data_dir / "USPS" / name
    if not (path.is_file() and _has_md5(path.read_bytes(), md5)):
        try:
            content = download(url)
        except OSError as error:
            problem = f"{path} is damaged, and " if path.exists() else ""
            raise OSError(
                f"{problem}{url} cannot be reached ({error}). Put the file into {path.parent} yourself"
            ) from error
        if not _has_md5(content, md5):
            raise ValueError(f"the download from {url} is damaged (its MD5 differs from USPS's)")
        make_data_dir(data_dir)
        write_bytes(path, content)
    usps = USPS(str(path.parent), train=False)
    return _small_digits(usps.data / 255, np.array(usps.targets))


def _small_digits(ink: np.ndarray, labels: np.ndarray) -> Digits:
    """Small images (N, height, width) with values from 0 to 1, white on black, brought to MNIST's form."""
    return Digits(torch.from_numpy(enlarge(ink)), torch.from_numpy(labels.astype(np.int64)))


def _has_md5(content: bytes, md5: str) -> bool:
    """Whether it is the file that torchvision knows, which is all that it publishes to tell."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == md5

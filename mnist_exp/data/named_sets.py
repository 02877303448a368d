"""The data sets that `data.dataset` names: MNIST, and others of ten classes in its form. No torch is needed here.

mnist_download.py fetches their files, and `image_datamodule.load_set` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnist_exp.suggestions import did_you_mean

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """A data set of grey 28x28 images, white on black, in ten classes.

    title: for people.
    origin: what the images show and who published them.
    folder: below the data folder. The class of torchvision.datasets of this name knows where the files are.
    train, test: the files with the images and with the labels. Those in an archive have their path in it.
    archive: the file that holds all others. None where they are files of their own.
    classes: what the labels 0 to 9 mean.
    strokes: pen on paper, so that a bright background tells an inverted image. Clothes may fill a whole image.
    by_columns: the files hold an image column by column.
    """

    title: str
    origin: str
    folder: str
    train: tuple[str, str] = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    test: tuple[str, str] = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    archive: str | None = None
    classes: tuple[str, ...] = DIGITS
    strokes: bool = True
    by_columns: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files in its folder."""
        return (self.archive,) if self.archive else self.train + self.test


NAMED_SETS = {
    "mnist": NamedSet(
        title="MNIST",
        origin="LeCun, Cortes, Burges 1998: digits that employees of the US Census Bureau and high-school students "
        "wrote in the 1990s, scanned, scaled to 20x20 and centred by mass in 28x28",
        folder="MNIST",
    ),
    "fashion_mnist": NamedSet(
        title="Fashion-MNIST",
        origin="Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747: photos of clothes and shoes from a shop's catalogue",
        folder="FashionMNIST",
        classes=CLOTHES,
        strokes=False,
    ),
    "kmnist": NamedSet(
        title="KMNIST",
        origin="Clanuwat and others 2018, arXiv:1812.01718: ten hiragana in their many cursive forms, from Japanese "
        "books of the Edo period",
        folder="KMNIST",
        train=("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        test=("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "qmnist": NamedSet(
        title="QMNIST",
        origin="Yadav and Bottou 2019, arXiv:1905.10498: MNIST made anew from NIST's scans, with 60,000 test digits",
        folder="QMNIST",
        train=("qmnist-train-images-idx3-ubyte.gz", "qmnist-train-labels-idx2-int.gz"),
        test=("qmnist-test-images-idx3-ubyte.gz", "qmnist-test-labels-idx2-int.gz"),
    ),
    "emnist_digits": NamedSet(
        title="EMNIST digits",
        origin="Cohen and others 2017, arXiv:1702.05373: 280,000 digits of NIST's Special Database 19",
        folder="EMNIST",
        archive="gzip.zip",
        train=("gzip/emnist-digits-train-images-idx3-ubyte.gz", "gzip/emnist-digits-train-labels-idx1-ubyte.gz"),
        test=("gzip/emnist-digits-test-images-idx3-ubyte.gz", "gzip/emnist-digits-test-labels-idx1-ubyte.gz"),
        by_columns=True,
    ),
}


def named_set(name: str) -> NamedSet:
    """Raises ValueError for an unknown name."""
    if name not in NAMED_SETS:
        names = ", ".join(NAMED_SETS)
        raise ValueError(f"data.dataset is one of: {names}, not {name!r}{did_you_mean(name, NAMED_SETS)}")
    return NAMED_SETS[name]


def dataset_of(config: Mapping[str, Any]) -> str:
    """The name of the data set in a run's configuration. Earlier versions knew MNIST alone, and did not say so."""
    name = (config.get("data") or {}).get("dataset")
    return name if isinstance(name, str) and name in NAMED_SETS else "mnist"

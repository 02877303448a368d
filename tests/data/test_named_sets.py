"""The data sets that `data.dataset` names, made small: python -m pytest tests/data/test_named_sets.py

Their files have the published names and formats. Mirrors are folders: nothing touches the network.
"""

import gzip
import hashlib
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import datasets

from mnist_exp.data import mnist_download
from mnist_exp.data.csv_datamodule import CSVDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import ImageDataModule, load_set
from mnist_exp.data.mnist_download import MNISTUnavailableError, fetch_set
from mnist_exp.data.named_sets import DIGITS, NAMED_SETS, dataset_of, named_set

LABELS = {"train": [5, 0, 4], "test": [7, 2]}
IMAGES = {
    part: torch.randint(0, 256, (len(labels), 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    for seed, (part, labels) in enumerate(LABELS.items())
}
KIN = [name for name in NAMED_SETS if name != "mnist"]


def idx_images(part: str, *, by_columns: bool) -> bytes:
    """By columns as in EMNIST: the first pixels are those of an image's first column."""
    images = IMAGES[part].transpose(1, 2).contiguous() if by_columns else IMAGES[part]
    return struct.pack(">IIII", 0x0803, len(images), 28, 28) + images.numpy().tobytes()


def idx_labels(part: str, *, numbers: int) -> bytes:
    """A byte for each label, or as in QMNIST eight whole numbers, the first of which is the label."""
    labels = LABELS[part]
    if numbers == 1:
        return struct.pack(">II", 0x0801, len(labels)) + bytes(labels)
    rows = [[label, *range(100, 100 + numbers - 1)] for label in labels]
    return struct.pack(">III", 0x0C02, len(rows), numbers) + b"".join(struct.pack(f">{numbers}i", *row) for row in rows)


def published(name: str) -> dict[str, bytes]:
    """The files of a set as they are published: gzipped, and EMNIST's in a zip archive."""
    wanted = NAMED_SETS[name]
    files = {}
    for part in ("train", "test"):
        images, labels = getattr(wanted, part)
        files[images] = gzip.compress(idx_images(part, by_columns=wanted.by_columns))
        files[labels] = gzip.compress(idx_labels(part, numbers=8 if name == "qmnist" else 1))
    if wanted.archive is None:
        return {f"{name.removesuffix('.gz')}.gz": content for name, content in files.items()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    return {wanted.archive: archive.getvalue()}


def use(monkeypatch: pytest.MonkeyPatch, name: str, mirror: str) -> dict[str, bytes]:
    """Let the small files be the set's own, and `mirror` their place. Returns them."""
    files, folder = published(name), NAMED_SETS[name].folder
    md5s = {file: hashlib.md5(content).hexdigest() for file, content in files.items()}
    known: Any = getattr(datasets, folder)
    if name == "emnist_digits":
        [(archive, md5)] = md5s.items()
        monkeypatch.setattr(known, "url", mirror + archive)
        monkeypatch.setattr(known, "md5", md5)
    elif name == "qmnist":
        pairs = [(mirror + file, md5) for file, md5 in md5s.items()]
        monkeypatch.setattr(known, "resources", {"train": pairs[:2], "test": pairs[2:]})
    else:
        monkeypatch.setattr(known, "mirrors", [mirror])
        monkeypatch.setattr(known, "resources", list(md5s.items()))
    if folder in mnist_download.SHA256:
        unpacked = {file.removesuffix(".gz"): gzip.decompress(content) for file, content in files.items()}
        sha256s = {file: hashlib.sha256(content).hexdigest() for file, content in unpacked.items()}
        monkeypatch.setitem(mnist_download.SHA256, folder, sha256s)
    monkeypatch.setattr(mnist_download, "DEBIAN", {})
    return files


def put(folder: Path, files: dict[str, bytes]) -> str:
    """Write the files into a folder, and return its URL."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return f"{folder.as_uri()}/"


def are_the_small_ones(digits: tuple[Digits, Digits]) -> bool:
    return all(
        torch.equal(each.images, IMAGES[part]) and each.images.is_contiguous() and each.labels.tolist() == LABELS[part]
        for part, each in zip(("train", "test"), digits, strict=True)
    )


@pytest.mark.parametrize("name", KIN)
def test_a_set_is_downloaded_from_its_mirror_and_read_upright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    mirror = put(tmp_path / "mirror", published(name))
    files = use(monkeypatch, name, mirror)
    assert are_the_small_ones(load_set(name, tmp_path / "data"))
    raw = tmp_path / "data" / NAMED_SETS[name].folder / "raw"
    kept = {path.name.removesuffix(".gz") for path in raw.iterdir()}
    assert kept == {file.removesuffix(".gz") for file in files}


@pytest.mark.parametrize("name", KIN)
def test_files_put_there_by_hand_are_taken_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    files = use(monkeypatch, name, "http://unreached.invalid/")
    monkeypatch.setattr(mnist_download, "download", None)  # calling it would raise
    put(tmp_path / NAMED_SETS[name].folder / "raw", files)
    assert are_the_small_ones(load_set(name, tmp_path))


@pytest.mark.parametrize("name", KIN)
def test_a_set_that_is_out_of_reach_says_which_files_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    files = use(monkeypatch, name, (tmp_path / "nothing").as_uri() + "/")
    with pytest.raises(MNISTUnavailableError) as caught:
        load_set(name, tmp_path / "data")
    message = str(caught.value)
    assert message.startswith(f"{NAMED_SETS[name].title} could not be downloaded to {tmp_path / 'data'}")
    assert f"official mirror {(tmp_path / 'nothing').as_uri()}/" in message
    assert all(file.removesuffix(".gz") in message.splitlines()[-1] for file in files)


@pytest.mark.parametrize("name", KIN)
def test_a_damaged_file_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    mirror = put(tmp_path / "mirror", published(name))
    files = use(monkeypatch, name, mirror)
    put(tmp_path / NAMED_SETS[name].folder / "raw", {file: content[:-3] for file, content in files.items()})
    assert are_the_small_ones(load_set(name, tmp_path))


def test_a_damaged_download_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use(monkeypatch, "kmnist", put(tmp_path / "mirror", dict.fromkeys(published("kmnist"), b"other")))
    with pytest.raises(MNISTUnavailableError, match=r"train-images-idx3-ubyte\.gz is damaged \(its MD5 is another\)"):
        load_set("kmnist", tmp_path / "data")


def test_what_debians_package_holds_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Debian packs the files anew: their MD5 differs from the published one."""
    files = use(monkeypatch, "fashion_mnist", "http://unreached.invalid/")
    packed = {name: gzip.compress(gzip.decompress(content), 1) for name, content in files.items()}
    put(tmp_path / "share", packed)
    monkeypatch.setattr(mnist_download, "DEBIAN", {"FashionMNIST": tmp_path / "share"})
    raw = fetch_set(named_set("fashion_mnist"), tmp_path / "data")
    assert (raw / "train-labels-idx1-ubyte").read_bytes() == gzip.decompress(files["train-labels-idx1-ubyte.gz"])


def test_both_modules_read_the_same_digits_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path / "FashionMNIST" / "raw", use(monkeypatch, "fashion_mnist", "http://unreached.invalid/"))
    fingerprints = []
    for kind in (ImageDataModule, CSVDataModule):
        datamodule = kind(data_dir=str(tmp_path), dataset="fashion_mnist", val_size=0)
        datamodule.prepare_data()
        datamodule.setup()
        fingerprints.append(datamodule.fingerprint)
    assert fingerprints[0] == fingerprints[1]
    assert (tmp_path / "fashion_mnist_train.csv").exists()


def test_clothes_that_fill_an_image_are_not_inverted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """As the CSV files of a named set, and as a table of one's own whose classes are those of Fashion-MNIST."""
    monkeypatch.setitem(IMAGES, "train", torch.full((3, 28, 28), 200, dtype=torch.uint8))
    put(tmp_path / "FashionMNIST" / "raw", use(monkeypatch, "fashion_mnist", "http://unreached.invalid/"))
    named = CSVDataModule(data_dir=str(tmp_path), dataset="fashion_mnist")
    named.prepare_data()
    own = CSVDataModule(
        data_dir=str(tmp_path), dataset="fashion_mnist", train_csv=str(tmp_path / "fashion_mnist_train.csv")
    )
    for datamodule in (named, own):
        assert torch.equal(datamodule.load()[0].images, IMAGES["train"])
    assert "background" not in caplog.text


def test_each_set_has_ten_classes():
    assert {len(set(each.classes)) for each in NAMED_SETS.values()} == {10}
    assert [name for name, each in NAMED_SETS.items() if each.classes != DIGITS] == ["fashion_mnist", "kmnist"]


def test_the_files_are_those_that_torchvision_knows():
    """Names and checksums come from torchvision, so a new version of it must not change what they are."""
    for name in ("kmnist", "qmnist", "emnist_digits"):
        wanted = NAMED_SETS[name]
        assert set(mnist_download._checksums(wanted)) == set(wanted.files)


def test_an_unknown_set_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"data\.dataset is one of: .*not 'fashion': did you mean 'fashion_mnist'"):
        ImageDataModule(dataset="fashion")


@pytest.mark.parametrize(
    ("data", "expected"),
    [({"dataset": "kmnist"}, "kmnist"), ({}, "mnist"), ({"dataset": ["kmnist"]}, "mnist"), ({"dataset": "x"}, "mnist")],
)
def test_a_run_of_an_earlier_version_is_of_mnist(data: dict[str, Any], expected: str):
    assert dataset_of({"data": data}) == expected

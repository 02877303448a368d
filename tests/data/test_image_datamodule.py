"""python -m pytest tests/data/test_image_datamodule.py"""

import struct
from pathlib import Path

import pytest
import torch
from PIL import Image

from mnist_exp.data import image_datamodule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import ImageDataModule
from mnist_exp.data.named_sets import NamedSet


def write_idx(raw: Path, part: str, images: torch.Tensor, labels: list[int]) -> None:
    """The two files of one part of MNIST, as its authors describe them."""
    raw.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">IIII", 0x0803, len(images), 28, 28)
    (raw / f"{part}-images-idx3-ubyte").write_bytes(head + images.numpy().tobytes())
    (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x0801, len(labels)) + bytes(labels))


def test_mnists_pixels_and_labels_are_those_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    images = torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_idx(tmp_path / "MNIST" / "raw", "train", images[:3], [5, 0, 4])
    write_idx(tmp_path / "MNIST" / "raw", "t10k", images[3:], [7, 2])
    asked: list[Path] = []

    def fetch(_: NamedSet, data_dir: Path) -> Path:
        asked.append(data_dir)
        return data_dir / "MNIST" / "raw"

    monkeypatch.setattr(image_datamodule, "fetch_set", fetch)
    datamodule = ImageDataModule(name="image", data_dir=str(tmp_path))
    datamodule.prepare_data()
    train, test = datamodule.load()
    assert torch.equal(train.images, images[:3])
    assert torch.equal(test.images, images[3:])
    assert (train.labels.tolist(), test.labels.tolist()) == ([5, 0, 4], [7, 2])
    assert asked == [tmp_path]  # once for all jobs of a sweep


def test_a_folder_of_files_is_read_as_training_and_test_set(tmp_path: Path, small_digits: tuple[Digits, Digits]):
    for part, digits in zip(("train", "test"), small_digits, strict=True):
        for index, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
            folder = tmp_path / part / str(int(label))
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).save(folder / f"{index:03d}.png")
    train, test = ImageDataModule(name="image", data_dir=str(tmp_path), folder=str(tmp_path)).load()
    order = small_digits[0].labels.argsort(stable=True)
    assert torch.equal(train.images, small_digits[0].images[order])
    assert torch.equal(train.labels, small_digits[0].labels[order])
    assert len(test) == 60


def test_for_a_folder_of_your_own_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_datamodule, "load_set", None)  # calling it would raise
    ImageDataModule(name="image", data_dir=str(tmp_path), folder=str(tmp_path)).prepare_data()


@pytest.mark.slow
def test_mnist_is_whole_and_has_its_known_mean(pytestconfig: pytest.Config):
    train, test = ImageDataModule(name="image", data_dir=str(pytestconfig.rootpath / "data")).load()
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.images.float().mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

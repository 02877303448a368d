from pathlib import Path

import pytest
import torch
from PIL import Image

from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import ImageDataModule


def test_a_folder_of_files_is_read_as_training_and_test_set(tmp_path: Path, small_digits: tuple[Digits, Digits]):
    for part, digits in zip(("train", "test"), small_digits, strict=True):
        for index, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
            folder = tmp_path / part / str(int(label))
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).save(folder / f"{index:03d}.png")
    train, test = ImageDataModule(name="image", data_dir=str(tmp_path), folder=str(tmp_path)).load()
    order = small_digits[0].labels.argsort(stable=True)
    assert torch.equal(train.images, small_digits[0].images[order])
    assert len(test) == 60


@pytest.mark.slow
def test_mnist_is_whole_and_has_its_known_mean(pytestconfig: pytest.Config):
    train, test = ImageDataModule(name="image", data_dir=str(pytestconfig.rootpath / "data")).load()
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.images.float().mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

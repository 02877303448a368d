from pathlib import Path

import pytest
import torch

from mnist_exp.data.csv_datamodule import CSVDataModule
from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits


def test_mnist_travels_through_a_csv_and_back_unchanged(tmp_path: Path, small_mnist: tuple[Digits, Digits]):
    datamodule = CSVDataModule(name="csv", data_dir=str(tmp_path), val_size=50)
    datamodule.prepare_data()
    datamodule.setup()
    assert (tmp_path / "mnist_train.csv").exists()
    for read, written in zip((datamodule.train, datamodule.test), small_mnist, strict=True):
        assert read is not None
        assert torch.equal(read.images, written.images)
        assert torch.equal(read.labels, written.labels)


def test_a_file_of_your_own_is_read_again_when_it_changes(tmp_path: Path, small_digits: tuple[Digits, Digits]):
    paths = {part: tmp_path / f"{part}.csv" for part in ("train", "test")}
    for digits in small_digits:
        for path in paths.values():
            write_csv(path, digits.images.numpy(), digits.labels.numpy())
        train, _ = CSVDataModule(
            name="csv", data_dir="", train_csv=str(paths["train"]), test_csv=str(paths["test"])
        ).load()
        assert len(train) == len(digits)


def test_one_file_without_the_other_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="go together"):
        CSVDataModule(name="csv", data_dir=str(tmp_path), train_csv="train.csv")

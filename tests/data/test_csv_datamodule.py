"""python -m pytest tests/data/test_csv_datamodule.py"""

from pathlib import Path

import pytest
import torch

from mnist_exp.data.csv_datamodule import CSVDataModule
from mnist_exp.data.csv_file import CSVError, write_csv
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
            name="csv", data_dir=str(tmp_path), train_csv=str(paths["train"]), test_csv=str(paths["test"])
        ).load()
        assert len(train) == len(digits)


def test_without_a_test_file_images_of_the_training_file_are_held_out(
    tmp_path: Path, small_digits: tuple[Digits, Digits]
):
    write_csv(tmp_path / "train.csv", small_digits[0].images.numpy(), small_digits[0].labels.numpy())
    datamodule = CSVDataModule(name="csv", data_dir=str(tmp_path), train_csv=str(tmp_path / "train.csv"))
    datamodule.prepare_data()
    datamodule.setup()
    assert datamodule.test is not None
    assert (len(datamodule.train_indices), len(datamodule.val_indices), len(datamodule.test)) == (234, 21, 45)


def test_a_test_file_without_a_training_file_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"data\.test_csv needs data\.train_csv"):
        CSVDataModule(name="csv", data_dir=str(tmp_path), test_csv="test.csv")


@pytest.mark.usefixtures("small_mnist")
def test_mnists_files_are_written_once_and_then_left_alone(tmp_path: Path):
    datamodule = CSVDataModule(name="csv", data_dir=str(tmp_path / "new" / "folder"))
    datamodule.prepare_data()
    paths = [tmp_path / "new" / "folder" / f"mnist_{part}.csv" for part in ("train", "test")]
    assert [len(path.read_bytes().splitlines()) for path in paths] == [301, 61]
    paths[0].write_text("edited")
    datamodule.prepare_data()
    assert paths[0].read_text() == "edited"


def test_for_files_of_your_own_nothing_is_downloaded_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mnist_exp.data.csv_datamodule.load_set", None)  # calling it would raise
    monkeypatch.chdir(tmp_path)
    datamodule = CSVDataModule(name="csv", data_dir=str(tmp_path), train_csv="a.csv", test_csv="b.csv")
    datamodule.prepare_data()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CSVError, match=r"no file .*a\.csv"):
        datamodule.load()


def test_the_jobs_of_a_sweep_share_what_one_of_them_read(tmp_path: Path, small_mnist: tuple[Digits, Digits]):
    first, second = (CSVDataModule(name="csv", data_dir=str(tmp_path)) for _ in range(2))
    first.prepare_data()
    assert len(first.load()[0]) == len(small_mnist[0])
    for one, other in zip(first.load(), second.load(), strict=True):
        assert one is other

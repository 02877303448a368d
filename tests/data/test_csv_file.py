"""python -m pytest tests/data/test_csv_file.py"""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from csv_tables import IMAGES, LABELS, Table, kaggle, table, text

from mnist_exp.data import csv_file
from mnist_exp.data.csv_file import HEADER, read_csv, write_csv
from mnist_exp.data.csv_parse import CSVError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits.csv"


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("name", ["digits.csv", "digits.csv.gz"])
def test_what_is_written_reads_back_equal(tmp_path: Path, name: str, cache: bool) -> None:
    write_csv(tmp_path / name, IMAGES, LABELS)
    images, labels = read_csv(tmp_path / name, data_dir=tmp_path if cache else None)
    assert labels is not None
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert (tmp_path / f"{name}.cache").exists() == cache


def test_a_file_is_written_as_a_header_and_a_line_of_numbers_for_each_digit(path: Path) -> None:
    write_csv(path, IMAGES, LABELS)
    assert path.read_bytes() == text([HEADER, *table()])
    write_csv(path.with_suffix(".csv.gz"), IMAGES, LABELS.astype(np.uint8))
    assert gzip.decompress(path.with_suffix(".csv.gz").read_bytes()) == text([HEADER, *table()])


def test_every_value_survives_in_a_file_of_many_digits(path: Path) -> None:
    images = np.arange(2001 * 784).astype(np.uint8).reshape(-1, 28, 28)
    write_csv(path, images, np.arange(2001) % 10)
    for cache in (True, False):
        found, labels = read_csv(path, data_dir=path.parent if cache else None)
        np.testing.assert_array_equal(found, images)
        np.testing.assert_array_equal(labels, np.arange(2001) % 10)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("rows", [[kaggle(None), *table(None)], table(None)], ids=["header", "no header"])
def test_a_file_without_labels_is_read_if_they_are_optional(path: Path, rows: Table, cache: bool) -> None:
    path.write_bytes(text(rows))
    images, labels = read_csv(path, labels="optional", data_dir=path.parent if cache else None)
    assert labels is None
    np.testing.assert_array_equal(images, IMAGES)
    with pytest.raises(CSVError, match=r"digits.csv: a line has 784 pixels and no label.*`predict` takes"):
        read_csv(path, data_dir=path.parent if cache else None)


def test_arrays_that_are_not_digits_are_not_written(path: Path) -> None:
    with pytest.raises(ValueError, match=r"images must be uint8 \[N, 28, 28\], not int64"):
        write_csv(path, IMAGES.astype(np.int64), LABELS)
    with pytest.raises(ValueError, match=r"images must be uint8 \[N, 28, 28\], not uint8 \[12, 27, 28\]"):
        write_csv(path, IMAGES[:, 1:], LABELS)
    for labels in (LABELS - 10, LABELS + 1, LABELS[1:]):
        with pytest.raises(ValueError, match="labels must be 12 whole numbers from 0 to 9"):
            write_csv(path, IMAGES, labels)
    assert not path.exists()


def test_a_file_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("the old content")
    monkeypatch.setattr(csv_file, "_format_rows", None)  # calling it raises
    with pytest.raises(TypeError):
        write_csv(path, IMAGES, LABELS)
    assert [file.name for file in path.parent.iterdir()] == ["digits.csv"]
    assert path.read_text() == "the old content"


def test_importing_the_module_brings_no_heavy_package() -> None:
    code = "import sys, mnist_exp.data.csv_file; print({'torch', 'pandas', 'filelock'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"

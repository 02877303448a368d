"""python -m pytest tests/data/test_csv_cache.py"""

import io
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from csv_tables import IMAGES, LABELS, kaggle, table, text

from mnist_exp.data import csv_cache, csv_parse
from mnist_exp.data.csv_file import read_csv, write_csv
from mnist_exp.data.csv_layout import Layout, read_layout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "digits.csv"
    write_csv(path, IMAGES, LABELS)
    return path


def read_cached(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    return csv_cache.read_cached(path, read_layout(path), path.parent)


def arrays(path: Path) -> list[str]:
    """What the cache of a file holds, hidden files included."""
    return sorted(file.name for file in path.parent.glob("digits.csv.cache/*/*"))


def assert_digits(found: tuple[np.ndarray, np.ndarray | None]) -> None:
    images, labels = found
    assert (images.dtype, images.shape) == (np.uint8, (12, 28, 28))
    np.testing.assert_array_equal(images, IMAGES)
    assert labels is not None
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, LABELS)


def test_a_file_elsewhere_has_its_cache_in_the_data_folder(path: Path, tmp_path: Path) -> None:
    for name in ("digits.csv", "copy/digits.csv"):  # of the same name
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(path.read_bytes())
        assert_digits(read_csv(tmp_path / name, data_dir=tmp_path / "data"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "data", "digits.csv"]
    assert len(list((tmp_path / "data" / "cache").glob("digits.csv-*/*/images.npy"))) == 2
    assert len(list((tmp_path / "copy").iterdir())) == 1


def test_the_second_reading_comes_from_the_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_digits(read_cached(path))
    assert arrays(path) == ["images.npy", "labels.npy"]
    monkeypatch.setattr(csv_cache, "parse_digits", None)  # calling it would raise
    found = read_cached(path)
    assert isinstance(found[0], np.memmap)
    assert_digits(found)


def test_a_file_without_labels_has_none_from_the_cache_either(tmp_path: Path) -> None:
    path = tmp_path / "digits.csv"
    path.write_bytes(text([kaggle(None), *table(None)]))
    for _ in range(2):
        images, labels = read_cached(path)
        np.testing.assert_array_equal(images, IMAGES)
        assert labels is None


def test_a_changed_file_is_parsed_again_and_its_old_cache_removed(path: Path) -> None:
    read_cached(path)
    write_csv(path, IMAGES, 9 - LABELS)  # of the same size
    os.utime(path, ns=(0, 0))
    np.testing.assert_array_equal(read_cached(path)[1], 9 - LABELS)
    assert arrays(path) == ["images.npy", "labels.npy"]


def test_writing_to_the_arrays_changes_no_file(path: Path) -> None:
    images, _ = read_cached(path)
    images[:] = 0  # allowed: torch.from_numpy warns about arrays that are read-only
    assert_digits(read_cached(path))


@pytest.mark.parametrize("damage", [b"", b"not an array"], ids=["emptied", "overwritten"])
@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_a_damaged_cache_is_made_anew(path: Path, name: str, damage: bytes) -> None:
    read_cached(path)
    next(path.parent.rglob(name)).write_bytes(damage)
    assert_digits(read_cached(path))


def test_a_cache_that_lacks_a_file_is_made_anew(path: Path) -> None:
    read_cached(path)
    next(path.parent.rglob("labels.npy")).unlink()
    assert_digits(read_cached(path))


def test_what_a_killed_process_left_is_removed(path: Path) -> None:
    left = path.parent / "digits.csv.cache" / "another key"
    left.mkdir(parents=True)
    (left / ".images.npy.0.partial").write_bytes(b"half")
    assert_digits(read_cached(path))
    assert not left.exists()


def test_an_interruption_leaves_nothing_half_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield IMAGES, LABELS
        raise KeyboardInterrupt

    monkeypatch.setattr(csv_cache, "parse_digits", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_cached(path)
    assert arrays(path) == []


def test_a_bad_file_leaves_no_arrays(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"1,2,3\n")
    with pytest.raises(csv_parse.CSVError, match="line 14: 3 columns"):
        read_cached(path)
    assert arrays(path) == []


def test_without_a_place_for_the_cache_the_file_is_parsed_and_one_warning_given(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.with_name("digits.csv.cache").write_text("a file where the folder would be")  # as root, no folder is read-only
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert_digits(read_csv(path, data_dir=path.parent))
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith(f"{path} is read without a cache and will be parsed at every start: ")


def read_and_count(path: Path) -> tuple[int, int]:
    """In another process: the sum of all pixels, and how often the file was parsed."""
    parsed = 0

    def count(path: Path, layout: Layout) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        nonlocal parsed
        parsed += 1
        return csv_parse.parse_digits(path, layout)

    csv_cache.parse_digits = count
    return int(read_cached(path)[0].astype(np.int64).sum()), parsed


def test_many_processes_parse_a_file_once(path: Path) -> None:
    write_csv(path, IMAGES.repeat(50, axis=0), LABELS.repeat(50))
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        sums, parsed = zip(*pool.map(read_and_count, [path] * 3), strict=True)
    assert set(sums) == {50 * IMAGES.astype(np.int64).sum()}
    assert sum(parsed) == 1


def test_numpy_leaves_room_in_the_header_of_an_npy_file_for_any_number_of_rows() -> None:
    lengths = []
    for rows in (0, 60_000, 10**12):
        file = io.BytesIO()
        csv_cache._write_npy_header(file, np.uint8, (rows, 28, 28))
        lengths.append(file.tell())
    assert len(set(lengths)) == 1

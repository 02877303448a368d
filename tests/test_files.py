"""Files are whole or absent, also when something goes wrong half-way."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.files import ABANDONED_AFTER, atomic_write, write_json, write_npz, write_text


def fail_half_way(path: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_text("half")
        raise OSError("disk full")


def test_the_earlier_file_stays_when_writing_fails(tmp_path: Path):
    path = tmp_path / "result.json"
    write_json(path, {"status": "finished"})
    with pytest.raises(TypeError, match="serializable"):
        write_json(path, {"status": object()})
    with pytest.raises(OSError, match="disk full"):
        fail_half_way(path)
    assert json.loads(path.read_text()) == {"status": "finished"}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_the_earlier_file_stays_until_the_new_one_is_complete(tmp_path: Path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent  # a rename is whole only within one file system
    assert path.read_text() == "new"


def test_missing_folders_are_made(tmp_path: Path):
    write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path):
    path = tmp_path / "file"
    with atomic_write(path) as first, atomic_write(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_json_holds_no_number_that_json_does_not_have(value: float, tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": value})
    assert not list(tmp_path.iterdir())


def test_arrays_are_read_again(tmp_path: Path):
    write_npz(tmp_path / "arrays.npz", labels=np.arange(3))
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert arrays["labels"].tolist() == [0, 1, 2]


def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path):
    path = tmp_path / ("n" * 255)
    write_text(path, "text")
    assert path.read_text() == "text"


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path: Path):
    abandoned, recent = tmp_path / ".train.csv.1a.partial", tmp_path / ".train.csv.2b.partial"
    foreign = tmp_path / ".train.csv.partly-mine"
    for file in (abandoned, recent, foreign):
        file.write_text("half")
    long_ago = time.time() - ABANDONED_AFTER - 60
    for file in (abandoned, foreign):
        os.utime(file, (long_ago, long_ago))
    write_text(tmp_path / "train.csv", "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [recent.name, foreign.name, "train.csv"]


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from mnist_exp.files import write_bytes

path = Path(sys.argv[1])
for count in range(10**9):
    write_bytes(path, bytes([count % 256]) * 5_000_000)
    if count == 0:
        print("started", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.011, 0.029])
def test_a_killed_writer_leaves_a_whole_file(delay: float, tmp_path: Path):
    path = tmp_path / "file"
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(delay)  # wherever it is then: the file is whole
        writer.kill()
    content = path.read_bytes()
    assert len(content) == 5_000_000
    assert len(set(content)) == 1

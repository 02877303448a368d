"""Files are whole or absent, also when something goes wrong half-way."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mnist_exp.files import (
    ABANDONED_AFTER,
    PARTIAL,
    WriteError,
    as_write_error,
    atomic_write,
    write_errors,
    write_json,
    write_npz,
    write_text,
)


class NoLocks:
    """In place of fcntl, on a file system that does not know locks."""

    LOCK_EX = LOCK_NB = 0

    def flock(self, file: object, operation: int) -> None:  # noqa: ARG002
        raise OSError(errno.ENOLCK, "No locks available")


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


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from mnist_exp.files import atomic_write

with atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.posix
def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path: Path):
    path, foreign = tmp_path / "train.csv", tmp_path / ".train.csv.partly-mine"
    foreign.write_text("mine")
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)])
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(f"*{PARTIAL}"))) == 1
    write_text(path, "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [foreign.name, "train.csv"]


def test_what_another_process_is_writing_stays_however_long_that_takes(tmp_path: Path):
    path = tmp_path / "train.csv"
    with atomic_write(path) as partial:
        partial.write_text("slow")
        os.utime(partial, (0, 0))
        write_text(path, "quick")
        assert partial.exists()
    assert path.read_text() == "slow"


def test_an_empty_temporary_file_stays_for_an_hour_for_it_may_be_a_moment_old(tmp_path: Path):
    new, old = tmp_path / ".train.csv.1a.partial", tmp_path / ".train.csv.2b.partial"
    new.touch()
    old.touch()
    long_ago = time.time() - ABANDONED_AFTER - 60
    os.utime(old, (long_ago, long_ago))
    write_text(tmp_path / "train.csv", "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [new.name, "train.csv"]


@pytest.mark.parametrize("module", [None, NoLocks()], ids=["no_fcntl", "no_locks_in_the_file_system"])
def test_without_locks_a_temporary_file_is_removed_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object
):
    monkeypatch.setattr("mnist_exp.files.fcntl", module)
    new, old = tmp_path / ".train.csv.1a.partial", tmp_path / ".train.csv.2b.partial"
    for file in (new, old):
        file.write_text("half")
    long_ago = time.time() - ABANDONED_AFTER - 60
    os.utime(old, (long_ago, long_ago))
    write_text(tmp_path / "train.csv", "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [new.name, "train.csv"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device; free some space there, then run the same command again"),
        (errno.EROFS, "Read-only file system; correct its permissions, or choose another place"),
        (errno.EIO, "Input/output error; check the path and the disk"),
    ],
)
def test_what_cannot_be_written_is_named_with_the_reason_and_what_to_do(tmp_path: Path, number: int, advice: str):
    path = tmp_path / "result.json"
    with pytest.raises(WriteError) as raised, atomic_write(path):
        raise OSError(number, os.strerror(number))
    assert str(raised.value) == f"cannot write {path}: {advice}"
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_or_a_device_is_not_replaced_by_a_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(WriteError, match=f"{name} is a device, pipe or socket.*choose another path"):
            write_text(tmp_path / name, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path):
    (tmp_path / "outputs").touch()
    with pytest.raises(WriteError, match=r"cannot write .*outputs/run/result.json: .*; move away the file"):
        write_text(tmp_path / "outputs" / "run" / "result.json", "")


def test_the_inner_of_two_writers_is_the_one_that_is_named():
    with pytest.raises(WriteError, match="cannot write labels:"), write_errors(Path("images")):  # noqa: SIM117
        with write_errors(Path("labels")):
            raise OSError(errno.ENOSPC, "full")


def test_only_a_full_or_read_only_disk_is_surely_an_error_of_writing():
    full = as_write_error(OSError(errno.ENOSPC, "No space left on device"), "the run folder")
    assert str(full).startswith("cannot write the run folder: No space left on device; free")
    assert "cannot write a.csv" in str(as_write_error(OSError(errno.EROFS, "Read-only", "a.csv"), "the run folder"))
    denied = PermissionError(errno.EACCES, "Permission denied", "a.csv")
    assert as_write_error(denied, "the run folder") is denied
    assert as_write_error(full, "elsewhere") is full


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

"""Who may work in a run folder, with real processes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mnist_exp.files import WriteError
from mnist_exp.training.run_lock import HOLDER, LOCK, RunInUseError, holder_of, run_lock

HOLD_UNTIL_TOLD = """
import sys
from pathlib import Path
from mnist_exp.training.run_lock import run_lock

with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(run_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that works in the run folder until the block ends."""
    command = [sys.executable, "-c", HOLD_UNTIL_TOLD, str(run_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def enter(run_dir: Path) -> None:
    with run_lock(run_dir):
        pass


def test_the_second_process_is_told_who_holds_the_folder_and_since_when(tmp_path: Path):
    with held_elsewhere(tmp_path) as process:
        who = rf"process {process.pid} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
        with pytest.raises(RunInUseError, match=rf"{re.escape(str(tmp_path))} is in use by {who}: wait"):
            enter(tmp_path)
        assert re.fullmatch(who, holder_of(tmp_path) or "")


def test_a_folder_is_free_after_its_holder_ended_and_at_once_after_it_was_killed(tmp_path: Path):
    with held_elsewhere(tmp_path) as process:
        process.communicate("end\n")
    assert holder_of(tmp_path) is None
    assert not (tmp_path / HOLDER).exists()
    with held_elsewhere(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / HOLDER).exists()
        assert holder_of(tmp_path) is None
        enter(tmp_path)
    assert not (tmp_path / HOLDER).exists()


def test_a_folder_that_nobody_worked_in_has_no_holder_and_stays_as_it_is(tmp_path: Path):
    assert holder_of(tmp_path / "missing") is None
    assert holder_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "null"])
def test_a_holder_that_has_not_yet_said_who_it_is_is_another_process(tmp_path: Path, content: str | None):
    with held_elsewhere(tmp_path):
        (tmp_path / HOLDER).unlink()
        if content is not None:
            (tmp_path / HOLDER).write_text(content)
        assert holder_of(tmp_path) == "another process"


def test_an_error_of_the_run_frees_the_folder(tmp_path: Path):
    with pytest.raises(KeyError), run_lock(tmp_path):
        raise KeyError
    enter(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [LOCK]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "outputs").touch()
    with pytest.raises(WriteError, match=r"cannot write .*outputs/run: "):
        enter(tmp_path / "outputs" / "run")


def test_the_lock_itself_says_nothing_for_its_file_may_be_emptied(tmp_path: Path):
    with run_lock(tmp_path):
        assert (tmp_path / LOCK).read_bytes() == b""
        assert f'"process": {os.getpid()}' in (tmp_path / HOLDER).read_text()

"""What a command prints and how it ends. The programs here do not import torch, except where a test says so."""

import errno
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mnist_exp.cli.arguments import read_arguments
from mnist_exp.cli.command import check_room, command, report_thread_error, run_command

# A program of ours whose task is in the test: python -c PROGRAM TASK [overrides].
PROGRAM = """
import sys
from mnist_exp.cli.command import command
namespace = {}
exec("import logging, sys\\ndef task(cfg):\\n" + sys.argv.pop(1), namespace)
command("train")(namespace["task"])()
"""


def run(folder: Path, *arguments: str, task: str = " pass", **options) -> subprocess.CompletedProcess[str]:
    (folder / "outputs").mkdir(exist_ok=True)  # where it is missing, a line says that it is made
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    arguments = (sys.executable, "-c", PROGRAM, task, *arguments)
    return subprocess.run(arguments, cwd=folder, text=True, check=False, timeout=120, **options)


def run_without_reader(folder: Path, *arguments: str, task: str) -> tuple[int, str]:
    """Exit status and stderr of a program as in `| head -0`: the first line already finds the pipe broken."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = run(folder, *arguments, task=task, stdout=write_end)
    finally:
        os.close(write_end)
    return done.returncode, done.stderr


def test_a_mistake_ends_the_command_with_one_line_before_torch_is_imported(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mnist_exp.train", "data=cvs"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("import time")]
    assert line.startswith("error: data has no option 'cvs': did you mean 'csv'?")
    assert done.returncode == 2
    assert "torch" not in done.stderr


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("mnist_exp.cli.accelerators.has_gpu_driver", lambda: False)


@pytest.mark.usefixtures("without_gpu")
def test_a_missing_gpu_is_refused_before_the_task_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["train", "trainer=gpu"])
    with pytest.raises(SystemExit) as end:
        run_command("train", lambda: pytest.fail("the task has started"))
    assert end.value.code == 2
    refused = "error: trainer.accelerator=gpu needs a GPU, and torch finds none here: use trainer=auto or trainer=cpu\n"
    assert capsys.readouterr().err == refused


@pytest.mark.usefixtures("without_gpu")
def test_the_help_of_a_missing_gpu_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["train", "trainer=gpu", "--help"])
    run_command("train", lambda: pytest.fail("the task has started"))
    assert "trainer=gpu: On the first GPU; fails if there is none." in capsys.readouterr().out


def test_help_imports_no_torch(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mnist_exp.train", "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("python -m mnist_exp.train ")
    assert "torch" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("ValueError('no such file')", "error: no such file\n"),
        (
            "OSError(28, 'No space left on device', 'a')",
            "error: cannot write a: No space left on device; free some space there, then run the same command again\n",
        ),
        ("KeyError('loss')", "error: KeyError: 'loss' (HYDRA_FULL_ERROR=1 shows where)\n"),
    ],
)
def test_an_exception_ends_the_command_with_one_message(tmp_path: Path, raised: str, message: str):
    done = run(tmp_path, task=f" raise {raised}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_a_full_disk_is_found_before_hydra_writes_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "outputs" / "run"
    check_room(folder)
    assert list(tmp_path.iterdir()) == []
    looked_at = []

    def full(*, dir: Path) -> None:
        looked_at.append(dir)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mnist_exp.cli.command.TemporaryFile", full)
    with pytest.raises(SystemExit) as end:
        check_room(folder)
    assert (end.value.code, looked_at) == (1, [tmp_path])
    assert capsys.readouterr().err.startswith(f"error: cannot write {folder}: No space left on device; free some")


def test_a_thread_that_meets_a_full_disk_leaves_no_traceback_and_another_error_does(
    capsys: pytest.CaptureFixture[str],
):
    for error in (OSError(errno.ENOSPC, "full"), KeyError("loss")):
        report_thread_error(threading.ExceptHookArgs((type(error), error, None, None)))
    assert [line for line in capsys.readouterr().err.splitlines() if "Error" in line] == ["KeyError: 'loss'"]


def test_the_traceback_is_shown_on_demand(tmp_path: Path):
    done = run(tmp_path, task=" raise ValueError('why')", env={**os.environ, "HYDRA_FULL_ERROR": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: why" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "task"),
    [
        (["--help"], " pass"),
        (["--cfg", "job"], " pass"),
        ([], " logging.getLogger('a').info('a')\n while True: logging.getLogger('a').info('b')"),
        ([], " print('a')\n sys.exit(1)"),
        ([], " from rich.console import Console\n Console().print('a')"),
        (["-m", "seed=0,1"], " pass"),
    ],
)
def test_a_command_whose_reader_has_gone_ends_quietly(tmp_path: Path, arguments: list[str], task: str):
    assert run_without_reader(tmp_path, *arguments, task=task) == (141, "")


def test_a_log_that_fails_for_another_reason_is_reported_and_the_task_goes_on(tmp_path: Path):
    done = run(tmp_path, task=" logging.getLogger('a').info('%d', 'no number')\n print('done')")
    assert "Logging error" in done.stderr
    assert done.stdout.endswith("done\n")
    assert done.returncode == 0


def test_hydra_still_has_the_argument_parser_that_we_call(monkeypatch: pytest.MonkeyPatch):
    """It is not public. If this fails, Hydra has moved `get_args_parser`: see `read_arguments`."""
    assert callable(getattr(importlib.import_module("hydra._internal.utils"), "get_args_parser", None))
    monkeypatch.setattr(sys, "argv", ["train", "data=csv", "-m", "seed=0,1", "--help"])
    flags, overrides = read_arguments("train")
    assert (overrides, flags.multirun, flags.help) == (["data=csv", "seed=0,1"], True, True)
    assert not flags.hydra_help
    assert not flags.shell_completion
    assert sys.argv == ["train", "-m", "--help", "data=csv", "seed=0,1"], "Hydra takes flags before the overrides"


def test_a_command_keeps_the_name_and_the_text_of_its_task():
    def task(cfg: object) -> None:
        """What it does."""

    assert command("train")(task).__doc__ == "What it does."

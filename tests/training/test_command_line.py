"""Commands in messages can be pasted as they are."""

import shlex
import sys
from pathlib import Path

import pytest

from mnist_exp.cli.overrides import parse
from mnist_exp.training.command_line import as_argument, command_line, program, repeated_command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in a terminal where `python` is the Python of these tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    return tmp_path


@pytest.mark.parametrize(
    "value",
    ["a b", 'a"b', "it's", "x=1,y=[2]", "back\\slash", 'both\\"', "end\\", "[/b]", "ä/é.ckpt", "a#b", "$HOME", ""],
)
def test_any_value_reaches_hydra_as_it_is(value: str):
    (argument,) = shlex.split(as_argument("key", value))
    assert parse(argument).value() == value


def test_a_plain_value_is_not_quoted():
    assert as_argument("runs", "outputs/sweeps/data+data.batch_size") == "runs=outputs/sweeps/data+data.batch_size"
    assert parse("runs=outputs/sweeps/data+data.batch_size").value() == "outputs/sweeps/data+data.batch_size"


def test_a_program_that_the_shell_does_not_find_has_its_path(here: Path, monkeypatch: pytest.MonkeyPatch):
    assert program("python") == "python"
    assert program("no-such-program") == "no-such-program"
    environment = here / ".venv" / "bin"
    environment.mkdir(parents=True)
    for name in ("python", "tensorboard"):
        (environment / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(environment / "python"))
    assert program("tensorboard") == ".venv/bin/tensorboard", "another one is on the path"
    assert command_line("mnist_exp.compare", runs=Path("a")) == ".venv/bin/python -m mnist_exp.compare runs=a"
    monkeypatch.setenv("PATH", "")
    assert program("tensorboard") == ".venv/bin/tensorboard"
    monkeypatch.setenv("PATH", str(environment))
    assert program("tensorboard") == "tensorboard"


@pytest.mark.usefixtures("here")
def test_a_command_is_repeated_as_it_was_typed():
    typed = ["-m", "seed=0,1", 'images="a b"']
    command = repeated_command("mnist_exp.train", typed)
    assert shlex.split(command) == ["python", "-m", "mnist_exp.train", *typed]

import sys
import time

import pytest

from mnist_exp.cli import working as working_module
from mnist_exp.cli.working import working


def wait_for(lines: list[str], count: int) -> None:
    deadline = time.monotonic() + 60
    while len(lines) < count and time.monotonic() < deadline:
        time.sleep(0.001)


def test_long_work_says_how_long_it_has_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(working_module, "EVERY", 0.001)
    lines: list[str] = []
    with working("reading", say=lines.append):
        wait_for(lines, 2)
    assert lines[:2] == ["reading: 0 s so far"] * 2


def test_the_lines_go_to_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(working_module, "EVERY", 0.001)
    said: list[str] = []
    original = working_module.say_on_stderr
    monkeypatch.setattr(working_module, "say_on_stderr", lambda line: (original(line), said.append(line)))
    with working("reading"):
        wait_for(said, 1)
    captured = capsys.readouterr()
    assert captured.err.startswith("reading: 0 s so far\n")
    assert captured.out == ""


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(KeyError), working("reading"):
        raise KeyError
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_spinner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with working("reading [b]"):
        pass
    assert "so far" not in capsys.readouterr().err

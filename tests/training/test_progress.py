import logging
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mnist_exp.training import progress as progress_module
from mnist_exp.training.history import History
from mnist_exp.training.progress import EpochBar, EpochLine, busy, position, progress, watched

HISTORY = History({})
HISTORY.epochs = [{"epoch": 1}, {"epoch": 2, "val/acc": 0.5, "train/loss": 1.23456, "seconds": 1.0}]
TRAINER = SimpleNamespace(
    current_epoch=1,
    max_epochs=3,
    is_global_zero=True,
    num_training_batches=4,
    fit_loop=SimpleNamespace(batch_idx=2),
    validating=False,
    testing=False,
    callbacks=[HISTORY],
)
LINE = "epoch 2 of 3  train/loss 1.2346  val/acc 0.5000"


def test_an_epoch_has_one_line_with_its_metrics_in_order(caplog: pytest.LogCaptureFixture):
    logged = {"val/acc": torch.tensor(0.5), "train/loss": torch.tensor(1.23456), "step": torch.tensor(2.0)}
    endless = SimpleNamespace(**vars(TRAINER) | {"max_epochs": -1, "callbacks": [], "callback_metrics": logged})
    with caplog.at_level(logging.INFO):
        EpochLine().on_train_epoch_end(TRAINER, None)
        EpochLine().on_train_epoch_end(endless, None)
    assert caplog.messages == [LINE, LINE.replace(" of 3", "")]


def test_other_processes_log_nothing(caplog: pytest.LogCaptureFixture):
    line = EpochLine()
    line.disable()
    with caplog.at_level(logging.INFO):
        line.on_train_epoch_end(TRAINER, None)
    assert caplog.messages == []


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, EpochBar), (False, EpochLine)])
def test_a_terminal_gets_a_bar_and_a_file_gets_lines(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: type):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    assert type(progress()) is kind


def test_the_bar_counts_epochs_as_the_log_does_and_leaves_the_lines_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    bar = EpochBar()
    monkeypatch.setattr(EpochBar, "trainer", TRAINER)
    assert bar._get_train_description(1).rstrip() == "epoch 2 of 3"
    file, terminal = logging.FileHandler(tmp_path / "train.log"), logging.StreamHandler(sys.stdout)
    monkeypatch.setattr(logging.getLogger(), "handlers", [file, terminal])
    bar.on_train_epoch_end(TRAINER, None)
    file.close()
    assert (tmp_path / "train.log").read_text() == f"{LINE}\n"
    assert capsys.readouterr().out == ""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Two processors, two threads, and as many programs as the test says: machine.load = 5."""
    machine = SimpleNamespace(load=0.0, threads=2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (machine.load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: machine.threads)
    return machine


def test_a_machine_is_busy_when_more_threads_want_to_compute_than_it_has_processors(machine: SimpleNamespace):
    assert busy() is None
    machine.load = 12.0
    assert (busy() or "").startswith("this machine is busy: 12 threads share 2 processors, and the 2 threads")
    machine.threads = 1
    assert busy() is None


def wait_for(caplog: pytest.LogCaptureFixture, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(caplog.messages) < count and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_long_training_has_a_line_every_30_seconds_and_a_busy_machine_is_named_once(
    machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_terminal: bool
):
    monkeypatch.setattr(progress_module, "SILENCE", 0.001)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    machine.load = 12.0
    with caplog.at_level(logging.INFO), watched(TRAINER):
        wait_for(caplog, 1 if is_terminal else 3)
    if is_terminal:
        assert caplog.messages == [busy()]
    else:
        assert caplog.messages[:3] == ["epoch 2 of 3: 50%", busy(), "epoch 2 of 3: 50%"]
        assert caplog.messages.count(str(busy())) == 1


def test_only_the_first_process_says_how_far_training_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(progress_module, "SILENCE", 0.0)
    with caplog.at_level(logging.INFO), watched(SimpleNamespace(is_global_zero=False)):
        time.sleep(0.01)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, "epoch 2 of 3: 50%"),
        ({"fit_loop": SimpleNamespace(batch_idx=-1)}, "epoch 2 of 3: 0%"),
        ({"num_training_batches": float("inf")}, "epoch 2 of 3"),
        ({"validating": True}, "epoch 2 of 3: validation"),
        ({"testing": True}, "test"),
    ],
)
def test_the_position_in_a_run(state: dict, expected: str):
    assert position(SimpleNamespace(**vars(TRAINER) | state)) == expected


def test_the_load_is_unknown_on_some_systems(machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch):
    machine.load = 12.0
    monkeypatch.delattr("os.getloadavg")
    assert busy() is None

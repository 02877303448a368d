import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mnist_exp.training import progress as progress_module
from mnist_exp.training.history import History
from mnist_exp.training.progress import BusyMachine, EpochBar, EpochLine, busy, progress

HISTORY = History({})
HISTORY.epochs = [{"epoch": 1}, {"epoch": 2, "val/acc": 0.5, "train/loss": 1.23456, "seconds": 1.0}]
TRAINER = SimpleNamespace(
    current_epoch=1,
    max_epochs=3,
    is_global_zero=True,
    num_training_batches=4,
    num_val_batches=[2],
    num_test_batches=[10],
    callbacks=[HISTORY],
)
LINE = "epoch 2 of 3  train/loss 1.2346  val/acc 0.5000"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time stands still, except where the test says: clock.now += seconds."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock.now)
    return clock


def test_an_epoch_has_one_line_with_its_metrics_in_order(caplog: pytest.LogCaptureFixture):
    logged = {"val/acc": torch.tensor(0.5), "train/loss": torch.tensor(1.23456), "step": torch.tensor(2.0)}
    endless = SimpleNamespace(**vars(TRAINER) | {"max_epochs": -1, "callbacks": [], "callback_metrics": logged})
    with caplog.at_level(logging.INFO):
        EpochLine().on_train_epoch_end(TRAINER, None)
        EpochLine().on_train_epoch_end(endless, None)
    assert caplog.messages == [LINE, LINE.replace(" of 3", "")]


def test_long_work_has_a_line_every_30_seconds(caplog: pytest.LogCaptureFixture, clock: SimpleNamespace):
    line = EpochLine()
    with caplog.at_level(logging.INFO):
        for batch_idx, seconds in enumerate((29, 1, 29, 2)):
            clock.now += seconds
            line.on_train_batch_end(TRAINER, None, None, None, batch_idx)
        clock.now += 30
        line.on_validation_batch_end(TRAINER, None, None, None, 0)
        clock.now += 29
        line.on_train_epoch_end(TRAINER, None)
        clock.now += 29
        line.on_test_batch_end(TRAINER, None, None, None, 0)
        clock.now += 1
        line.on_test_batch_end(TRAINER, None, None, None, 1)
    assert caplog.messages == [
        "epoch 2 of 3: 50%",
        "epoch 2 of 3: 100%",
        "epoch 2 of 3, validation: 50%",
        LINE,
        "test: 20%",
    ]


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


def test_a_busy_machine_is_named_once_after_some_seconds(
    machine: SimpleNamespace, clock: SimpleNamespace, caplog: pytest.LogCaptureFixture
):
    machine.load, said = 12.0, []
    callback = BusyMachine()
    callback.on_train_start(None, None)
    for _ in range(4):
        callback.on_train_batch_end(None, None, None, None, 0)
        said.append(len(caplog.messages))
        clock.now += 9.0
    assert said == [0, 0, 1, 1]


def test_the_load_is_unknown_on_some_systems(machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch):
    machine.load = 12.0
    monkeypatch.delattr("os.getloadavg")
    assert busy() is None

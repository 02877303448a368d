import logging
import sys
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import RichProgressBar

from mnist_exp.training.progress import EpochLine, progress

TRAINER = SimpleNamespace(
    current_epoch=1,
    max_epochs=3,
    callback_metrics={"val/acc": torch.tensor(0.5), "train/loss": torch.tensor(1.23456), "step": torch.tensor(2.0)},
)


def test_an_epoch_has_one_line_with_its_metrics_in_order(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        EpochLine().on_train_epoch_end(TRAINER, None)
    assert caplog.messages == ["epoch 2/3  train/loss 1.2346  val/acc 0.5000"]


def test_other_processes_log_nothing(caplog: pytest.LogCaptureFixture):
    line = EpochLine()
    line.disable()
    with caplog.at_level(logging.INFO):
        line.on_train_epoch_end(TRAINER, None)
    assert caplog.messages == []


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, RichProgressBar), (False, EpochLine)])
def test_a_terminal_gets_a_bar_and_a_file_gets_lines(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: type):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
    assert type(progress()) is kind

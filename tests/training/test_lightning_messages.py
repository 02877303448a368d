"""Messages and warnings of Lightning that tell nothing are hidden, and no others."""

import logging
import warnings

import pytest

from mnist_exp.training.lightning_messages import MessageFilter, hide_messages


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("💡 Tip: try installing [litlogger]", False),
        ("TPU available: False, using: 0 TPU cores", False),
        ("`Trainer.fit` stopped: `max_epochs=3` reached.", False),
        ("`Trainer.fit` stopped: `max_steps=3` reached.", True),
        ("GPU available: True (cuda), used: True", True),
        ("You are using a CUDA device ('NVIDIA H200') that has Tensor Cores. To properly utilize them, ...", False),
        ("epoch 1/3", True),
    ],
)
def test_messages_are_hidden_by_name(message: str, shown: bool):
    record = logging.LogRecord("lightning", logging.INFO, "", 0, "%s", (message,), None)
    assert MessageFilter().filter(record) is shown


def test_hiding_twice_adds_one_filter(monkeypatch: pytest.MonkeyPatch):
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    hide_messages()
    hide_messages()
    assert [type(each) for each in handler.filters] == [MessageFilter]


def test_warnings_are_hidden_by_name():
    hide_messages()
    warnings.warn("The 'train_dataloader' does not have many workers which may be a bottleneck", stacklevel=1)
    warnings.warn("Checkpoint directory /a/b exists and is not empty.", stacklevel=1)
    warnings.warn("GPU available but not used. You can set it by doing `Trainer(accelerator='gpu')`.", stacklevel=1)
    with pytest.raises(UserWarning, match="another"):
        warnings.warn("another", stacklevel=1)

"""What is left out of Lightning: messages that tell nothing, and work around every batch."""

import logging
import os
import warnings

import pytest
from pytorch_lightning.profilers import PassThroughProfiler

from mnist_exp.training.lightning_messages import MessageFilter, hide_messages
from mnist_exp.training.lightning_speedups import NoProfiler, unset_nvml_check


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("💡 Tip: try installing [litlogger]", False),
        ("TPU available: False, using: 0 TPU cores", False),
        ("`Trainer.fit` stopped: `max_epochs=3` reached.", False),
        ("`Trainer.fit` stopped: `max_steps=3` reached.", True),
        ("GPU available: True (cuda), used: True", True),
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
    with pytest.raises(UserWarning, match="another"):
        warnings.warn("another", stacklevel=1)


def test_nothing_is_measured_with_one_context_for_all_actions():
    profiler = NoProfiler()
    assert profiler.profile("a") is profiler.profile("b")
    with profiler.profile("a"), profiler.profile("b"):
        pass


def test_lightning_still_asks_its_profiler_for_contexts():
    """If this fails, Lightning has renamed what `NoProfiler` replaces."""
    assert "profile" in dir(PassThroughProfiler)
    with PassThroughProfiler().profile("action"):
        pass


def test_the_variable_that_makes_torch_load_nvml_is_taken_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    unset_nvml_check()
    unset_nvml_check()
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ

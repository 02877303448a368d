"""What Lightning does around every batch, and this project leaves out."""

import os

import pytest
from pytorch_lightning.profilers import PassThroughProfiler

from mnist_exp.training.lightning_speedups import NoProfiler, unset_nvml_check


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

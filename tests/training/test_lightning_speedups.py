"""What Lightning does before training, and this project takes back."""

import os

import pytest

from mnist_exp.training.lightning_speedups import unset_nvml_check


def test_the_variable_that_makes_torch_load_nvml_is_taken_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    unset_nvml_check()
    unset_nvml_check()
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ

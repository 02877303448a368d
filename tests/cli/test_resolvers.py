import pytest
import torch
from omegaconf import OmegaConf

from mnist_exp.cli.resolvers import fast_precision


@pytest.mark.parametrize(("value", "folder"), [(None, "data"), ("", "data"), ("/mnt/data", "/mnt/data")])
def test_the_data_folder_is_that_of_the_environment_unless_it_is_empty(
    monkeypatch: pytest.MonkeyPatch, value: str | None, folder: str
):
    monkeypatch.setenv("MNIST_EXP_DATA", value) if value is not None else monkeypatch.delenv("MNIST_EXP_DATA", False)
    assert OmegaConf.create({"a": "${data_folder:}"}).a == folder


@pytest.mark.parametrize(("avx512_bf16", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_processor_decides_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, avx512_bf16: bool, precision: str
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": avx512_bf16}, raising=False)
    assert OmegaConf.create({"a": "${fast_precision:}"}).a == precision


@pytest.mark.parametrize(("supported", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_gpu_decides_where_there_is_one(monkeypatch: pytest.MonkeyPatch, supported: bool, precision: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported or including_emulation)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": not supported}, raising=False)
    assert fast_precision() == precision


def test_a_torch_that_does_not_know_its_processor_computes_in_float32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_precision() == "32-true"


def test_torch_still_names_bfloat16_as_we_do():
    """`fast_precision` looks for this key on x86. If this fails, torch has renamed it."""
    if hasattr(torch.cpu, "get_capabilities") and torch.cpu.get_capabilities()["architecture"] == "x86_64":
        assert "avx512_bf16" in torch.cpu.get_capabilities()

from pathlib import Path

import pytest
import torch

from mnist_exp.cli import accelerators
from mnist_exp.cli.accelerators import check_accelerator, missing_accelerator, too_many_processes


def test_the_processor_gets_at_most_a_process_for_each_core_and_two_in_any_case(monkeypatch: pytest.MonkeyPatch):
    for cores, most in ((8, 8), (1, 2), (None, 2)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert too_many_processes("cpu", most) is None
        assert too_many_processes("cpu", most + 1) == (
            f"trainer.devices is at most {most} on this machine's processor (a process for each core), not {most + 1}"
        )
        for accelerator, devices in (("gpu", 9), ("auto", 9), ("cpu", "auto"), ("cpu", [0] * 9), (None, None)):
            assert too_many_processes(accelerator, devices) is None


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps", "auto", "cpu", None])
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("has_driver", [True, False])
def test_an_accelerator_that_is_certainly_missing_is_refused(
    monkeypatch: pytest.MonkeyPatch, accelerator: str | None, platform: str, has_driver: bool
):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(accelerators, "has_gpu_driver", lambda: has_driver)
    may_be_there = {"auto", "cpu", None} | ({"gpu", "mps"} if platform == "darwin" else set())
    if has_driver and platform != "darwin":
        may_be_there |= {"gpu", "cuda"}
    assert (missing_accelerator(accelerator) is None) == (accelerator in may_be_there)


def test_a_driver_is_a_library_that_can_be_loaded(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(accelerators, "CDLL", missing)
    assert not accelerators.has_gpu_driver()
    monkeypatch.setattr(accelerators, "CDLL", str)
    assert accelerators.has_gpu_driver()


@pytest.mark.parametrize(
    ("has_cuda", "has_mps", "refused"),
    [
        (False, False, {"gpu", "cuda", "mps"}),
        (True, False, {"mps"}),
        (False, True, {"cuda"}),
    ],
)
def test_an_accelerator_that_torch_does_not_find_is_refused(
    monkeypatch: pytest.MonkeyPatch, has_cuda: bool, has_mps: bool, refused: set[str]
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    for accelerator in ("auto", "cpu", "gpu", "cuda", "mps"):
        if accelerator in refused:
            with pytest.raises(ValueError, match=f"trainer.accelerator={accelerator} needs a GPU"):
                check_accelerator(accelerator)
        else:
            check_accelerator(accelerator)


def test_the_message_names_the_setting_and_what_to_write(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^device=cuda:1 needs a GPU, .* use device=auto or device=cpu$"):
        check_accelerator("cuda:1", setting="device")

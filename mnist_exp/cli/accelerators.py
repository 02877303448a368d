"""Whether this machine has the devices that a run asks for. Asked before torch is imported, and once more after it."""

import os
import sys
from ctypes import CDLL
from pathlib import Path
from typing import Any


def too_many_processes(accelerator: Any, devices: Any) -> str | None:
    """What is wrong with `trainer.devices` on the processor, where each device is a process. None if nothing is."""
    most = max(2, os.cpu_count() or 1)
    if accelerator != "cpu" or type(devices) is not int or devices <= most:
        return None
    return f"trainer.devices is at most {most} on this machine's processor (a process for each core), not {devices}"


def missing_accelerator(accelerator: Any) -> str | None:
    """A sentence that says that this machine certainly has no such GPU. None where it has one, or may have one.

    This takes no time: it looks for the driver. torch, which knows for sure, would need seconds to be imported.
    """
    is_mac = sys.platform == "darwin"
    missing = {
        "mps": not is_mac,
        "cuda": is_mac or not has_gpu_driver(),
        "gpu": not is_mac and not has_gpu_driver(),
    }.get(str(accelerator), False)
    return no_gpu("trainer.accelerator", accelerator) if missing else None


def check_accelerator(accelerator: str, *, setting: str = "trainer.accelerator") -> None:
    """Raises ValueError where torch finds no such GPU.

    accelerator: such as `gpu`, `cuda` or `cuda:1`. setting: where it was asked for.
    """
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = str(accelerator).partition(":")[0]
    if kind in ("gpu", *found) and not found.get(kind, any(found.values())):
        raise ValueError(no_gpu(setting, accelerator))


def no_gpu(setting: str, value: Any) -> str:
    group = setting.partition(".")[0]
    return f"{setting}={value} needs a GPU, and torch finds none here: use {group}=auto or {group}=cpu"


def has_gpu_driver() -> bool:
    """Whether there is a driver of NVIDIA, whose library every program with CUDA loads, or of AMD."""
    if Path("/dev/kfd").exists():
        return True
    try:
        CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True

"""How many CPU threads a command computes with.

`threads=null` means: as many as torch chooses, but no more than the processors that this process may use. A container
often has a share of a large machine, which torch does not look at. What other programs do at the moment has no
influence: the number of threads changes how sums are rounded, and the same seed should give the same weights.
"""

import os
from functools import cache
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # where Linux tells a container its limits


def set_threads(threads: int | None) -> None:
    """Compute with `threads` threads; None for the choice above. In a sweep each job calls this."""
    import torch

    torch.set_num_threads(threads or min(torchs_choice(), allotted_processors()))


@cache  # before the first job of a sweep sets another number
def torchs_choice() -> int:
    import torch

    return torch.get_num_threads()


def allotted_processors() -> int:
    """The processors that this process may use; of a share such as 2.5, the whole ones; at least 1."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, int(quota() or usable)))


def quota() -> float | None:
    """The processors that a container has as a share of time. None without such a limit."""
    try:
        if (CGROUP / "cpu.max").exists():
            limit, period = (CGROUP / "cpu.max").read_text(encoding="ascii").split()  # "max 100000": no limit
        else:
            limit, period = ((CGROUP / "cpu" / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
        return float(limit) / float(period) if float(limit) > 0 else None
    except (OSError, ValueError):
        return None

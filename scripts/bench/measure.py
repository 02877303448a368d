"""The tools of the benchmark: rows with a target, contenders that take turns, commands in new processes."""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from mnist_exp.cli.overrides import CONF
from mnist_exp.result import SOURCE_ROOT, environment

if TYPE_CHECKING:
    from omegaconf import DictConfig

OURS = "ours"

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """What was measured of one contender, and its target.

    n: how often it was measured.
    median, low, high: in `unit`. None if nothing was measured; the note says why.
    ratio: our median divided by theirs.
    target: the largest allowed ratio, or the largest allowed median if there is no ratio.
    met: whether the target was met. None without a target.
    """

    section: str
    what: str
    contender: str
    n: int
    median: float | None
    low: float | None
    high: float | None
    unit: str = "s"
    ratio: float | None = None
    target: float | None = None
    met: bool | None = None
    note: str = ""


def row(
    section: str,
    what: str,
    contender: str,
    values: Sequence[float],
    *,
    unit: str = "s",
    ratio: float | None = None,
    target: float | None = None,
    note: str = "",
) -> Row:
    """A row from the measured values; none at all give a row without figures."""
    if not values:
        return Row(section, what, contender, 0, None, None, None, unit, note=note)
    middle = median(values)
    met = None if target is None else (middle if ratio is None else ratio) <= target
    return Row(section, what, contender, len(values), middle, min(values), max(values), unit, ratio, target, met, note)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median(ours) / median(theirs)


def column(results: Iterable[Mapping[str, float]], key: str = "seconds") -> list[float]:
    return [result[key] for result in results]


def log(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def interleave(
    contenders: Mapping[str, Callable[[int], T]],
    rounds: int,
    *,
    warm_up: bool = True,
    fewer: Mapping[str, int] | None = None,
) -> dict[str, list[T]]:
    """The results of all rounds, by contender. The contenders take turns, so other work on the machine slows all alike.

    contenders: functions of the number of the round, counted from 0.
    warm_up: adds a round at the start that does not count.
    fewer: for slow contenders, the number of rounds in which they take part. They have no warm-up.
    """
    fewer = fewer or {}
    if warm_up:
        for name, run in contenders.items():
            if name not in fewer:
                log(f"  warm-up: {name}")
                run(0)
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            if number < fewer.get(name, rounds):
                log(f"  round {number + 1} of {rounds}: {name}")
                results[name].append(run(number))
    return results


# ---- one run of ours, in this process or in a new one ----


def train_once(*overrides: str, data_dir: str, threads: int | None) -> dict[str, Any]:
    """Trains in this process, without a progress bar. Returns the result and deletes the run folder."""
    from mnist_exp.train import train

    cfg = compose_run("callbacks.progress=null", "trainer.enable_progress_bar=false", *overrides)
    with TemporaryDirectory() as run_dir:
        cfg.run_dir, cfg.data_dir, cfg.threads = run_dir, data_dir, threads
        return train(cfg)


def compose_run(*overrides: str) -> "DictConfig":
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()  # the configuration of the benchmark's own command
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(overrides))


def command_seconds(*arguments: str, threads: int | None, status: int = 0) -> float:
    """Seconds that `python <arguments>` takes in a new process. Raises the errors of `run_python`."""
    started = time.perf_counter()
    run_python(*arguments, threads=threads, status=status)
    return time.perf_counter() - started


def measure_in_fresh_process(*arguments: str, threads: int | None) -> dict[str, float]:
    """What `python -m scripts.bench.fresh_process <arguments>` measures."""
    return json.loads(run_python("-m", "scripts.bench.fresh_process", *arguments, threads=threads).splitlines()[-1])


def run_python(*arguments: str, threads: int | None, status: int = 0) -> str:
    """What `python <arguments>` prints. Raises RuntimeError if it does not end with `status`."""
    env = dict(os.environ)
    if threads:
        env |= {"OMP_NUM_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=SOURCE_ROOT, env=env, check=False, capture_output=True, text=True
    )
    if done.returncode != status:
        why = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise RuntimeError(f"python {' '.join(arguments)} ended with status {done.returncode}: {why[-1]}")
    return done.stdout


# ---- the machine ----


def machine() -> dict[str, Any]:
    """What the figures depend on besides the program: processor, usable cores, GPU, versions, commit."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cpu": processor(),
        "cores": cores,
        "gpu": gpu,
        **environment(gpu or "cpu"),
    }


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return named[1] if named else platform.processor() or platform.machine()

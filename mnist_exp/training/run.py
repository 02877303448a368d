"""The frame around a run: a finished one is not run twice, a failed one says why, and each leaves its result."""

import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mnist_exp.recipe import PLACES_AND_RESOURCES
from mnist_exp.result import RESULT_FILE, RunResult, Stopwatch, environment

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from mnist_exp.training.callbacks import History, Milestones

logger = logging.getLogger(__name__)


def recorded(task: Callable[[DictConfig], dict[str, Any]], cfg: DictConfig) -> float:
    """Runs `task`, writes its result to the run folder, and returns the accuracy that a sweeper may look at.

    A folder whose result is finished and came from the same configuration is left as it is (`overwrite=true` runs it
    again). A failure is written to `result.json`, with its traceback; it ends a single run with exit status 1, and
    leaves a sweep to go on with its next job.
    """
    run_dir = Path(cfg.run_dir)
    earlier = None if cfg.overwrite else RunResult.read(run_dir)
    if earlier and earlier.status == "finished" and earlier.config == identity(cfg):
        logger.info("%s is finished: skipped (overwrite=true runs it again)", run_dir)
        return objective(earlier)
    (run_dir / RESULT_FILE).unlink(missing_ok=True)

    try:
        result = RunResult(status="finished", **head(cfg), **task(cfg))
        if is_main_process():
            result.write(run_dir)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return failed(cfg, error)
    if is_main_process():
        close_run(cfg, result)
    return objective(result)


def head(cfg: DictConfig) -> dict[str, Any]:
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    return {"name": cfg.name, "seed": cfg.seed, "overrides": overrides, "config": identity(cfg)}


def identity(cfg: DictConfig) -> dict[str, Any]:
    """All that decides a run's result: the resolved configuration without places and resources."""
    return OmegaConf.to_container(OmegaConf.merge(cfg, PLACES_AND_RESOURCES), resolve=True)  # type: ignore[return-value]


def describe(trainer: "Trainer", history: "History", milestones: "Milestones", seconds: Stopwatch) -> dict[str, Any]:
    """The figures of a run that went well, as result.json shows them."""
    from mnist_exp.training.callbacks import RunCheckpoint, logged

    datamodule, model = trainer.datamodule, trainer.lightning_module  # type: ignore[attr-defined]
    rows = history.epochs
    # The epoch that was tested: the first with the best val/acc, or the last where nothing chose.
    chose = any(isinstance(each, RunCheckpoint) and each.monitor for each in trainer.callbacks)  # type: ignore[attr-defined]
    best = max(rows, key=lambda row: row["val/acc"]) if rows and chose else (rows or [{}])[-1]
    tested = {key: value for key, value in logged(trainer).items() if key.startswith("test/")}
    return {
        "data": {
            "name": datamodule.name,
            "fingerprint": datamodule.fingerprint,
            "train": len(datamodule.train_indices),
            "val": len(datamodule.val_indices),
            "test": len(datamodule.test),
        },
        "model": {"name": model.name, "parameters": sum(weights.numel() for weights in model.parameters())},
        "epoch": best.get("epoch"),
        "metrics": {key: value for key, value in best.items() if "/" in key} | tested,
        "history": rows,
        "milestones": milestones.results,
        "seconds": seconds.seconds,
        "images_per_second": history.images_per_second,
        "environment": environment(device_name(trainer)),
    }


def device_name(trainer: "Trainer") -> str:
    import torch

    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def failed(cfg: DictConfig, error: BaseException) -> float:
    """Writes what went wrong; raises SystemExit unless a sweep has more jobs to run."""
    # Lightning turns Ctrl-C into SystemExit: the cause is then the exception behind it.
    error = error.__context__ if isinstance(error, SystemExit) and error.__context__ else error
    interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
    message = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
    last = Path(cfg.run_dir) / "checkpoints" / "last.ckpt"
    if last.exists():
        message += f" (ckpt_path={last} goes on after the last whole epoch)"
    if is_main_process():
        trace = "".join(traceback.format_exception(error))
        RunResult(status="failed", **head(cfg), error=message, traceback=trace).write(Path(cfg.run_dir))
        logger.error("%s", message)
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    if interrupted or not in_sweep():
        raise SystemExit(1)
    return float("nan")


def objective(result: RunResult) -> float:
    metrics = result.metrics
    return metrics.get("val/acc", metrics.get("test/acc", float("nan")))


def in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def is_main_process() -> bool:
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def close_run(cfg: DictConfig, result: RunResult) -> None:
    """A line in the log; on the screen, after a single run, a short table."""
    metrics, seconds = result.metrics, result.seconds
    logger.info(
        "finished: test accuracy %.2f%% after epoch %s of %s, fit in %.1f s",
        100 * metrics.get("test/acc", float("nan")),
        result.epoch,
        len(result.history),
        seconds["fit"],
    )
    if in_sweep():
        return
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for key, value in {
        "test accuracy": f"{100 * metrics.get('test/acc', float('nan')):.2f}% of {result.data['test']:,} images",
        "seconds": "  ".join(f"{phase} {value:.1f}" for phase, value in seconds.items()),
        "folder": cfg.run_dir,
        "to look at it": "tensorboard --logdir outputs",
    }.items():
        table.add_row(f"[bold]{key}", value)
    Console().print(table, soft_wrap=True)

"""Around a run: skip it if it is finished, record its result or why it failed, and say what comes next."""

import logging
import math
import os
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from mnist_exp.files import as_write_error, write_errors, write_text
from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.recipe import PLACES_AND_RESOURCES
from mnist_exp.result import RESULT_FILE, RunResult, Stopwatch, environment
from mnist_exp.training.command_line import relative_to_here
from mnist_exp.training.run_lock import RunInUseError, run_lock
from mnist_exp.training.run_summary import after_failure, run_summary
from mnist_exp.training.settings_changed import changed_settings, check_resume

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from mnist_exp.training.checkpoints import ChosenWeights
    from mnist_exp.training.history import History, Milestones

OUTPUTS_OF_A_RUN = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "predictions.npz", "events.out.*")
ABSENT = object()  # in place of a value, where a configuration does not have the key
LOSS_OF_GUESSING = math.log(10)  # all ten digits are equally probable
MUCH_LOSS = 2 * LOSS_OF_GUESSING  # training has gone wrong: first weights, too, have about the loss of guessing
INTERRUPTED = 130  # exit status after Ctrl-C, as shells count it: 128 and the number of SIGINT
RANKS = ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID")  # set by Lightning, torchrun and Slurm

logger = logging.getLogger(__name__)


def run_and_record(train: Callable[[DictConfig], dict[str, Any]], cfg: DictConfig) -> float:
    """Run `train`, write result.json to the run folder, and return the accuracy that a sweeper may optimize.

    A run that is finished and had the same configuration is skipped, unless `overwrite` is true. A resumed run and a
    sweep's job that was cut off go on from their last checkpoint. A failure is recorded in result.json with its
    traceback. It ends a single run with exit status 1; a sweep goes on with its next job.

    Raises RunInUseError, ValueError or OSError, and leaves the folder as it is, where another process works in it, or
    where it cannot be read, resumed or written to. A sweep logs that and goes on.
    """
    try:
        with run_lock(Path(cfg.run_dir)) if is_main_process() else nullcontext(True) as used_before:
            return run_unless_finished(train, cfg, used_before=used_before)
    except (RunInUseError, ValueError, OSError) as error:
        if not in_sweep():
            raise
        logger.error("%s: %s", "running elsewhere" if isinstance(error, RunInUseError) else "failed", error)
        return float("nan")


def run_unless_finished(train: Callable[[DictConfig], dict[str, Any]], cfg: DictConfig, *, used_before: bool) -> float:
    """What `run_and_record` does in a folder that no other process works in.

    used_before: whether a run has been in the folder before.
    """
    run_dir = Path(cfg.run_dir)
    earlier = None if cfg.overwrite else RunResult.read(run_dir)
    if cfg.get("resume"):
        if nothing_left := check_resume(cfg, earlier):
            logger.info("%s", nothing_left)
            return objective(earlier)  # type: ignore[arg-type]
        record_settings(cfg)
    elif earlier and earlier.status == "finished" and not changed_settings(earlier.config, recorded_config(cfg)):
        logger.info("%s is finished: skipped (overwrite=true runs it again)", relative_to_here(run_dir))
        return objective(earlier)
    elif in_sweep() and not cfg.overwrite and can_go_on(cfg):
        cfg = OmegaConf.merge(cfg, {"resume": cfg.run_dir})  # type: ignore[assignment]
        logger.info("%s was cut off: it goes on after its last whole epoch", relative_to_here(run_dir))
    elif is_main_process():
        if earlier and earlier.status == "finished":
            logger.warning("%s held a finished run with other settings, which is replaced", relative_to_here(run_dir))
        remove_earlier_outputs(cfg, are_ours=used_before or earlier is not None)
    with write_errors(run_dir / RESULT_FILE):
        (run_dir / RESULT_FILE).unlink(missing_ok=True)

    try:
        result = RunResult(status="finished", **identification(cfg), **train(cfg))
        if is_main_process():
            result.write(run_dir)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return record_failure(cfg, error)
    if is_main_process():
        report_end(run_dir, result)
    return objective(result)


def can_go_on(cfg: DictConfig) -> bool:
    """Whether the folder of a sweep's job has a checkpoint of the same settings, from which the job can go on."""
    if not (Path(cfg.run_dir) / LAST).is_file():
        return False
    from mnist_exp.models.checkpoint_file import CheckpointError, read_checkpoint

    try:
        earlier = read_checkpoint(Path(cfg.run_dir) / LAST).get("config")
    except CheckpointError as error:
        logger.warning("%s. The job starts again", error)
        return False
    return isinstance(earlier, dict) and not changed_settings(earlier, recorded_config(cfg))


def record_settings(cfg: DictConfig) -> None:
    """Write the settings of a resumed run to the .hydra folder, so that the next resume knows of what was changed."""
    if is_main_process() and (folder := settings_folder()):
        overrides = OmegaConf.create(identification(cfg)["overrides"])
        write_text(folder / ".hydra" / "overrides.yaml", OmegaConf.to_yaml(overrides))
        write_text(folder / ".hydra" / "config.yaml", OmegaConf.to_yaml(cfg))


def remove_earlier_outputs(cfg: DictConfig, *, are_ours: bool) -> None:
    """Remove what an earlier start left in the run folder and this one writes anew: curves would show both.

    Raises ValueError where there are such files, and not `are_ours`: nobody has shown that a run wrote them.
    """
    run_dir = Path(cfg.run_dir)
    # Not Path.resolve, which raises where links form a circle: the checkpoint's reader says that better.
    if cfg.get("ckpt_path") and Path(os.path.realpath(run_dir)) in Path(os.path.realpath(cfg.ckpt_path)).parents:
        raise ValueError(f"ckpt_path={cfg.ckpt_path} is in the run folder itself: resume={run_dir} goes on there")
    outputs = [file for pattern in OUTPUTS_OF_A_RUN for file in run_dir.glob(pattern)]
    if outputs and not are_ours:
        raise ValueError(f"{outputs[0]} would be lost, and no run of mnist_exp has written it: choose another run_dir")
    for file in outputs:
        with write_errors(file):
            file.unlink()


def identification(cfg: DictConfig) -> dict[str, Any]:
    """The fields of a result that say which run it is of."""
    # A resumed run is repeated by its settings, from the start.
    overrides = [override for override in typed_overrides() if not override.startswith("resume=")]
    return {"name": cfg.name, "seed": cfg.seed, "overrides": overrides, "config": recorded_config(cfg)}


def typed_overrides() -> list[str]:
    """The overrides of this run, or job of a sweep, on the command line. None where there is no command."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def settings_folder() -> Path | None:
    """The folder in which Hydra keeps the settings of this run, in .hydra. None where there is no command."""
    return Path(HydraConfig.get().runtime.output_dir) if HydraConfig.initialized() else None


def recorded_config(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration, with neutral values for places and resources, which do not decide the result."""
    neutral = cfg.copy()
    for key, value in PLACES_AND_RESOURCES.items():
        if OmegaConf.select(cfg.copy(), key, default=ABSENT, throw_on_resolution_failure=False) is not ABSENT:
            OmegaConf.update(neutral, key, value, merge=False)
    return OmegaConf.to_container(neutral, resolve=True)  # type: ignore[return-value]


def training_results(
    trainer: "Trainer",
    history: "History",
    milestones: "Milestones",
    seconds: Stopwatch,
    *,
    weights: "ChosenWeights",
    tested: int,
) -> dict[str, Any]:
    """The fields of a finished run's result that come from training and test.

    tested: how many test images were used: all, or fewer with limit_test_batches.
    """
    from mnist_exp.training.history import logged_metrics

    datamodule, model = trainer.datamodule, trainer.lightning_module  # type: ignore[attr-defined]
    epochs = history.epochs
    row = next((row for row in epochs if row["epoch"] == weights.epoch), epochs[-1] if epochs else {})
    test_metrics = {key: value for key, value in logged_metrics(trainer).items() if key.startswith("test/")}
    return {
        "data": {
            "name": datamodule.name,
            "fingerprint": datamodule.fingerprint,
            "train": len(datamodule.train_indices),
            "val": len(datamodule.val_indices),
            "test": tested,
        },
        "model": {"name": model.name, "parameters": sum(each.numel() for each in model.parameters())},
        "epoch": row.get("epoch"),
        "metrics": {key: value for key, value in row.items() if "/" in key} | weights.metrics | test_metrics,
        "history": epochs,
        "milestones": milestones.results,
        "seconds": seconds.seconds,
        "images_per_second": history.images_per_second,
        "environment": environment(device_name(trainer)),
    }


def device_name(trainer: "Trainer") -> str:
    import torch

    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def record_failure(cfg: DictConfig, error: BaseException) -> float:
    """Write what went wrong to result.json. Raises SystemExit, except in a sweep that goes on with its next job."""
    exit_status = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
    # Lightning turns Ctrl+C into SystemExit: the cause is then the exception behind it.
    error = error.__context__ if isinstance(error, SystemExit) and error.__context__ else error
    interrupted = isinstance(error, (KeyboardInterrupt, SystemExit, BrokenPipeError))
    if isinstance(error, KeyboardInterrupt):
        exit_status = INTERRUPTED
    message = "interrupted" if interrupted else describe(error, Path(cfg.run_dir))
    if is_main_process():
        trace = "".join(traceback.format_exception(error))
        status = "interrupted" if interrupted else "failed"
        failure = RunResult(status=status, **identification(cfg), error=message, traceback=trace)
        advice = "" if in_sweep() else f"\n{after_failure(Path(cfg.run_dir), settings=settings_folder())}"
        logger.error("%s", message + advice)
        try:
            failure.write(Path(cfg.run_dir))
        except OSError as disk_error:  # such as the full disk that ended the run
            logger.error("the failure is not recorded: %s", disk_error)
    if show_traceback():
        raise error
    if interrupted or not in_sweep():
        raise SystemExit(exit_status)
    return float("nan")


def show_traceback() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def describe(error: BaseException, run_dir: Path) -> str:
    """The error in one line. An OSError without a file's name comes from the logs, which are in the run folder."""
    if isinstance(error, OSError):
        error = as_write_error(error, run_dir)
    return f"{type(error).__name__}: {error}"


def objective(result: RunResult) -> float:
    """What a sweeper may optimize: the validation accuracy, or the test accuracy of a run without validation."""
    metrics = result.metrics
    return metrics.get("val/acc", metrics.get("test/acc", float("nan")))


def in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def is_main_process() -> bool:
    """Whether this is the only process of a run, or the first of several that train together."""
    return all(os.environ.get(rank, "0") == "0" for rank in RANKS)


def report_end(run_dir: Path, result: RunResult) -> None:
    """One line in the log and, after a single run, a summary on the screen."""
    tested = f"test accuracy {result.metrics['test/acc']:.2%}" if "test/acc" in result.metrics else "not tested,"
    trained = f"epoch {result.epoch} of {len(result.history)}" if result.history else "less than an epoch"
    logger.info("finished: %s after %s, fit in %.1f s", tested, trained, result.seconds["fit"])
    last_loss = result.history[-1].get("train/loss", 0.0) if result.history else 0.0
    if last_loss > MUCH_LOSS:
        logger.warning(
            "the training loss of the last epoch is %.3g, and guessing has %.3g: try a smaller learning rate",
            last_loss,
            LOSS_OF_GUESSING,
        )
    if not in_sweep():
        print(run_summary(run_dir, result), flush=True)

"""Train a classifier, test its best checkpoint, leave a run folder.

python -m mnist_exp.train data=csv trainer.max_epochs=3
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mnist_exp.models.classifier import DigitClassifier

log = logging.getLogger(__name__)


def train(cfg: "DictConfig") -> dict[str, Any]:
    """Train and test once. Returns the fields of result.json that come from it (mnist_exp/result.py)."""
    import torch
    from omegaconf import OmegaConf
    from pytorch_lightning import seed_everything

    from mnist_exp.cli.accelerators import check_accelerator
    from mnist_exp.cli.instantiation import instantiate
    from mnist_exp.cli.threads import set_threads
    from mnist_exp.cli.working import working
    from mnist_exp.models.registry import check_network
    from mnist_exp.result import Stopwatch
    from mnist_exp.training.checkpoint_io import AtomicCheckpointIO
    from mnist_exp.training.checkpoints import load_best_weights
    from mnist_exp.training.history import History, Milestones
    from mnist_exp.training.lightning_messages import hide_messages
    from mnist_exp.training.lightning_speedups import unset_nvml_check
    from mnist_exp.training.predictions import Predictions
    from mnist_exp.training.progress import watched
    from mnist_exp.training.resuming import SeedEveryEpoch, StayStopped
    from mnist_exp.training.run import training_results
    from mnist_exp.training.tensorboard import TestPanels
    from mnist_exp.training.trainer_options import STEP_OPTIONS, without_overfit_batches

    check_accelerator(cfg.trainer.accelerator)
    config: Any = OmegaConf.to_container(cfg, resolve=True)  # as it was asked for: a resumed run compares with it
    cfg = without_overfit_batches(cfg)

    # Seed before anything is made: the jobs of a sweep share one process.
    hide_messages()
    unset_nvml_check()
    seed_everything(cfg.seed, verbose=False)
    set_threads(cfg.threads)
    run_dir = Path(cfg.run_dir)

    # The data, the model, the callbacks and the trainer.
    check_network(config["model"]["net"])
    datamodule = instantiate(cfg.data)
    model = instantiate(cfg.model, **{option: cfg.trainer[option] for option in STEP_OPTIONS})
    ckpt_path = starting_point(cfg, config, model)
    history, milestones = History(config), Milestones(cfg.milestones)
    predictions = Predictions(run_dir / "predictions.npz")
    configured = instantiate(cfg.callbacks)
    callbacks = [SeedEveryEpoch(cfg.seed), StayStopped(), history, milestones, predictions, TestPanels(config)]
    callbacks += [callback for callback in configured.values() if callback]
    logger = instantiate(cfg.logger) or False
    trainer = instantiate(
        cfg.trainer,
        callbacks=callbacks,
        **STEP_OPTIONS,
        logger=logger,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=str(run_dir),
    )

    on_gpu = trainer.strategy.root_device.type == "cuda"
    torch.set_float32_matmul_precision(cfg.matmul_precision if on_gpu else "highest")

    # Read the pixels. Each phase is timed by itself.
    seconds = Stopwatch()
    with seconds("prepare"), working("looking for the digits", say=log.info):
        datamodule.prepare_data()
    with seconds("setup"), working("reading the digits", say=log.info):
        datamodule.setup()

    # Train. Then test, once, the weights that validation chose.
    with seconds("fit"), watched(trainer):
        trainer.fit(model, datamodule, ckpt_path=ckpt_path)
    with seconds("test"), watched(trainer):
        weights = load_best_weights(model, configured.get("best"))
        trainer.test(model, datamodule, verbose=False)

    return training_results(trainer, history, milestones, seconds, weights=weights, tested=predictions.tested)


def starting_point(cfg: "DictConfig", config: dict[str, Any], model: "DigitClassifier") -> Path | None:
    """The checkpoint that training goes on from. None for training from the start.

    config: `cfg`, resolved. Raises CheckpointError or ResumeError where the model cannot go on from it.
    """
    from mnist_exp.models.checkpoint import check_resumable
    from mnist_exp.models.checkpoint_paths import LAST, checkpoint_file
    from mnist_exp.training.settings_changed import check_continuation

    if cfg.resume:  # `run_and_record` has compared the settings
        ckpt_path = Path(cfg.resume) / LAST
        check_resumable(ckpt_path, model)
        return ckpt_path
    if cfg.ckpt_path:
        ckpt_path = checkpoint_file(cfg.ckpt_path, prefer="last")
        before, trained = check_resumable(ckpt_path, model)
        check_continuation(before, config, trained=trained)
        return ckpt_path
    return None


@command("train")
def main(cfg: "DictConfig") -> float:
    from mnist_exp.cli.instantiation import without_leftovers
    from mnist_exp.training.run import run_and_record, typed_overrides

    return run_and_record(train, without_leftovers(cfg, typed_overrides()))


if __name__ == "__main__":
    main()

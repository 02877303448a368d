"""Train a classifier, test its best checkpoint, leave a run folder.

python -m mnist_exp.train data=csv trainer.max_epochs=3
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(cfg: "DictConfig") -> dict[str, Any]:
    """One run, from seed to result. Returns what it writes to `result.json` (design: run folders)."""
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from pytorch_lightning import seed_everything

    from mnist_exp.models.checkpoint import check_resumable
    from mnist_exp.result import Stopwatch
    from mnist_exp.training.callbacks import History, Milestones, Predictions, SeedEveryEpoch
    from mnist_exp.training.checkpoint_io import AtomicCheckpointIO
    from mnist_exp.training.lightning_messages import quiet
    from mnist_exp.training.lightning_overhead import NoProfiler, ask_cuda_itself
    from mnist_exp.training.run import describe
    from mnist_exp.training.tensorboard import TestPanels

    # Seed before anything is made: the jobs of a sweep share one process.
    quiet()
    ask_cuda_itself()
    seed_everything(cfg.seed, verbose=False)
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    run_dir = Path(cfg.run_dir)

    # What is seen, what learns, and who watches.
    datamodule = instantiate(cfg.data)
    model = instantiate(cfg.model)
    if cfg.ckpt_path:
        check_resumable(cfg.ckpt_path, model)
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    history = History(config)
    milestones = Milestones(cfg.milestones)
    callbacks = [SeedEveryEpoch(cfg.seed), history, milestones]
    callbacks += [Predictions(run_dir / "predictions.npz"), TestPanels(config)]
    configured = instantiate(cfg.callbacks)
    callbacks += [callback for callback in configured.values() if callback]
    logger = instantiate(cfg.logger) or False
    profiler = cfg.trainer.profiler or NoProfiler()
    trainer = instantiate(
        cfg.trainer,
        callbacks=callbacks,
        logger=logger,
        profiler=profiler,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=str(run_dir),
    )

    # Pixels first, each step timed by itself.
    seconds = Stopwatch()
    with seconds("prepare"):
        datamodule.prepare_data()
    with seconds("setup"):
        datamodule.setup()

    # Learn; then test, once, what validation chose.
    with seconds("fit"):
        trainer.fit(model, datamodule, ckpt_path=cfg.ckpt_path)
    with seconds("test"):
        if best := configured.best.best_model_path:  # weights alone: ckpt_path= would roll the history back, too
            model.load_state_dict(torch.load(best, weights_only=True)["state_dict"])
        trainer.test(model, datamodule, verbose=False)

    return describe(trainer, history, milestones, seconds)


@command("train")
def main(cfg: "DictConfig") -> float:
    from mnist_exp.training.run import recorded

    return recorded(train, cfg)


if __name__ == "__main__":
    main()

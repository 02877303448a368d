"""MNIST from images and from CSV: one classifier, two data modules, and experiments that answer questions.

From Python:

    import mnist_exp

    cfg = mnist_exp.compose(["data=csv", "trainer.max_epochs=1"])
    result = mnist_exp.run(cfg)                          # trains, tests, and leaves a run folder
    print(result.metrics["test/acc"])
    model = mnist_exp.load(cfg.run_dir)                  # the run's best checkpoint
    print(model.probabilities(images).argmax(dim=1))     # images: uint8 (N, 28, 28), white on black

`mnist_exp.train.train(cfg)` trains without writing result.json. `data.image_datamodule.ImageDataModule`,
`data.csv_datamodule.CSVDataModule` and `models.classifier.DigitClassifier` work with a Trainer of your own, too.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

# Torch and Lightning are imported by the functions: `import mnist_exp` and `mnist-exp --help` stay quick.
if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mnist_exp.models.classifier import DigitClassifier
    from mnist_exp.result import RunResult

__all__ = ["compose", "load", "run"]


def compose(overrides: Iterable[str] = ()) -> "DictConfig":
    """The configuration of one run, as `mnist-exp train <overrides>` would have it.

    overrides: such as `["data=csv", "optimizer.lr=0.01"]`. Without run_dir=... among them, each call chooses a new run
        folder, `outputs/runs/<name>/<date>_<time>` in the current folder. Several processes (trainer=ddp) need run_dir.

    Raises OverrideError, a ValueError, for an override that is not valid, for several values (a sweep),
    and for resume=...
    """
    from copy import deepcopy

    from omegaconf import open_dict

    from mnist_exp.cli.arguments import as_hydra_reads_it
    from mnist_exp.cli.instantiation import without_leftovers
    from mnist_exp.cli.overrides import OverrideError, compose_checked, parse
    from mnist_exp.cli.resumed_run import value_of_resume

    typed = list(overrides)
    overrides = [as_hydra_reads_it(text, typed, is_sweep=False) for text in typed]
    if any(map(value_of_resume, overrides)):
        raise OverrideError(
            "resume=... goes on in the folder of a run, which only the command does: mnist-exp train resume=... From "
            "Python, ckpt_path=<run folder> goes on in a new run folder"
        )
    cfg = deepcopy(compose_checked("train", overrides))
    if str(cfg.hydra.mode) == "RunMode.MULTIRUN" or any(parse(text).is_sweep_override() for text in overrides):
        raise OverrideError(f"{' '.join(typed)} is a sweep: compose one run at a time, in a loop over the values")
    chosen = cfg.hydra.run.dir
    with open_dict(cfg):
        del cfg.hydra
        if not any(text.startswith("run_dir=") for text in overrides):
            cfg.run_dir = chosen
    return without_leftovers(cfg, overrides)


def run(cfg: "DictConfig") -> "RunResult":
    """Train and test once, and return what the run folder then holds in result.json.

    cfg: from `compose`; it may have been changed since. A run folder that is finished and had the same configuration
        is not trained again, unless `cfg.overwrite` is true.

    Raises the exception that ended the run; result.json records it, too.
    """
    from mnist_exp.result import RunResult
    from mnist_exp.train import train
    from mnist_exp.training.run import run_and_record

    try:
        run_and_record(train, cfg)
    except SystemExit as end:  # how a command ends: the error is behind it
        error: BaseException = end
        while isinstance(error, SystemExit) and error.__context__:
            error = error.__context__
        raise error from None
    result = RunResult.read(Path(cfg.run_dir))
    assert result is not None, "run_and_record has written it"
    return result


def load(path: str | Path, *, network: str | None = None) -> "DigitClassifier":
    """The classifier of a checkpoint, on the CPU and in evaluation mode.

    path: a checkpoint; a run folder, for its best one; or "latest", for the last run of the command in outputs/.
    network: the class of a network of your own, such as `my_module.MyNet`, if the checkpoint has one.

    Raises ValueError where there is no checkpoint, or one that cannot be used.
    """
    from mnist_exp.models.checkpoint_paths import checkpoint_file
    from mnist_exp.models.classifier import DigitClassifier

    return DigitClassifier.load_from_checkpoint(checkpoint_file(path), network=network)

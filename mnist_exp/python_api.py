"""What the commands do, from Python and in notebooks. `import mnist_exp` offers everything here.

The functions have names of their own, because `mnist_exp.train`, `mnist_exp.evaluate` and so on are the modules of the
commands. Settings are the overrides of the command line, such as "data=csv". Errors are raised: nothing ends Python.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd
from omegaconf import DictConfig, open_dict

from mnist_exp.cli.arguments import as_hydra_reads_it
from mnist_exp.cli.instantiation import without_leftovers
from mnist_exp.cli.overrides import OverrideError, compose_checked, parse
from mnist_exp.cli.resumed_run import value_of_resume
from mnist_exp.models.checkpoint_paths import checkpoint_file
from mnist_exp.result import RunResult

if TYPE_CHECKING:
    from mnist_exp.models.classifier import DigitClassifier


@dataclass(frozen=True)
class Run:
    """A run and its folder. A notebook shows its figures and learning curves."""

    folder: Path
    result: RunResult

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """The run that was left in `folder`. Raises ValueError where there is none."""
        if (result := RunResult.read(Path(folder))) is None:
            raise ValueError(f"{folder} holds no run that has ended: it has no result.json")
        return cls(Path(folder), result)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures of the weights that were tested, such as "test/acc": accuracies are from 0 to 1."""
        return self.result.metrics

    @property
    def test_acc(self) -> float:
        """The test accuracy, from 0 to 1. Raises KeyError for a run that was not tested."""
        return self.metrics["test/acc"]

    @property
    def history(self) -> pd.DataFrame:
        """A row for each epoch: `epoch`, its metrics and its seconds."""
        return pd.DataFrame(self.result.history)

    def load(self) -> "DigitClassifier":
        """The classifier with the run's best weights."""
        return load(self.folder)

    def _repr_html_(self) -> str:
        """A table of the metrics and the learning curves, for a notebook."""
        from mnist_exp.analysis.figures import GroupStyles, learning_curves, svg

        figures = pd.DataFrame({"value": self.metrics}).T.to_html(float_format="{:.4f}".format, index=False)
        head = f"<p>{self.result.name}, seed {self.result.seed}: {self.result.status}</p>{figures}"
        history = self.history
        if not {"val/acc", "train/loss"} <= set(history):
            return head
        curves = learning_curves(history.assign(group=self.result.name), GroupStyles.of([self.result.name]))
        return head + svg(curves).decode()


@dataclass(frozen=True)
class Comparison:
    """A report that compares runs. A notebook shows it."""

    folder: Path

    @property
    def markdown(self) -> str:
        return (self.folder / "report.md").read_text(encoding="utf-8")

    @property
    def runs(self) -> pd.DataFrame:
        """A row for each run that was compared."""
        return pd.read_csv(self.folder / "runs.csv")

    def _repr_markdown_(self) -> str:
        return self.markdown.replace("](figures/", f"]({self.folder}/figures/")


def compose(*overrides: str) -> DictConfig:
    """The configuration of one run, as `mnist-exp train <overrides>` would have it.

    overrides: such as "data=csv", "optimizer.lr=0.01". Without run_dir=... among them, each call chooses a new run
        folder, `outputs/runs/<name>/<date>_<time>` in the current folder. Several processes (trainer=ddp) need run_dir.

    Raises OverrideError, a ValueError, for an override that is not valid, for several values (a sweep),
    and for resume=...
    """
    if any(map(value_of_resume, overrides)):
        raise OverrideError(
            "resume=... goes on in the folder of a run, which only the command does: mnist-exp train resume=... From "
            "Python, ckpt_path=<run folder> goes on in a new run folder"
        )
    cfg, texts, run_dir = composed("train", overrides)
    if not any(text.startswith("run_dir=") for text in texts):
        cfg.run_dir = run_dir
    return without_leftovers(cfg, texts)


def composed(command: str, overrides: Iterable[str]) -> tuple[DictConfig, list[str], str]:
    """The configuration of a command, the overrides as Hydra reads them, and the folder that Hydra would make.

    Raises OverrideError.
    """
    typed = list(overrides)
    texts = [as_hydra_reads_it(text, typed, is_sweep=False) for text in typed]
    cfg = deepcopy(compose_checked(command, texts))
    if str(cfg.hydra.mode) == "RunMode.MULTIRUN" or any(parse(text).is_sweep_override() for text in texts):
        raise OverrideError(f"{' '.join(typed)} is a sweep: compose one run at a time, in a loop over the values")
    run_dir = cfg.hydra.run.dir
    with open_dict(cfg):
        del cfg.hydra
    return cfg, texts, run_dir


def run(*settings: str | DictConfig) -> Run:
    """Train and test once, and leave a run folder, as `mnist-exp train` does.

    settings: overrides, or one configuration from `compose`, which may have been changed since. A run folder that is
        finished and had the same configuration is not trained again, unless `overwrite` is true.

    Raises OverrideError, or the exception that ended the run; result.json records it, too.
    """
    from mnist_exp.train import train
    from mnist_exp.training.run import run_and_record

    cfg = settings[0] if settings and isinstance(settings[0], DictConfig) else compose(*map(str, settings))
    try:
        run_and_record(train, cfg)
    except SystemExit as end:  # how a command ends: the error is behind it
        error: BaseException = end
        while isinstance(error, SystemExit) and error.__context__:
            error = error.__context__
        raise error from None
    return Run.read(cfg.run_dir)


def load(path: str | Path, *, network: str | None = None) -> "DigitClassifier":
    """The classifier of a checkpoint, on the CPU and in evaluation mode.

    path: a checkpoint; a run folder, for its best one; "latest", for the last run of the command in outputs/; or a
        folder that `export` wrote, with model.safetensors and config.json.
    network: the class of a network of your own, such as `my_module.MyNet`, if the checkpoint has one.

    Raises ValueError where there is no checkpoint, or one that cannot be used.
    """
    from mnist_exp.models.classifier import DigitClassifier
    from mnist_exp.models.published import is_published, load_published

    if is_published(path):
        return load_published(path, network)
    return DigitClassifier.load_from_checkpoint(checkpoint_file(path), network=network)


def evaluation(model: Run | str | Path, *overrides: str) -> pd.DataFrame:
    """Test a model on a suite, as `mnist-exp evaluate` does: evaluation(run, "suite=corruptions").

    model: a run, its folder, or a checkpoint.

    Returns a row for each part of the suite: `part`, `n`, `acc` from 0 to 1, and for a part that is a single set the
    95% interval of the accuracy, `low` and `high`. Raises what the command reports as an error, such as ValueError.
    """
    from mnist_exp.evaluate import evaluate

    cfg, *_ = composed("evaluate", overrides)
    cfg.ckpt_path = [path_of(model)]
    [scores] = evaluate(cfg).values()
    rows = [{"part": part, **figures} for part, figures in scores["by_subset"].items()]
    return pd.DataFrame(rows)


def predictions(model: Run | str | Path, images: str | Path | list[str], *overrides: str) -> pd.DataFrame:
    """Read the digits in files, as `mnist-exp predict` does.

    model: a run, its folder, or a checkpoint. images: files, folders, patterns such as "photos/*.jpg", or a table.

    Returns a row for each digit: `file`, `label`, `probability`, the second most probable label, and `sure`. Files that
    could not be read are listed with their reasons in `.attrs["failures"]`. For images that are arrays, use
    `load(model).predict(images)`. Raises what the command reports as an error, such as ValueError.
    """
    from mnist_exp.predict import predict

    cfg, *_ = composed("predict", overrides)
    cfg.ckpt_path, cfg.images = path_of(model), images if isinstance(images, list) else str(images)
    found, failures = predict(cfg)
    table = pd.DataFrame(found)
    table.attrs["failures"] = failures
    return table


def comparison(*runs: Run | str | Path, overrides: Iterable[str] = ()) -> Comparison:
    """Compare runs, as `mnist-exp compare` does: comparison(run, other), or comparison("outputs/sweeps/puzzle").

    runs: runs, their folders, or folders of sweeps. Raises ValueError for what cannot be compared.
    """
    from mnist_exp.compare import compare

    cfg, *_ = composed("compare", overrides)
    cfg.runs = [path_of(run) for run in runs]
    return Comparison(compare(cfg))


def path_of(run: Run | str | Path) -> str:
    return str(run.folder if isinstance(run, Run) else run)

"""What TensorBoard shows beyond curves: hyperparameters beside metrics, and four figures of the test.

tensorboard --logdir outputs
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from mnist_exp.data.named_sets import NAMED_SETS, dataset_of
from mnist_exp.training.history import History, logged_metrics
from mnist_exp.training.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The page CUSTOM SCALARS: one chart a metric, with a line for every run below the folder that TensorBoard was given. A
# layout cannot choose runs. The tags are regular expressions.
LAYOUT = {
    "all runs": {
        title: ["Multiline", [f"^{tag}$"]]
        for title, tag in {
            "validation accuracy": "val/acc",
            "validation loss": "val/loss",
            "training loss": "train/loss",
            "images per second": "images_per_second",
            "learning rate": "lr",
        }.items()
    }
}


class TestPanels(Callback):
    """Adds four figures of the test, the page HPARAMS, and the layout of the page CUSTOM SCALARS.

    config: the run's resolved configuration.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        for logger in tensorboard_loggers(trainer):
            logger.experiment.add_custom_scalars(LAYOUT)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        loggers = tensorboard_loggers(trainer)
        if not (loggers and trainer.is_global_zero):
            return
        from mnist_exp.analysis.figures import pixels

        classes = NAMED_SETS[dataset_of(self.config)].classes
        figures = {tag: pixels(figure) for tag, figure in figures_of_the_test(trainer, classes).items()}
        for logger in loggers:
            for tag, image in figures.items():
                logger.experiment.add_image(tag, image, trainer.current_epoch, dataformats="HWC")
            logger.log_hyperparams(hyperparameters(self.config), best_metrics(trainer), step=trainer.current_epoch)


def tensorboard_loggers(trainer: Trainer) -> list[TensorBoardLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def figures_of_the_test(trainer: Trainer, classes: Sequence[str]) -> "dict[str, Figure]":
    """The figures of the test that has just ended, from its `predictions.npz`, by TensorBoard tag."""
    from mnist_exp.analysis.figures import panels_of_a_test

    written = next(each for each in trainer.callbacks if isinstance(each, Predictions)).path  # type: ignore[attr-defined]
    with np.load(written) as predictions:
        probs, labels = predictions["probs"], predictions["labels"]
    images = trainer.datamodule.test.images.cpu().numpy()  # type: ignore[attr-defined]
    panels = panels_of_a_test(probs, labels, images, classes=classes)
    return {f"test/{name}": figure for name, figure in panels.items()}


def best_metrics(trainer: Trainer) -> dict[str, float]:
    """The metrics on the page HPARAMS: test/acc, and the highest val/acc of all epochs where there is one."""
    metrics = {"test/acc": logged_metrics(trainer)["test/acc"]}
    history = next(each for each in trainer.callbacks if isinstance(each, History))  # type: ignore[attr-defined]
    if accuracies := [row["val/acc"] for row in history.epochs if "val/acc" in row]:
        metrics["val/acc_best"] = max(accuracies)
    return metrics


def hyperparameters(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that a result depends on most, flat: one column each on the page HPARAMS."""
    optimizer = config["model"]["optimizer"] or {"_target_": "none"}
    return {
        "data": config["data"]["name"],
        "dataset": dataset_of(config),
        "model": config["model"]["name"],
        "optimizer": optimizer["_target_"].rsplit(".", 1)[-1],
        "lr": optimizer.get("lr", 0.0),
        "batch_size": config["data"]["batch_size"],
        "standardize": config["model"]["standardize"],
        "max_epochs": config["trainer"]["max_epochs"],
        "seed": config["seed"],
    }

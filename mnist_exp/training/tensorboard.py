"""What TensorBoard shows beyond curves: hyperparameters beside metrics, and four pictures of the test.

tensorboard --logdir outputs
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from mnist_exp.training.history import History, logged_metrics
from mnist_exp.training.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Charts of several runs in one picture, on the CUSTOM SCALARS page. The tags are regular expressions.
LAYOUT = {
    "image beside CSV": {
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
MISTAKES = 10  # pictures in a gallery row


class TestPanels(Callback):
    """After the test: confusion matrix, accuracy by class, the worst mistakes, calibration, and the HPARAMS page."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_custom_scalars(LAYOUT)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        writers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not (writers and trainer.is_global_zero):
            return
        written = next(each for each in trainer.callbacks if isinstance(each, Predictions)).path  # type: ignore[attr-defined]
        with np.load(written) as predictions:
            probs, labels = predictions["probs"], predictions["labels"]
        images = trainer.datamodule.test.images.cpu().numpy()  # type: ignore[attr-defined]
        history = next(each for each in trainer.callbacks if isinstance(each, History))  # type: ignore[attr-defined]
        metrics = {"test/acc": logged_metrics(trainer)["test/acc"]}
        if accuracies := [row["val/acc"] for row in history.epochs if "val/acc" in row]:
            metrics["val/acc_best"] = max(accuracies)
        panels = {
            "test/confusion": confusion_matrix(probs, labels),
            "test/by_class": accuracy_by_class(probs, labels),
            "test/worst_mistakes": worst_mistakes(probs, labels, images),
            "test/calibration": reliability_diagram(probs, labels),
        }
        for logger in writers:
            for tag, figure in panels.items():
                logger.experiment.add_image(tag, pixels(figure), trainer.current_epoch, dataformats="HWC")
            logger.log_hyperparams(hyperparameters(self.config), metrics, step=trainer.current_epoch)


def hyperparameters(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that a result depends on most, flat: one column each on the HPARAMS page."""
    optimizer = config["model"]["optimizer"] or {"_target_": "none"}
    return {
        "data": config["data"]["name"],
        "model": config["model"]["name"],
        "optimizer": optimizer["_target_"].rsplit(".", 1)[-1],
        "lr": optimizer.get("lr", 0.0),
        "batch_size": config["data"]["batch_size"],
        "standardize": config["model"]["standardize"],
        "max_epochs": config["trainer"]["max_epochs"],
        "seed": config["seed"],
    }


def confusion_matrix(probs: np.ndarray, labels: np.ndarray) -> "Figure":
    """Counts, rows true and columns predicted; the colour leaves the diagonal out, where all the counts would be."""
    from mnist_exp.analysis.figures import drawing

    counts = np.zeros((10, 10), dtype=np.int64)
    np.add.at(counts, (labels, probs.argmax(axis=1)), 1)
    mistakes = np.where(np.eye(10, dtype=bool), 0, counts)
    with drawing(height=5, width=5) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.imshow(mistakes, cmap="Oranges")
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = mistakes[row, column] > 0.6 * mistakes.max()
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color="w" if dark else "k")
        axes.set(title="Confusion", xlabel="predicted", ylabel="true", xticks=range(10), yticks=range(10))
    return figure


def accuracy_by_class(probs: np.ndarray, labels: np.ndarray) -> "Figure":
    """With 95% Wilson intervals."""
    from mnist_exp.analysis.figures import PALETTE, drawing, percent
    from mnist_exp.analysis.statistics import wilson_interval

    correct = probs.argmax(axis=1) == labels
    digits = np.unique(labels)
    acc = np.array([correct[labels == digit].mean() for digit in digits])
    bounds = np.array([wilson_interval(int(correct[labels == d].sum()), int((labels == d).sum())) for d in digits])
    with drawing(height=4, width=5) as figure:
        axes = figure.subplots()
        axes.errorbar(digits, acc, yerr=np.abs(bounds.T - acc), fmt="o", color=PALETTE[0], capsize=3)
        axes.set(title="Accuracy by class, with 95% intervals", xlabel="true digit", xticks=range(10))
        axes.yaxis.set_major_formatter(percent(axes))
    return figure


def worst_mistakes(probs: np.ndarray, labels: np.ndarray, images: np.ndarray) -> "Figure":
    """The mistakes made with most confidence, the worst first."""
    from mnist_exp.analysis.figures import gallery

    preds, confidence = probs.argmax(axis=1), probs.max(axis=1)
    wrong = np.flatnonzero(preds != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: 2 * MISTAKES]
    shown = [(images[i], f"{labels[i]} as {preds[i]}\n{confidence[i]:.0%}") for i in worst]
    return gallery(
        {"Most confident mistakes": shown[:MISTAKES], " ": shown[MISTAKES:]} if shown else {"No mistakes": []}
    )


def reliability_diagram(probs: np.ndarray, labels: np.ndarray) -> "Figure":
    """Accuracy against confidence (Guo et al. 2017): on the diagonal, 90% sure means right nine times in ten."""
    from mnist_exp.analysis.figures import PALETTE, drawing
    from mnist_exp.analysis.statistics import expected_calibration_error

    error, bins = expected_calibration_error(probs, labels)
    filled = bins[bins["count"] > 0]
    with drawing(height=4.5, width=5) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#888888", linestyle=":")
        axes.plot(filled["confidence"], filled["accuracy"], marker="o", color=PALETTE[0])
        for _, each in filled.iterrows():
            axes.annotate(f"{int(each['count'])}", (each["confidence"], each["accuracy"]), fontsize=7,
                          textcoords="offset points", xytext=(4, -9))  # fmt: skip
        axes.set(title=f"Calibration: expected error {100 * error:.2f} points", xlabel="confidence", ylabel="accuracy")
    return figure


def pixels(figure: "Figure") -> np.ndarray:
    """uint8 (height, width, 3)"""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]

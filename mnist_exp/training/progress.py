"""How far a run has got: a bar on a terminal, and one log line an epoch elsewhere."""

import logging
import sys

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar, RichProgressBar

from mnist_exp.training.history import logged_metrics

logger = logging.getLogger(__name__)


def progress() -> Callback:
    """A live bar on a terminal. In a file or a pipe a bar would write thousands of lines: there, one line an epoch."""
    return RichProgressBar(refresh_rate=20) if sys.stdout.isatty() else EpochLine()


class EpochLine(ProgressBar, Checkpoint):
    """One log line an epoch.

    It is a `ProgressBar` so that Lightning adds none of its own, and a `Checkpoint` to be called late, as `History`.
    """

    def disable(self) -> None:
        """Lightning calls this in all processes but the first, which would otherwise log the same line."""
        self.on_train_epoch_end = lambda *_: None  # type: ignore[method-assign]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        metrics = "  ".join(f"{key} {value:.4f}" for key, value in sorted(logged_metrics(trainer).items()))
        logger.info("epoch %d/%s  %s", trainer.current_epoch + 1, trainer.max_epochs, metrics)

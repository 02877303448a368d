"""What happened in each epoch: metrics, learning rate and speed, and the test set at milestones."""

import logging
import time
from collections.abc import Iterable
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch.nn import functional as F

logger = logging.getLogger(__name__)

SMALLEST_PROBABILITY = 1e-30  # keeps the logarithm finite


def logged_metrics(trainer: Trainer) -> dict[str, float]:
    """The metrics that the module logged last, by name, rounded to the seven digits that a float32 holds."""
    return {key: float(f"{value.item():.7g}") for key, value in trainer.callback_metrics.items() if "/" in key}


class History(Checkpoint):
    """Keeps the metrics of every epoch, and puts them and the configuration into each checkpoint.

    It is a `Checkpoint` only to be called late: Lightning calls those after the module has logged its epoch.

    config: the run's resolved configuration in plain builtins, so that a checkpoint alone says how to build its model.

    epochs: one dict an epoch: `epoch`, counted from 1, metrics by name, and `seconds` of training without validation.
    images, seconds: trained on by all processes together since this process started, and the time that took.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.epochs: list[dict[str, float]] = []
        self.images = 0
        self.seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._started_at = time.perf_counter()
        self._trained_at: float | None = None
        self._has_validated = False
        self._images = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any) -> None:  # noqa: ARG002
        self._images += outputs["images"]

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._trained_at = time.perf_counter()
        self._has_validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        seconds = (self._trained_at or time.perf_counter()) - self._started_at
        # A process has its share of every batch. Where that does not come out even, the first one has an image more.
        images = min(self._images * trainer.world_size, len(trainer.datamodule.train_indices))  # type: ignore[attr-defined]
        self.seconds += seconds
        self.images += images
        metrics = logged_metrics(trainer)
        if not self._has_validated:  # Lightning keeps the metrics of an earlier epoch's validation
            metrics = {key: value for key, value in metrics.items() if not key.startswith("val/")}
        self.epochs.append({"epoch": trainer.current_epoch + 1, **metrics, "seconds": seconds})
        figures = {"images_per_second": images / seconds}
        if trainer.optimizers:
            figures["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        for each in trainer.loggers:
            each.log_metrics(figures, step=trainer.current_epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        checkpoint["config"] = self.config
        checkpoint["metrics"] = {key: value for key, value in logged_metrics(trainer).items() if key.startswith("val/")}

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


class Milestones(Callback):
    """Measures the test set after the given epochs, so that one run tells the result of several lengths.

    Nothing is chosen by these results.

    epochs: counted from 1. Those that the run does not reach are named in the log.
    results: `{"epoch": 3, "test/loss": ..., "test/acc": ...}` for each epoch that was reached.
    """

    def __init__(self, epochs: Iterable[int]) -> None:
        self.epochs = set(epochs)
        self.results: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        most = trainer.max_epochs or 0  # -1 for no limit
        self.out_of_reach = {epoch for epoch in self.epochs if -1 < most < epoch}
        if self.out_of_reach:
            logger.warning("milestones %s will not be measured: the last epoch is %d", sorted(self.out_of_reach), most)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if missed := self.epochs - self.out_of_reach - {row["epoch"] for row in self.results}:
            logger.warning("milestones %s were not measured: training ended earlier", sorted(missed))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch not in self.epochs:
            return
        test = trainer.datamodule.test  # type: ignore[attr-defined]
        labels = test.labels.cpu()
        pl_module.eval()
        probs = pl_module.probabilities(test.images)  # type: ignore[operator]
        pl_module.train()
        loss = F.nll_loss(probs.clamp_min(SMALLEST_PROBABILITY).log(), labels).item()
        acc = int((probs.argmax(dim=1) == labels).sum()) / len(labels)
        self.results.append({"epoch": epoch, "test/loss": loss, "test/acc": acc})

    def state_dict(self) -> dict[str, Any]:
        return {"results": self.results}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.results = state_dict["results"]

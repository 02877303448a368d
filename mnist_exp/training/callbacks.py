"""What watches a run and keeps what it sees: history, checkpoints, predictions, one line an epoch."""

import logging
import shutil
import sys
import time
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint, ProgressBar, RichProgressBar
from torch import Tensor
from torch.nn import functional as F

from mnist_exp.files import write_npz

logger = logging.getLogger(__name__)


def logged(trainer: Trainer) -> dict[str, float]:
    """The metrics that the module has logged last, by name, to the seven digits that a float32 holds."""
    return {key: float(f"{value.item():.7g}") for key, value in trainer.callback_metrics.items() if "/" in key}


class SeedEveryEpoch(Callback):
    """Seeds the global random numbers (dropout, augmentation) anew each epoch, from seed, epoch and process alone.

    Checkpoints do not hold their state: without this a resumed run would draw other numbers than an uninterrupted one.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        mixed = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]).generate_state(1)
        torch.manual_seed(int(mixed[0]))


class History(Checkpoint):
    """Metrics, learning rate and throughput of every epoch, and the configuration, kept in each checkpoint.

    A `Checkpoint` only for its place in the order: Lightning calls those after the module has logged its epoch.

    config: the run's resolved configuration, plain builtins, so that a checkpoint alone tells how to rebuild its model.
    epochs: one dict an epoch: `epoch` counted from 1, metrics by name, `seconds` of training (validation excluded).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.epochs: list[dict[str, float]] = []
        self.images = 0  # seen in training by this process group, since it started
        self.seconds = 0.0  # spent on them
        self._trained_at: float | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._started_at = time.perf_counter()
        self._trained_at = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._trained_at = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        seconds = (self._trained_at or time.perf_counter()) - self._started_at
        images = min(
            len(datamodule.train_indices),
            int(trainer.num_training_batches) * datamodule.batch_size * trainer.world_size,
        )
        self.seconds += seconds
        self.images += images
        metrics = logged(trainer)
        self.epochs.append({"epoch": trainer.current_epoch + 1, **metrics, "seconds": seconds})
        pace = {"images_per_second": images / seconds}
        if trainer.optimizers:
            pace["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        for each in trainer.loggers:
            each.log_metrics(pace, step=trainer.current_epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        checkpoint["config"] = self.config

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


class RunCheckpoint(ModelCheckpoint):
    """Keeps one file, `filename`.ckpt: of the best epoch by `monitor`, or of the latest where that is None.

    Best and last are two callbacks: ModelCheckpoint's own `save_last` writes only when there is a new best.
    Without validation data the best epoch is the latest.
    """

    def __init__(self, dirpath: str, *, filename: str, monitor: str | None = None, mode: str = "max") -> None:
        super().__init__(dirpath=dirpath, filename=filename, monitor=monitor, mode=mode, enable_version_counter=False)

    @cached_property  # Lightning asks for it six times a batch
    def state_key(self) -> str:
        """Best and last are kept apart in a checkpoint, also where both take the latest epoch."""
        return self._generate_state_key(filename=self.filename)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not trainer.datamodule.val_size:  # type: ignore[attr-defined]
            self.monitor = None
        super().setup(trainer, pl_module, stage)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed run has a new folder: its predecessor's file comes along, so that the best still competes."""
        earlier = Path(state_dict["best_model_path"])
        if earlier.is_file() and self.dirpath and state_dict["dirpath"] != str(self.dirpath):
            here = Path(self.dirpath) / earlier.name
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(earlier, here)
            state_dict = {
                **state_dict,
                "dirpath": self.dirpath,
                "best_model_path": str(here),
                "kth_best_model_path": str(here),
                "best_k_models": {str(here): state_dict["best_model_score"]},
                "last_model_path": "",
            }
        super().load_state_dict(state_dict)


class Predictions(Callback):
    """Writes `predictions.npz` after the test: labels int64 (N,), preds int64 (N,), probs float32 (N, 10)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._logits: list[Tensor] = []

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        self._logits.append(outputs)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        logits = gather_in_order(torch.cat(self._logits).float().cpu(), trainer.world_size)
        if trainer.is_global_zero:
            labels = trainer.datamodule.test.labels[: len(logits)]  # type: ignore[attr-defined]
            write_npz(
                self.path,
                labels=labels.cpu().numpy(),
                preds=logits.argmax(dim=1).numpy(),
                probs=logits.softmax(dim=1).numpy(),
            )


def gather_in_order(own: Tensor, world_size: int) -> Tensor:
    """Rows of all processes in the data's order: `EpochSampler` gives process r the rows r, r + world_size, ..."""
    if world_size == 1:
        return own
    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, own)
    rows = own.new_empty((sum(map(len, parts)), *own.shape[1:]))
    for rank, part in enumerate(parts):
        rows[rank::world_size] = part
    return rows


class Milestones(Callback):
    """Measures the test set after the given epochs, to be recorded and never chosen on: one run, several lengths.

    epochs: counted from 1.
    results: `{"epoch": 3, "test/loss": ..., "test/acc": ...}` for each that was reached.
    """

    def __init__(self, epochs: Iterable[int]) -> None:
        self.epochs = set(epochs)
        self.results: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch not in self.epochs:
            return
        test = trainer.datamodule.test  # type: ignore[attr-defined]
        labels = test.labels.cpu()
        pl_module.eval()
        probs = pl_module.probabilities(test.images)  # type: ignore[operator]
        pl_module.train()
        loss = F.nll_loss(probs.clamp_min(1e-30).log(), labels).item()
        acc = int((probs.argmax(dim=1) == labels).sum()) / len(labels)
        self.results.append({"epoch": epoch, "test/loss": loss, "test/acc": acc})

    def state_dict(self) -> dict[str, Any]:
        return {"results": self.results}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.results = state_dict["results"]


class EpochLine(ProgressBar, Checkpoint):
    """One log line an epoch: progress for files and pipes.

    A `ProgressBar` so that Lightning adds none of its own, a `Checkpoint` for its place in the order, as `History`.
    """

    def disable(self) -> None:
        """Called on all processes but the first, which would otherwise log the same line."""
        self.on_train_epoch_end = lambda *_: None  # type: ignore[method-assign]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        figures = "  ".join(f"{key} {value:.4f}" for key, value in sorted(logged(trainer).items()))
        logger.info("epoch %d/%s  %s", trainer.current_epoch + 1, trainer.max_epochs, figures)


def progress() -> Callback:
    """A live bar on a terminal; elsewhere one log line an epoch (a bar would write thousands)."""
    return RichProgressBar(refresh_rate=20) if sys.stdout.isatty() else EpochLine()

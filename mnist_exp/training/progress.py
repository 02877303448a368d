"""How far a run has got: a bar on a terminal, and log lines elsewhere and in train.log."""

import logging
import os
import sys
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar, RichProgressBar

from mnist_exp.training.history import History, logged_metrics

SILENCE = 30.0  # seconds without a line, at most
LOOK_EVERY = 10.0  # seconds between two looks at the machine's load
BUSY = 1.5  # times as many programs want to compute as there are processors

logger = logging.getLogger(__name__)


def progress() -> Callback:
    """A live bar on a terminal. In a file or a pipe a bar would write thousands of lines: there, one line an epoch."""
    return EpochBar(refresh_rate=20) if sys.stdout.isatty() else EpochLine()


def epoch_of(trainer: Trainer) -> str:
    """`epoch 2 of 3`, or `epoch 2` where the number of epochs has no limit."""
    of_all = f" of {trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
    return f"epoch {trainer.current_epoch + 1}{of_all}"


def epoch_line(trainer: Trainer) -> str:
    histories = [each for each in trainer.callbacks if isinstance(each, History)]  # type: ignore[attr-defined]
    row = histories[0].epochs[-1] if histories else logged_metrics(trainer)
    metrics = "  ".join(f"{key} {value:.4f}" for key, value in sorted(row.items()) if "/" in key)
    return f"{epoch_of(trainer)}  {metrics}"


class EpochLine(ProgressBar, Checkpoint):
    """One log line an epoch, and one every 30 seconds within a longer epoch.

    It is a `ProgressBar` so that Lightning adds none of its own, and a `Checkpoint` to be called late, as `History`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_at = time.monotonic()
        self._is_enabled = True

    def disable(self) -> None:
        """Lightning calls this in all processes but the first, which would otherwise log the same line."""
        self._is_enabled = False

    def say(self, line: str) -> None:
        if self._is_enabled:
            logger.info("%s", line)
        self._said_at = time.monotonic()

    def say_after_silence(self, what: str, batch_idx: int, batches: float) -> None:
        if time.monotonic() - self._said_at >= SILENCE:
            self.say(f"{what}: {100 * (batch_idx + 1) / batches:.0f}%")

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.say_after_silence(epoch_of(trainer), args[-1], trainer.num_training_batches)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.say_after_silence(f"{epoch_of(trainer)}, validation", args[3], sum(trainer.num_val_batches))

    def on_test_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.say_after_silence("test", args[3], sum(trainer.num_test_batches))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.say(epoch_line(trainer))


class EpochBar(RichProgressBar, Checkpoint):
    """Lightning's bar, which counts epochs from 1, as all of this project does. train.log gets the lines of the epochs.

    It is a `Checkpoint` to be called late, as `History`.
    """

    def _get_train_description(self, current_epoch: int) -> str:  # noqa: ARG002, the trainer has it, too
        return f"{epoch_of(self.trainer):{len(self.validation_description)}}"

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        record = logger.makeRecord(logger.name, logging.INFO, __file__, 0, epoch_line(trainer), (), None)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler) and trainer.is_global_zero:
                handler.handle(record)


class BusyMachine(Callback):
    """Says once that training is slow because other programs compute, too, and what helps.

    The threads of a step wait for each other. Where one of them has to wait for a processor, all do.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._look_at = time.monotonic() + LOOK_EVERY

    def on_train_batch_end(self, *_: Any) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at += LOOK_EVERY
        if (problem := busy()) is not None:
            self._look_at = float("inf")
            logger.warning("%s", problem)


def busy() -> str | None:
    """What makes several threads slow now, in one sentence. None where nothing does, or where that cannot be known."""
    threads, processors = torch.get_num_threads(), os.cpu_count() or 1
    if threads == 1 or not hasattr(os, "getloadavg"):
        return None
    wanting, _, _ = os.getloadavg()  # the mean of the last minute
    if wanting < BUSY * processors:
        return None
    return (
        f"this machine is busy: {wanting:.0f} threads share {processors} processors, and the {threads} threads of this "
        "run wait for each other. It may be many times faster with threads=1"
    )

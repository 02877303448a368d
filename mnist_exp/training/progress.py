"""How far a run has got: a bar on a terminal, and log lines elsewhere and in train.log."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, ProgressBar, RichProgressBar

from mnist_exp.training.history import History, logged_metrics

SILENCE = 30.0  # seconds without a line, at most
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
    """One log line an epoch.

    It is a `ProgressBar` so that Lightning adds none of its own, and a `Checkpoint` to be called late, as `History`.
    """

    def disable(self) -> None:
        """Lightning calls this in all processes but the first, which would otherwise log the same line."""
        self.on_train_epoch_end = lambda *_: None  # type: ignore[method-assign]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        logger.info("%s", epoch_line(trainer))


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


@contextmanager
def watched(trainer: Trainer) -> Iterator[None]:
    """Around training and test: a log line every 30 seconds, and once a warning where the machine is busy.

    On a terminal the bar stands for the lines. They come from a thread of their own: Lightning calls no callback within
    a training step, and on a busy machine a step may take minutes.
    """
    done = Event()
    watch = Thread(target=report, args=(trainer, done), daemon=True)
    if trainer.is_global_zero:
        watch.start()
    try:
        yield
    finally:
        done.set()
        if watch.is_alive():
            watch.join()


def report(trainer: Trainer, done: Event) -> None:
    warned = False
    while not done.wait(SILENCE):
        if not sys.stdout.isatty():
            logger.info("%s", position(trainer))
        if not warned and (problem := busy()):
            logger.warning("%s", problem)
            warned = True


def position(trainer: Trainer) -> str:
    """`epoch 2 of 3: 40%`."""
    if trainer.testing:
        return "test"
    if trainer.validating or trainer.num_training_batches in (0, float("inf")):
        return f"{epoch_of(trainer)}: validation" if trainer.validating else epoch_of(trainer)
    return f"{epoch_of(trainer)}: {max(trainer.fit_loop.batch_idx, 0) / trainer.num_training_batches:.0%}"


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

"""Callbacks with which a resumed run ends as one that was not stopped. Checkpoints do not hold what these keep."""

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping


class SeedEveryEpoch(Callback):
    """Seeds torch's global random numbers (dropout, augmentation) at each epoch, by seed, epoch and process."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        mixed = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]).generate_state(1)
        torch.manual_seed(int(mixed[0]))
        if trainer.current_epoch > 0:  # in 0.1 the loader drew a number here: the recipes' results stay what they were
            torch.empty((), dtype=torch.int64).random_()


class StayStopped(Callback):
    """Ends a resumed run before its next epoch where early stopping had ended it.

    Without this, a run that was killed after its last epoch would train one more.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        progress = trainer.fit_loop.epoch_progress.current
        processed = progress.processed  # type: ignore[attr-defined]
        stopping = [each for each in trainer.callbacks if isinstance(each, EarlyStopping)]  # type: ignore[attr-defined]
        if any(0 < each.stopped_epoch == processed - 1 for each in stopping):
            trainer.should_stop = True
            progress.completed = processed  # as after an epoch that has ended: the test is logged there

"""The random numbers of an epoch, the same in a resumed run as in an uninterrupted one."""

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer


class SeedEveryEpoch(Callback):
    """Seeds torch's global random numbers (dropout, augmentation) at each epoch, by seed, epoch and process.

    Checkpoints do not hold their state: without this a resumed run would draw other numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        mixed = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]).generate_state(1)
        torch.manual_seed(int(mixed[0]))
        if trainer.current_epoch > 0:  # in 0.1 the loader drew a number here: the recipes' results stay what they were
            torch.empty((), dtype=torch.int64).random_()

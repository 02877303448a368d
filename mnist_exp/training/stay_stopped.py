"""A run that stopped early stays stopped when it is resumed."""

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping


class StayStopped(Callback):
    """Ends a resumed run before its next epoch where early stopping had ended it.

    A checkpoint does not say that: without this, a run that was killed after its last epoch would train one more.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        progress = trainer.fit_loop.epoch_progress.current
        processed = progress.processed  # type: ignore[attr-defined]
        stopping = [each for each in trainer.callbacks if isinstance(each, EarlyStopping)]  # type: ignore[attr-defined]
        if any(0 < each.stopped_epoch == processed - 1 for each in stopping):
            trainer.should_stop = True
            progress.completed = processed  # as after an epoch that has ended: the test is logged there

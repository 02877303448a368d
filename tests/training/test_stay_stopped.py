from types import SimpleNamespace

import pytest
from pytorch_lightning.callbacks import EarlyStopping

from mnist_exp.training.stay_stopped import StayStopped


@pytest.mark.parametrize(
    ("stopped_epoch", "processed", "stops"), [(4, 5, True), (0, 1, False), (0, 5, False), (3, 5, False)]
)
def test_a_run_that_stopped_in_its_last_epoch_trains_no_more(stopped_epoch: int, processed: int, stops: bool):
    early_stopping = EarlyStopping("val/acc")
    early_stopping.stopped_epoch = stopped_epoch
    progress = SimpleNamespace(processed=processed, completed=processed - 1)
    trainer = SimpleNamespace(
        callbacks=[early_stopping],
        should_stop=False,
        fit_loop=SimpleNamespace(epoch_progress=SimpleNamespace(current=progress)),
    )
    StayStopped().on_train_start(trainer, None)
    assert trainer.should_stop is stops
    assert progress.completed == processed - (0 if stops else 1)

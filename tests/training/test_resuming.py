from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import EarlyStopping

from mnist_exp.training.resuming import SeedEveryEpoch, StayStopped


def draw(*, seed: int = 0, epoch: int = 0, rank: int = 0) -> float:
    torch.manual_seed(123)
    SeedEveryEpoch(seed).on_train_epoch_start(SimpleNamespace(current_epoch=epoch, global_rank=rank), None)
    return torch.rand(()).item()


def test_the_draws_of_an_epoch_depend_on_seed_epoch_and_process_alone():
    draws = [draw(seed=seed, epoch=epoch, rank=rank) for seed in (0, 1) for epoch in (0, 1) for rank in (0, 1)]
    assert len(set(draws)) == 8
    assert draw(seed=1, epoch=1) == draw(seed=1, epoch=1)


def test_the_draws_are_those_of_version_0_1_after_the_loader_s():
    assert draw(seed=0, epoch=0) == 0.11343264579772949
    assert draw(seed=3, epoch=7, rank=1) == 0.7662666440010071


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

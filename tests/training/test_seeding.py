from types import SimpleNamespace

import torch

from mnist_exp.training.seeding import SeedEveryEpoch


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

import pytest
import torch

from mnist_exp.data.datamodule import DigitsDataModule, EpochSampler, stratified_split
from mnist_exp.data.digits import Digits


class SmallDataModule(DigitsDataModule):
    """Ten labels in turn, with each image's index in its first two pixels."""

    def load(self) -> tuple[Digits, Digits]:
        images = torch.zeros(300, 28, 28, dtype=torch.uint8)
        images[:, 0, 0], images[:, 0, 1] = torch.arange(300) // 256, torch.arange(300) % 256
        return Digits(images, torch.arange(300) % 10), Digits(images[:60], torch.arange(60) % 10)


def indices_of(loader: object) -> list[int]:
    return [int(i) for images, _ in loader for i in images[:, 0, 0].int() * 256 + images[:, 0, 1]]


def made(**kwargs: int) -> SmallDataModule:
    datamodule = SmallDataModule(**{"name": "small", "batch_size": 32, "val_size": 50, **kwargs})
    datamodule.setup()
    return datamodule


def test_training_and_validation_are_disjoint_and_cover_the_training_set():
    datamodule = made()
    train, val = indices_of(datamodule.train_dataloader()), indices_of(datamodule.val_dataloader())
    assert len(val) == 50
    assert sorted(train + val) == list(range(300))


def test_the_test_set_is_whole_and_in_order():
    assert indices_of(made().test_dataloader()) == list(range(60))


def test_the_split_depends_on_the_seed_alone():
    split = [made(seed=seed, batch_size=batch).val_indices.tolist() for seed, batch in ((1, 8), (1, 64), (2, 8))]
    assert split[0] == split[1] != split[2]


def test_every_label_gets_its_share_of_validation():
    labels = torch.tensor([0] * 700 + [1] * 200 + [2] * 100)
    _, val = stratified_split(labels, val_size=101, seed=0)
    shares = torch.bincount(labels[val]).tolist()
    assert sum(shares) == 101
    assert all(abs(share - exact) < 1 for share, exact in zip(shares, (70.7, 20.2, 10.1), strict=True))


@pytest.mark.parametrize("val_size", [-1, 300])
def test_a_validation_size_out_of_range_is_refused(val_size: int):
    with pytest.raises(ValueError, match="val_size"):
        made(val_size=val_size)


def test_no_validation_is_allowed():
    datamodule = made(val_size=0)
    assert datamodule.val_dataloader() == []
    assert len(indices_of(datamodule.train_dataloader())) == 300


def orders(**kwargs: int) -> list[list[int]]:
    """The order of the first three epochs."""
    sampler = EpochSampler(torch.arange(100), batch_size=7, shuffle=True, **kwargs)
    result = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        result.append([int(index) for batch in sampler for index in batch])
    return result


def test_each_epoch_has_its_order_and_the_same_seed_the_same_orders():
    first, again, other = orders(seed=0), orders(seed=0), orders(seed=1)
    assert first == again
    assert first[0] != first[1] != first[2]
    assert all(order not in first for order in other)  # seed 1's epoch 0 is not seed 0's epoch 1


@pytest.mark.parametrize("size", [100, 101, 99, 3])
def test_processes_share_each_batch_and_see_no_index_twice(size: int):
    shares = [EpochSampler(torch.arange(size), batch_size=8, shuffle=True, rank=r, world_size=4) for r in range(4)]
    assert len({len(share) for share in shares}) == 1
    assert [len(list(share)) for share in shares] == [len(shares[0])] * 4
    assert sorted(int(i) for share in shares for batch in share for i in batch) == list(range(size))


def test_two_processes_train_on_the_batches_of_one_with_twice_the_size():
    both = [EpochSampler(torch.arange(90), batch_size=10, shuffle=True, rank=r, world_size=2) for r in range(2)]
    single = EpochSampler(torch.arange(90), batch_size=20, shuffle=True)
    for batch, *parts in zip(single, *both, strict=True):
        assert sorted(batch.tolist()) == sorted(torch.cat(parts).tolist())

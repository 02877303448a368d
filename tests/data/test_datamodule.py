"""python -m pytest tests/data/test_datamodule.py"""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mnist_exp.data.datamodule import DigitsDataModule, EpochSampler, _fits, number_of_images, stratified_split
from mnist_exp.data.digits import Digits, fingerprint


class SmallDataModule(DigitsDataModule):
    """Ten labels in turn, with each image's index in its first two pixels."""

    def load(self) -> tuple[Digits, Digits]:
        images = torch.zeros(300, 28, 28, dtype=torch.uint8)
        images[:, 0, 0], images[:, 0, 1] = torch.arange(300) // 256, torch.arange(300) % 256
        return Digits(images, torch.arange(300) % 10), Digits(images[:60], torch.arange(60) % 10)


def indices_of(loader: object) -> list[int]:
    return [int(i) for images, _ in loader for i in images[:, 0, 0].int() * 256 + images[:, 0, 1]]


def made(**kwargs: object) -> SmallDataModule:
    datamodule = SmallDataModule(**{"name": "small", "batch_size": 32, "val_size": 50, **kwargs})
    datamodule.setup()
    return datamodule


# ---- split ----


def split_by_hand(labels: list[int], val_size: int, seed: int) -> list[int]:
    """Indices of the validation set, one step after the other."""
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).tolist()
    by_label = [index for label in range(10) for index in shuffled if labels[index] == label]
    # val_size stretches of equal length: the one in the middle of each is held out
    return sorted(by_label[int((k + 0.5) * len(labels) / val_size)] for k in range(val_size))


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, [5, 7, 21, 25, 28, 30, 31, 34, 36, 48, 52, 53, 59]),
        (1, [1, 4, 5, 10, 18, 25, 28, 36, 37, 39, 41, 43, 52]),
    ],
)
def test_the_split_of_a_seed_stays_as_it_is(seed: int, expected: list[int]):
    train, val = stratified_split(torch.arange(60) % 10, val_size=13, seed=seed)
    assert val.tolist() == expected == split_by_hand([i % 10 for i in range(60)], 13, seed)
    assert train.tolist() == [index for index in range(60) if index not in expected]


@pytest.mark.parametrize("val_size", [1, 2, 99, 199])
def test_the_split_takes_every_label_at_equal_distances(val_size: int):
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 10, 200))
    train, val = stratified_split(labels, val_size=val_size, seed=5)
    assert val.tolist() == split_by_hand(labels.tolist(), val_size, 5)
    assert sorted(train.tolist() + val.tolist()) == list(range(200))


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


@pytest.mark.parametrize(
    ("size", "total", "number"),
    [
        ("auto", 60_000, 5000),
        ("auto", 59_999, 4999),
        ("auto", 10**6, 5000),
        ("auto", 60, 5),
        ("auto", 10, 0),
        (0, 60, 0),
        (59, 60, 59),
        (0.1, 60, 6),
        (0.0833, 300, 25),
        (0.001, 60, 1),
        (1, 60, 1),
    ],
)
def test_a_size_is_a_number_a_share_or_automatic(size: float | str, total: int, number: int):
    assert number_of_images(size, total, key="val_size") == number


@pytest.mark.parametrize("size", [60, 0.999])
def test_a_size_that_leaves_nothing_to_train_on_is_refused(size: float):
    with pytest.raises(ValueError, match=rf"data\.val_size must be from 0 to 59 for 60 training images, not {size}"):
        number_of_images(size, 60, key="val_size")


def test_the_split_of_mnist_is_5000_images_also_by_default():
    labels = torch.arange(60_000) % 10
    train, val = stratified_split(labels, val_size=number_of_images("auto", 60_000, key="val_size"), seed=0)
    assert (len(train), len(val)) == (55_000, 5000)
    assert torch.equal(val, stratified_split(labels, val_size=5000, seed=0)[1])


class WithoutTestSet(SmallDataModule):
    def load(self) -> tuple[Digits, None]:
        return super().load()[0], None


def test_without_a_test_set_images_are_held_out_that_are_neither_trained_on_nor_validated(
    caplog: pytest.LogCaptureFixture,
):
    test_sets = []
    for seed in (0, 1):
        datamodule = WithoutTestSet(name="small", test_size=0.2, val_size=50, seed=seed)
        with caplog.at_level(logging.INFO):
            datamodule.setup()
        loaders = (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader())
        train, val, test = map(indices_of, loaders)
        assert (len(train), len(val), len(test)) == (190, 50, 60)
        assert sorted(train + val + test) == list(range(300))
        assert torch.bincount(datamodule.test.labels).tolist() == [6] * 10
        test_sets.append(test)
    assert test_sets[0] == test_sets[1]
    assert "there is no test set: 60 of the 300 images are held out for it" in caplog.messages


def test_a_batch_that_is_larger_than_the_training_set_is_warned_of(caplog: pytest.LogCaptureFixture):
    made(batch_size=250)
    assert caplog.messages == []
    made(batch_size=251)
    assert caplog.messages == ["data.batch_size=251 is more than the 250 training images: an epoch is a single step"]


def test_no_validation_is_allowed():
    datamodule = made(val_size=0)
    assert datamodule.val_dataloader() == []
    assert len(indices_of(datamodule.train_dataloader())) == 300


@pytest.mark.parametrize(
    ("key", "value", "least"), [("batch_size", 0, 1), ("eval_batch_size", 0, 1), ("val_size", -1, 0)]
)
def test_a_size_below_the_least_is_refused_by_name(key: str, value: int, least: int):
    with pytest.raises(ValueError, match=rf"data\.{key}.* at least {least}.* {value}"):
        SmallDataModule(name="small", **{key: value})
    SmallDataModule(name="small", **{key: least})


def test_without_settings_a_run_has_batches_of_64_and_an_automatic_split():
    datamodule = SmallDataModule(name="small")
    settings = {key: getattr(datamodule, key) for key in ("batch_size", "val_size", "eval_batch_size", "shuffle")}
    assert settings == {"batch_size": 64, "val_size": "auto", "eval_batch_size": 1000, "shuffle": True}
    assert (datamodule.seed, datamodule.placement) == (0, "auto")


# ---- batches and their order ----


def sizes(loader: object) -> list[int]:
    return [len(images) for images, _ in loader]


def test_training_and_evaluation_have_their_own_batch_sizes():
    datamodule = made(batch_size=40, eval_batch_size=25)
    assert sizes(datamodule.train_dataloader()) == [40, 40, 40, 40, 40, 40, 10]
    assert sizes(datamodule.val_dataloader()) == [25, 25]
    assert sizes(datamodule.test_dataloader()) == [25, 25, 10]
    assert [len(datamodule.train_dataloader()), len(datamodule.test_dataloader())] == [7, 3]


def test_labels_stay_with_their_images():
    for loader in (made().train_dataloader(), made().val_dataloader(), made().test_dataloader()):
        for images, labels in loader:
            assert torch.equal((images[:, 0, 0].long() * 256 + images[:, 0, 1]) % 10, labels)


def test_only_training_is_shuffled_and_only_where_it_is_wanted():
    datamodule, in_order = made(), made(shuffle=False)
    train = indices_of(datamodule.train_dataloader())
    assert train != sorted(train)
    assert indices_of(in_order.train_dataloader()) == sorted(train) == in_order.train_indices.tolist()
    assert indices_of(datamodule.val_dataloader()) == datamodule.val_indices.tolist()


def test_the_order_of_the_loader_depends_on_the_seed():
    one, same, other = (indices_of(made(seed=seed, val_size=0).train_dataloader()) for seed in (1, 1, 2))
    assert one == same != other


def test_the_order_of_a_seed_and_an_epoch_stays_as_it_is():
    sampler = EpochSampler(torch.arange(100, 112), batch_size=5, shuffle=True, seed=3)
    assert [batch.tolist() for batch in sampler] == [[110, 106, 105, 107, 101], [103, 111, 102, 100, 104], [109, 108]]
    sampler.set_epoch(1)
    assert [batch.tolist() for batch in sampler] == [[104, 105, 103, 109, 107], [110, 100, 102, 108, 101], [111, 106]]


def test_without_shuffling_every_epoch_is_in_order():
    sampler = EpochSampler(torch.arange(10), batch_size=4, shuffle=False)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        assert [batch.tolist() for batch in sampler] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


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


# ---- the device ----


@pytest.fixture
def _digits_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device `meta` holds shapes and no numbers: `Digits` cannot check its labels there."""
    monkeypatch.setattr(Digits, "__post_init__", lambda _: None)


def on(device: str, datamodule: SmallDataModule, *, rank: int = 0, world_size: int = 1) -> SmallDataModule:
    """The data module as a trainer on that device would have it."""
    strategy = SimpleNamespace(root_device=torch.device(device))
    datamodule.trainer = SimpleNamespace(  # type: ignore[assignment]
        strategy=strategy, global_rank=rank, world_size=world_size, limit_train_batches=1.0, lightning_module=None
    )
    return datamodule


def devices(loader: DataLoader) -> set[str]:
    """Where the digits are and where the indices are."""
    return {loader.dataset.images.device.type, loader.dataset.labels.device.type, loader.sampler.indices.device.type}


@pytest.mark.usefixtures("_digits_without_numbers")
@pytest.mark.parametrize(("placement", "device"), [("auto", "meta"), ("device", "meta"), ("host", "cpu")])
def test_digits_move_to_the_accelerator_once_unless_they_are_to_stay_on_the_host(placement: str, device: str):
    datamodule = on("meta", made(placement=placement))
    loaders = [datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()]
    assert [devices(loader) for loader in loaders] == [{device}] * 3
    assert loaders[0].dataset is loaders[1].dataset is datamodule.train
    assert datamodule.train_dataloader().dataset is datamodule.train


@pytest.mark.usefixtures("_digits_without_numbers")
def test_digits_that_do_not_fit_stay_on_the_host_unless_placement_is_device(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mnist_exp.data.datamodule._fits", lambda *_: False)
    assert devices(on("meta", made(placement="auto")).train_dataloader()) == {"cpu"}
    assert devices(on("meta", made(placement="device")).train_dataloader()) == {"meta"}


@pytest.mark.parametrize(("free", "fits"), [(2 * 10 * (784 + 8), False), (2 * 10 * (784 + 8) + 2, True)])
def test_digits_fit_a_gpu_where_they_fill_less_than_half_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda _: (free, 10**12))
    digits = Digits(torch.zeros(10, 28, 28, dtype=torch.uint8), torch.zeros(10, dtype=torch.int64))
    assert _fits(digits, torch.device("cuda")) is fits
    assert _fits(digits, torch.device("cpu"))


def test_each_process_gets_its_rank_and_the_number_of_processes_from_the_trainer():
    samplers = [on("cpu", made(), rank=rank, world_size=3).train_dataloader().sampler for rank in range(3)]
    assert [(sampler.rank, sampler.world_size) for sampler in samplers] == [(0, 3), (1, 3), (2, 3)]


def test_the_data_are_loaded_once_and_their_fingerprint_covers_training_and_test(monkeypatch: pytest.MonkeyPatch):
    datamodule = made()
    monkeypatch.setattr(datamodule, "load", None)  # loading again would raise
    datamodule.setup()
    assert datamodule.fingerprint == fingerprint(datamodule.train, datamodule.test)

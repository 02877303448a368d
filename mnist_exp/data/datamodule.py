"""The base of both data modules: all that must be equal between them.

A subclass says where pixels come from (`load`); split, order, batches and placement are decided here, once,
so that two runs that differ in their data module differ in nothing else.
"""

from collections.abc import Iterator

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mnist_exp.data.digits import Digits, fingerprint


class EpochSampler(Sampler[Tensor]):
    """Yields whole batches of indices, int64 (B,), in an order that depends on seed and epoch alone.

    The trainer calls `set_epoch` before each epoch, after a resume too, so a resumed run sees the batches that an
    uninterrupted one would have seen. With several processes each takes its share of every batch of
    `batch_size * world_size`: all step equally often and no index is seen twice.

    indices: int64 (N,), on the device where the batches are cut.
    """

    def __init__(
        self, indices: Tensor, *, batch_size: int, shuffle: bool, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.indices = indices
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        order = self.indices
        if self.shuffle:
            # SeedSequence mixes the pair: with seed + epoch, seed 0 would shuffle its epoch 1 as seed 1 its epoch 0.
            mixed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
            permutation = torch.randperm(len(order), generator=torch.Generator().manual_seed(mixed))
            order = order[permutation.to(order.device)]
        for batch in order.split(self.batch_size * self.world_size):
            yield batch[self.rank :: self.world_size]

    def __len__(self) -> int:
        return -(-len(self.indices) // (self.batch_size * self.world_size))


class DigitsDataModule(LightningDataModule):
    """MNIST-like digits: training and validation from the training set, test from the test set.

    name: what result.json calls this data.
    batch_size: images a step and process, at least 1.
    val_size: images of the training set held out for validation, stratified by label; 0 holds out none.
    eval_batch_size: images a step in validation and test; no result depends on it.
    shuffle: a new order each epoch.
    seed: decides split and order.
    placement: `device` moves all digits to the accelerator once, `host` each batch when it is due,
        `auto` takes `device` where the digits fill less than half of its free memory.

    Raises ValueError for a size out of range.
    """

    def __init__(
        self,
        *,
        name: str,
        batch_size: int = 64,
        val_size: int = 5000,
        eval_batch_size: int = 1000,
        shuffle: bool = True,
        seed: int = 0,
        placement: str = "auto",
    ) -> None:
        super().__init__()
        for key, value, least in (("batch_size", batch_size, 1), ("val_size", val_size, 0)):
            if value < least:
                raise ValueError(f"data.{key} is at least {least}, not {value}")
        self.name = name
        self.batch_size = batch_size
        self.val_size = val_size
        self.eval_batch_size = eval_batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.placement = placement
        self.train: Digits | None = None  # the whole training set: training and validation are indices into it
        self.test: Digits | None = None

    def load(self) -> tuple[Digits, Digits]:
        """Training set and test set, on the host."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002, one load serves all stages
        if self.train is None:
            self.train, self.test = self.load()
            self.train_indices, self.val_indices = stratified_split(
                self.train.labels, val_size=self.val_size, seed=self.seed
            )

    @property
    def fingerprint(self) -> str:
        """Of training and test set together: the data of a run, whatever it was read from."""
        assert self.train is not None, "setup() comes first"
        assert self.test is not None
        return fingerprint(self.train, self.test)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return self._loader("train", self.train_indices, batch_size=self.batch_size, shuffle=self.shuffle)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[None]:
        if not len(self.val_indices):
            return []
        return self._loader("train", self.val_indices, batch_size=self.eval_batch_size)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        assert self.test is not None, "setup() comes first"
        return self._loader("test", torch.arange(len(self.test)), batch_size=self.eval_batch_size)

    predict_dataloader = test_dataloader

    def transfer_batch_to_device(
        self,
        batch: tuple[Tensor, Tensor],
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """As Lightning's own, which looks for tensors in whatever a batch may be, and takes its time."""
        images, labels = batch
        return images.to(device), labels.to(device)

    def _loader(
        self, part: str, indices: Tensor, *, batch_size: int, shuffle: bool = False
    ) -> DataLoader[tuple[Tensor, Tensor]]:
        digits = self._placed(part)
        sampler = EpochSampler(
            indices.to(digits.labels.device),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )
        # The sampler cuts the batches (batch_size=None turns the loader's own batching and collation off).
        return DataLoader(digits, sampler=sampler, batch_size=None)

    def _placed(self, part: str) -> Digits:
        """The digits of one part, moved to the accelerator once if they belong there."""
        digits: Digits = getattr(self, part)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if digits.images.device != device and (
            self.placement == "device" or (self.placement == "auto" and _fits(digits, device))
        ):
            digits = digits.to(device)
            setattr(self, part, digits)
        return digits


def _fits(digits: Digits, device: torch.device) -> bool:
    if device.type != "cuda":
        return True  # elsewhere host and device share their memory
    free, _ = torch.cuda.mem_get_info(device)
    return digits.images.nbytes + digits.labels.nbytes < free / 2


def stratified_split(labels: Tensor, *, val_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of training and validation, int64, ascending: every label gets its share of `val_size`, to within one.

    The indices are shuffled, sorted by label, and `val_size` of them taken at equal distances: systematic sampling
    over the strata, exact in total where rounding each stratum by itself would not be.

    Raises ValueError where `val_size` leaves nothing to train on.
    """
    if not 0 <= val_size < len(labels):
        raise ValueError(f"data.val_size is 0 to {len(labels) - 1} for {len(labels)} training images, not {val_size}")
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_label = shuffled[labels[shuffled].argsort(stable=True)]
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    positions = (torch.arange(val_size) * 2 + 1) * len(labels) // (2 * max(val_size, 1))
    held_out[by_label[positions]] = True
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()

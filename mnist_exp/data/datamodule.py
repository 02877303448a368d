"""The base of both data modules, with everything that must be equal between them.

A subclass only says where the pixels come from (`load`). Split, order, batches and placement are decided here, so two
runs that differ in their data module differ in nothing else.
"""

import logging
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mnist_exp.data.digits import Digits, fingerprint
from mnist_exp.data.named_sets import named_set

MOST_VAL = 5000  # images for validation with val_size=auto: a twelfth of MNIST's 60,000
VAL_SHARE = 12  # ... and a twelfth of any smaller training set

logger = logging.getLogger(__name__)


class EpochSampler(Sampler[Tensor]):
    """Yields blocks of batches of indices, int64, in an order that depends only on the seed and the epoch.

    The trainer calls `set_epoch` before each epoch, also after a resume, so a resumed run sees the same batches as one
    without an interruption. Several processes share every batch of `batch_size * world_size` images: all make the same
    number of steps and no index is seen twice.

    indices: int64 (N,), on the same device as the images.
    batch_size: indices in a batch, for each process; the last batch may be smaller.
    shuffle: a new order each epoch; otherwise the order of `indices`.
    rank, world_size: which process this is, counted from 0, and how many there are.
    batches: of an epoch, at most; None for all.
    in_block: batches that are yielded as one tensor. Several need a single process.
    """

    def __init__(
        self,
        indices: Tensor,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        batches: int | None = None,
        in_block: int = 1,
    ) -> None:
        self.indices = indices
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.batches = number_of_batches(len(indices), batch_size * world_size, limit=batches)
        self.in_block = in_block
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        order = self.indices
        if self.shuffle:
            # Not seed + epoch: epoch 1 of seed 0 would then have the order of epoch 0 of seed 1.
            epoch_seed = int(np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0])
            permutation = torch.randperm(len(order), generator=torch.Generator().manual_seed(epoch_seed))
            order = order[permutation.to(order.device)]
        together = self.batch_size * self.world_size
        for block in order[: self.batches * together].split(self.in_block * together):
            yield block[self.rank :: self.world_size]

    def __len__(self) -> int:
        return math.ceil(self.batches / self.in_block)


def number_of_batches(images: int, batch_size: int, *, limit: float | None = None) -> int:
    """Of an epoch. limit: the most, or a share of them as a float, as in Lightning's `limit_train_batches`."""
    batches = math.ceil(images / batch_size)
    if limit is None:
        return batches
    return int(batches * limit) if isinstance(limit, float) else min(batches, limit)


class DigitsDataModule(LightningDataModule):
    """MNIST-like digits. Training and validation images come from the training set, test images from the test set.

    name: what result.json calls this data.
    dataset: the named set to read, such as "mnist" (named_sets.py); with files of your own, what their labels mean.
    batch_size: images in a training step, for each process; at least 1.
    val_size: images of the training set that are held out for validation, every label in proportion: a number, 0 for
        none, a share such as 0.1, or "auto": a twelfth of the set, and at most 5,000.
    test_size: images that are held out for the test, a number or a share, where the data has no test set. They are the
        same for every seed.
    eval_batch_size: images in a step of validation or test. Does not affect results.
    shuffle: train in a new order each epoch.
    seed: decides the split and the order.
    placement: `device` moves all digits to the accelerator once, `host` moves each batch when it is needed,
        and `auto` is `device` if the digits fill less than half of the accelerator's free memory, else `host`.

    Raises ValueError for an unknown `dataset`, and if a size is out of range. `setup` does so for one that the data has
    too few images for.
    """

    def __init__(
        self,
        *,
        name: str,
        dataset: str = "mnist",
        batch_size: int = 64,
        val_size: float | str = "auto",
        test_size: float = 0.15,
        eval_batch_size: int = 1000,
        shuffle: bool = True,
        seed: int = 0,
        placement: str = "auto",
    ) -> None:
        super().__init__()
        counts = {"batch_size": (batch_size, 1), "eval_batch_size": (eval_batch_size, 1)}
        shares = {"val_size": (0 if val_size == "auto" else val_size, 0), "test_size": (test_size, 0)}
        for key, (value, least) in {**counts, **shares}.items():
            if float(value) < least:
                raise ValueError(f"data.{key} must be at least {least}, not {value}")
        named_set(dataset)
        self.name = name
        self.dataset = dataset
        self.batch_size = batch_size
        self.val_size = val_size
        self.test_size = test_size
        self.eval_batch_size = eval_batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.placement = placement
        self.train: Digits | None = None  # the whole training set: training and validation are indices into it
        self.test: Digits | None = None

    def load(self) -> tuple[Digits, Digits | None]:
        """The training set and the test set, on the host. Without a test set a part of the other becomes one."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002, one load serves all stages
        if self.train is not None:
            return
        train, self.test = self.load()
        if self.test is None:
            train, self.test = hold_out_test(train, self.test_size)
        val_size = number_of_images(self.val_size, len(train), key="val_size")
        self.train_indices, self.val_indices = stratified_split(train.labels, val_size=val_size, seed=self.seed)
        self.train = train
        if self.batch_size > len(self.train_indices):
            logger.warning(
                "data.batch_size=%s is more than the %s training images: an epoch is a single step",
                self.batch_size,
                len(self.train_indices),
            )

    @property
    def fingerprint(self) -> str:
        """Identifies the training and the test set, whatever they were read from. See `digits.fingerprint`."""
        assert self.train is not None, "setup() comes first"
        assert self.test is not None
        return fingerprint(self.train, self.test)

    @property
    def batches_in_epoch(self) -> int:
        """Batches of a training epoch, with the trainer's `limit_train_batches`."""
        world_size, limit = (self.trainer.world_size, self.trainer.limit_train_batches) if self.trainer else (1, None)
        return number_of_batches(len(self.train_indices), self.batch_size * world_size, limit=limit)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches of `batch_size`, or blocks of as many as the trainer's module asks for by `batches_in_block`."""
        assert self.train is not None, "setup() comes first"
        self.train = self._placed(self.train)
        module: Any = self.trainer.lightning_module if self.trainer else None
        in_block = module.batches_in_block(self.batch_size) if hasattr(module, "batches_in_block") else 1
        batches = self.batches_in_epoch
        if self.trainer and batches and isinstance(self.trainer.limit_train_batches, float):
            self.trainer.limit_train_batches = batches  # Lightning would take the share of the blocks
        return self._loader(
            self.train,
            self.train_indices,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            batches=batches,
            in_block=in_block,
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[None]:
        assert self.train is not None, "setup() comes first"
        if not len(self.val_indices):
            return []  # Lightning then skips validation
        self.train = self._placed(self.train)
        return self._loader(self.train, self.val_indices, batch_size=self.eval_batch_size)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        assert self.test is not None, "setup() comes first"
        self.test = self._placed(self.test)
        return self._loader(self.test, torch.arange(len(self.test)), batch_size=self.eval_batch_size)

    def _loader(
        self, digits: Digits, indices: Tensor, *, batch_size: int, shuffle: bool = False, **blocks: int
    ) -> DataLoader[tuple[Tensor, Tensor]]:
        sampler = EpochSampler(
            indices.to(digits.labels.device),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            **blocks,
        )
        # The sampler yields whole batches; batch_size=None turns off the loader's own batching and collation.
        # The loader draws a number at the start of an epoch. From torch's global generator it would shift the numbers
        # of augmentation and dropout, and in a resumed epoch at another place than in an uninterrupted one.
        return DataLoader(digits, sampler=sampler, batch_size=None, generator=torch.Generator())

    def _placed(self, digits: Digits) -> Digits:
        """The digits on the trainer's accelerator if `placement` wants them there, else as they are."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if digits.images.device == device or self.placement == "host":
            return digits
        return digits.to(device) if self.placement == "device" or _fits(digits, device) else digits


def _fits(digits: Digits, device: torch.device) -> bool:
    """Whether the digits fill less than half of the device's free memory."""
    if device.type != "cuda":
        return True  # other devices share the host's memory
    free, _ = torch.cuda.mem_get_info(device)
    return digits.images.nbytes + digits.labels.nbytes < free / 2


def hold_out_test(digits: Digits, test_size: float) -> tuple[Digits, Digits]:
    """A training set and a test set, which share no image. The split is the same for every seed of a run."""
    number = number_of_images(test_size, len(digits), key="test_size")
    logger.info("there is no test set: %s of the %s images are held out for it", f"{number:,}", f"{len(digits):,}")
    train, test = (Digits(*digits[indices]) for indices in stratified_split(digits.labels, val_size=number, seed=0))
    return train, test


def number_of_images(size: float | str, total: int, *, key: str) -> int:
    """How many of `total` images a setting means: a number, a share of them, or "auto".

    Raises ValueError, which names data.<key>, if that leaves nothing to train on.
    """
    if size == "auto":
        number = min(MOST_VAL, total // VAL_SHARE)
        if number < MOST_VAL:
            logger.info("data.%s=auto: %s of the %s training images are for validation", key, number, total)
        return number
    number = max(1, round(float(size) * total)) if 0 < float(size) < 1 else int(size)
    if number >= total:
        raise ValueError(
            f"data.{key} must be from 0 to {total - 1} for {total} training images, not {size}: set a share, such as "
            f"data.{key}=0.1"
        )
    return number


def stratified_split(labels: Tensor, *, val_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation images, int64, in ascending order.

    Validation gets `val_size` images, and every label its share of them, to within one. For this the indices are
    shuffled, then sorted by label, and `val_size` of them taken at equal distances (systematic sampling). Rounding the
    share of each label by itself would not always give `val_size` in total.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_label = shuffled[labels[shuffled].argsort(stable=True)]
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    # The middles of `val_size` equal parts of the range: (k + 1/2) * N / val_size, in whole numbers.
    positions = (torch.arange(val_size) * 2 + 1) * len(labels) // (2 * max(val_size, 1))
    held_out[by_label[positions]] = True
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()

"""`Digits`: images and labels in memory. Every data source gives its digits to a model in this form."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Refused(NamedTuple):
    """A picture that could not be read."""

    file: str
    label: int
    reason: str


@dataclass(frozen=True, eq=False)
class Digits(Dataset[tuple[Tensor, Tensor]]):
    """Handwritten digits, white on black.

    images: uint8 (N, 28, 28), 0 for the background to 255 for full ink.
    labels: int64 (N,), 0 to 9.
    refused: pictures of the same set that are not among the images. An evaluation counts them as wrong.

    Raises ValueError for other shapes, dtypes or labels.
    """

    images: Tensor
    labels: Tensor
    refused: tuple[Refused, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.shape[1:] != (28, 28):
            raise ValueError(f"images must be uint8 [N, 28, 28], not {self.images.dtype} {list(self.images.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 [{len(self.images)}], not {self.labels.dtype} {list(self.labels.shape)}"
            )
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() <= 9):
            raise ValueError("labels must be from 0 to 9")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """A whole batch: the images (B, 28, 28) and labels (B,) at `indices`, int64 (B,)."""
        # index_select copies image by image; self.images[indices] copies pixel by pixel and is four times slower.
        return self.images.index_select(0, indices), self.labels.index_select(0, indices)

    def to(self, device: torch.device) -> "Digits":
        return Digits(self.images.to(device), self.labels.to(device), self.refused)


def fingerprint(*parts: Digits) -> str:
    """SHA-256 of each part's pixels and labels (little-endian). It is equal for equal digits in equal order."""
    digest = hashlib.sha256()
    for digits in parts:
        digest.update(digits.images.cpu().contiguous().numpy().data)
        digest.update(digits.labels.cpu().contiguous().numpy().astype("<i8").data)
    return f"sha256:{digest.hexdigest()}"

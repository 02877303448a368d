"""predictions.npz: what the tested weights answer to every test image."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mnist_exp.files import write_npz


class Predictions(Callback):
    """Writes predictions.npz after the test: labels int64 (N,), preds int64 (N,), probs float32 (N, 10).

    Expects `test_step` to return logits (B, 10).

    tested: how many images were tested, by all processes together.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tested = 0

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._logits: list[Tensor] = []

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        self._logits.append(outputs)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        logits = gather_in_order(torch.cat(self._logits).float().cpu(), trainer.world_size)
        self.tested = len(logits)
        if trainer.is_global_zero:
            labels = trainer.datamodule.test.labels[: len(logits)]  # type: ignore[attr-defined]  # all, unless limited
            write_npz(
                self.path,
                labels=labels.cpu().numpy(),
                preds=logits.argmax(dim=1).numpy(),
                probs=logits.softmax(dim=1).numpy(),
            )


def gather_in_order(own: Tensor, world_size: int) -> Tensor:
    """The rows of all processes in the data's order: `EpochSampler` gives process r the rows r, r + world_size, ..."""
    if world_size == 1:
        return own
    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, own)
    rows = own.new_empty((sum(map(len, parts)), *own.shape[1:]))
    for rank, part in enumerate(parts):
        rows[rank::world_size] = part
    return rows

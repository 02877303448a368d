from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mnist_exp.training.predictions import Predictions, gather_in_order


def test_predictions_are_the_softmax_of_all_batches_beside_the_labels(tmp_path: Path):
    logits = torch.arange(70, dtype=torch.float64).reshape(7, 10).sin()
    labels = torch.arange(9)  # two images more than were tested: limit_test_batches
    datamodule = SimpleNamespace(test=SimpleNamespace(labels=labels))
    trainer = SimpleNamespace(world_size=1, is_global_zero=True, datamodule=datamodule)
    callback = Predictions(tmp_path / "predictions.npz")
    for _ in range(2):  # a second test starts anew
        callback.on_test_start(trainer, None)
        for batch in logits.split(3):
            callback.on_test_batch_end(trainer, None, batch, None, 0)
        callback.on_test_end(trainer, None)
    assert callback.tested == 7
    with np.load(tmp_path / "predictions.npz") as written:
        assert set(written) == {"labels", "preds", "probs"}
        assert np.array_equal(written["labels"], np.arange(7))
        assert np.array_equal(written["preds"], logits.numpy().argmax(axis=1))
        powers = np.exp(logits.numpy())
        assert np.allclose(written["probs"], powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
        assert written["probs"].dtype == np.float32


def test_only_the_first_process_writes(tmp_path: Path):
    callback = Predictions(tmp_path / "predictions.npz")
    trainer = SimpleNamespace(world_size=1, is_global_zero=False)
    callback.on_test_start(trainer, None)
    callback.on_test_batch_end(trainer, None, torch.zeros(1, 10), None, 0)
    callback.on_test_end(trainer, None)
    assert not list(tmp_path.iterdir())


def test_the_rows_of_three_processes_come_back_in_the_order_of_the_data(monkeypatch: pytest.MonkeyPatch):
    rows = torch.arange(14.0).reshape(7, 2)
    parts = [rows[rank::3] for rank in range(3)]

    def all_gather_object(into: list, own: torch.Tensor) -> None:
        assert own is parts[1]
        into[:] = parts

    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    assert torch.equal(gather_in_order(parts[1], 3), rows)


def test_the_rows_of_one_process_stay_as_they_are():
    rows = torch.ones(2, 2)
    assert gather_in_order(rows, 1) is rows

"""A checkpoint on disk is always a whole one, whatever happens while the next is written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from mnist_exp.models.checkpoint_file import CheckpointError
from mnist_exp.train import train
from mnist_exp.training.checkpoint_io import AtomicCheckpointIO


class BreaksWhileSaved:
    def __reduce__(self) -> tuple[object, ...]:
        raise OSError("no space left on device")


def test_the_earlier_checkpoint_survives_a_failed_save(tmp_path: Path):
    io, path = AtomicCheckpointIO(), tmp_path / "best.ckpt"
    io.save_checkpoint({"epoch": 1, "weights": torch.ones(1000)}, path)
    with pytest.raises(OSError, match="no space left"):
        io.save_checkpoint({"epoch": 2, "weights": torch.ones(1000), "broken": BreaksWhileSaved()}, path)
    assert io.load_checkpoint(path)["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_the_same_checkpoint_is_the_same_bytes(tmp_path: Path):
    for name in ("a.ckpt", "b.ckpt"):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.arange(10)}, tmp_path / name)
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()


class RunsACommand:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def test_loading_runs_no_code_from_the_file(tmp_path: Path):
    path, marker = tmp_path / "last.ckpt", tmp_path / "ran"
    torch.save({"state_dict": RunsACommand(marker)}, path)
    with pytest.raises(CheckpointError, match=r"last\.ckpt .* asks for 'posix\.mkdir'"):
        AtomicCheckpointIO().load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.usefixtures("small_mnist")
def test_a_run_writes_and_resumes_its_checkpoints_through_it(
    composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    read: list[str] = []
    load = AtomicCheckpointIO.load_checkpoint

    def load_and_note(self: AtomicCheckpointIO, path: str, **kwargs: Any) -> dict[str, Any]:
        read.append(str(path))
        return load(self, path, **kwargs)

    monkeypatch.setattr(AtomicCheckpointIO, "load_checkpoint", load_and_note)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))  # nothing goes through the temporary folder
    train(composed("model=mlp", "model.net.hidden=8", "logger=none", "trainer.max_epochs=1"))
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert last.is_file()
    train(composed("model=mlp", "model.net.hidden=8", "logger=none", f"ckpt_path={last}", folder="again"))
    assert read == [str(last)]

"""How Lightning's checkpoints get to the disk and back."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from mnist_exp.files import write_bytes
from mnist_exp.models.checkpoint_file import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints are written whole or not at all, and reading one never runs code from it.

    Lightning writes to the system's temporary folder and moves the file. Where that folder is another file system, the
    move is a copy over the earlier checkpoint, so a kill or a full disk would lose both.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        assert storage_options is None, "storage options are for remote file systems"
        content = BytesIO()  # on a full disk torch's own writer would hide the cause
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Read tensors, on the CPU, and plain values, whatever the other arguments say. Raises CheckpointError."""
        del map_location, weights_only
        return read_checkpoint(Path(path))

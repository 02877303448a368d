"""Files are written whole or not at all: under a temporary name beside the target, flushed to disk, then renamed."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

PARTIAL = ".partial"  # how the temporary names end
ABANDONED_AFTER = 3600.0  # seconds without a write, after which a temporary file is taken for a killed process's


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` when the block ends, or is removed when the block fails.

    The folder is made if it is missing. Until the rename, an earlier file at `path` stays as it is. Temporary files
    that killed processes left for the same target are removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:48]}."  # a part of a path holds at most 255 bytes
    _remove_abandoned(path.parent, prefix)
    partial = path.with_name(f"{prefix}{uuid4().hex}{PARTIAL}")
    try:
        yield partial
        _flush_to_disk(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, with the line ends as they are in `text`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON. Raises ValueError for NaN and infinity, which JSON lacks, and TypeError for objects."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays, uncompressed."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _flush_to_disk(path: Path) -> None:
    """Without this a power cut after the rename could leave an empty file in place of the earlier one."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove_abandoned(folder: Path, prefix: str) -> None:
    for file in folder.iterdir():
        if file.name.startswith(prefix) and file.name.endswith(PARTIAL):
            with suppress(OSError):  # another process was faster
                if time.time() - file.stat().st_mtime > ABANDONED_AFTER:
                    file.unlink()

"""Files are written whole or not at all: under a temporary name beside the target, flushed to disk, then renamed."""

import errno
import json
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial"  # how the temporary names end
ABANDONED_AFTER = 3600.0  # seconds without a write, after which a file that cannot be locked is taken for abandoned

NO_ROOM = "free some space there, then run the same command again"
NOT_ALLOWED = "correct its permissions, or choose another place"
REMEDIES = {
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: NO_ROOM,
    errno.EFBIG: "choose a place that takes larger files",
    errno.EROFS: NOT_ALLOWED,
    errno.EACCES: NOT_ALLOWED,
    errno.EPERM: NOT_ALLOWED,
    errno.ENOTDIR: "move away the file that is in place of the folder",
    errno.EISDIR: "move away the folder that is in place of the file",
    errno.ENAMETOOLONG: "choose a shorter name",
}


logger = logging.getLogger(__name__)


class WriteError(OSError):
    """A file that cannot be written. The message names it, says why and what to do."""


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes to `path`, into a WriteError."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(explain_write_error(error, path)) from error


def as_write_error(error: OSError, path: Path | str) -> OSError:
    """A WriteError if the reason is a full or read-only disk, which only writing meets; otherwise the error itself.

    path: what is named if the error does not name a file.
    """
    if isinstance(error, WriteError) or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return error
    return WriteError(explain_write_error(error, error.filename or path))


def explain_write_error(error: OSError, path: Path | str) -> str:
    remedy = REMEDIES.get(error.errno or 0, "check the path and the disk")
    return f"cannot write {path}: {error.strerror or error}; {remedy}"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path` when the block ends, or is removed when the block fails.

    The folder is made if it is missing. Until the rename, an earlier file at `path` stays as it is. Temporary files
    that killed processes left for the same target are removed.

    Raises WriteError for an OSError, one of the block included.
    """
    prefix = f".{path.name[:48]}."  # a part of a path holds at most 255 bytes
    partial = path.with_name(f"{prefix}{uuid4().hex}{PARTIAL}")
    with write_errors(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise WriteError(f"{path} is a device, pipe or socket, which a file would replace; choose another path")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent, prefix)
        try:
            with _marked_as_in_use(partial):
                yield partial
                _flush_to_disk(partial)
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def default_data_dir() -> str:
    """Where MNIST is stored when nobody says otherwise.

    An empty MNIST_EXP_DATA is as good as none: data do not belong into the working directory itself.
    """
    return os.environ.get("MNIST_EXP_DATA") or "data"


def make_data_dir(data_dir: Path) -> None:
    """Make the folder for data, and say where it is: the default is below the folder in which a command is started."""
    if not data_dir.exists():
        logger.info("the data go to a new folder, %s", data_dir.absolute())
    data_dir.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, with the line ends as they are in `text`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
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


@contextmanager
def _marked_as_in_use(partial: Path) -> Iterator[None]:
    """Hold a lock on the temporary file, which the system releases when the process ends, however it ends."""
    if fcntl is None:
        yield
        return
    with partial.open("xb") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _remove_abandoned(folder: Path, prefix: str) -> None:
    for file in folder.iterdir():
        if file.name.startswith(prefix) and file.name.endswith(PARTIAL):
            with suppress(OSError):  # another process was faster
                if _is_abandoned(file):
                    file.unlink()


def _is_abandoned(file: Path) -> bool:
    """Whether nobody writes to a temporary file any more: it is not locked, or old where there are no locks."""
    status = file.stat()
    is_old = time.time() - status.st_mtime > ABANDONED_AFTER
    if fcntl is None or not stat.S_ISREG(status.st_mode):
        return is_old
    with file.open("rb+") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return is_old
    return is_old or status.st_size > 0  # an empty file may have been made a moment ago, and not be locked yet

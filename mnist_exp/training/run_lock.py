"""One process at a time works in a run folder, and the others can tell who that is."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from mnist_exp.files import write_errors, write_json

LOCK = ".lock"  # locked by the process that works in the folder; the system unlocks it when that process ends
HOLDER = ".holder.json"  # who that is, in a file of its own: filelock empties the lock file
PATIENCE = 0.3  # seconds: `holder_of` locks the folder for a moment, too


class RunInUseError(RuntimeError):
    """Another process works in the run folder. The message says which, where, and since when."""


@contextmanager
def run_lock(run_dir: Path) -> Iterator[bool]:
    """Keep other processes out of the run folder during the block. The folder is made if it is missing.

    The block gets whether a run has locked the folder before, so that what is in it is that run's. An exception in the
    block means that no run has begun.

    Raises RunInUseError if another process is in it, and WriteError if it cannot be written to.
    """
    used_before, has_begun = (run_dir / LOCK).is_file(), True
    lock = FileLock(run_dir / LOCK, timeout=PATIENCE)
    with write_errors(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(poll_interval=PATIENCE / 10)
        except Timeout as error:
            raise RunInUseError(
                f"{run_dir} is in use by {read_holder(run_dir)}: wait until it ends, or choose another run_dir=..."
            ) from error
    try:
        started = datetime.now().astimezone().isoformat(" ", "seconds")
        write_json(run_dir / HOLDER, {"process": os.getpid(), "machine": socket.gethostname(), "since": started})
        yield used_before
    except Exception:  # refused: nothing of a run is in the folder. A run that has begun ends with SystemExit
        has_begun = used_before
        raise
    finally:
        (run_dir / HOLDER).unlink(missing_ok=True)
        lock.release()
        if not has_begun:
            (run_dir / LOCK).unlink(missing_ok=True)


def holder_of(run_dir: Path) -> str | None:
    """Who works in the run folder now, as "process 123 on host since ...". None if nobody does."""
    if not (run_dir / LOCK).is_file():
        return None
    try:
        with FileLock(run_dir / LOCK, timeout=0):
            return None
    except Timeout:
        return read_holder(run_dir)
    except OSError:  # somebody else's folder: it cannot be locked
        return None


def read_holder(run_dir: Path) -> str:
    try:
        holder = json.loads((run_dir / HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['process']} on {holder['machine']} since {holder['since']}"
    except (OSError, ValueError, TypeError, LookupError):  # it has just started, or just ended
        return "another process"

"""Measurements that need a new process, because memory and start-up cannot be seen in one that did other work.

    python -m scripts.bench.fresh_process read ours data/mnist_train.csv    # prints {"seconds": ..., "mb": ...}

`mb` is the peak memory over what the process held at the start. Each reader is a function that does its imports and
returns the function to measure, so imports do not count.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytorch_lightning import Callback

FIRST_STEP = 77  # the exit status of a training that got as far as its first step


def exit_at_first_step() -> "Callback":
    """Ends the process after the first batch of training."""
    from pytorch_lightning.callbacks import LambdaCallback

    return LambdaCallback(on_train_batch_end=lambda *_: os._exit(FIRST_STEP))


# ---- memory ----


def megabytes(key: str) -> float:
    """Memory of this process in MB. key: `VmRSS` for what it holds now, `VmHWM` for the most that it held.

    Outside Linux both are the peak, from getrusage. On Linux that peak would include the parent process.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields[key].split()[0]) * 1024 / 1e6


def measure_call(run: Callable[[], Any]) -> dict[str, float]:
    """Seconds of one call, and its peak memory in MB over the start."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak, so that imports do not count
    start = megabytes("VmRSS")
    started = time.perf_counter()
    kept = run()
    seconds = time.perf_counter() - started
    found = {"seconds": seconds, "mb": megabytes("VmHWM") - start}
    del kept  # only now, so that the result counts as memory in use
    return found


# ---- readers of a CSV of digits ----


def ours(path: Path) -> Callable[[], Any]:
    """Parses the file and writes the cache. If there is a cache already, maps it into memory."""
    import filelock  # noqa: F401, read_csv would import it while it is measured

    from mnist_exp.data.csv_file import read_csv

    return lambda: read_csv(path, data_dir=path.parent)


def ours_summed(path: Path) -> Callable[[], Any]:
    """Also sums all pixels, because a memory-mapped file is read only when it is used."""
    from mnist_exp.data.csv_file import read_csv

    return lambda: [array.sum() for array in read_csv(path, data_dir=path.parent) if array is not None]


def numpy_summed(path: Path) -> Callable[[], Any]:
    """Reads and sums the arrays of the cache of `path` with numpy.load."""
    import numpy as np

    arrays = sorted(path.with_name(f"{path.name}.cache").glob("*/*.npy"))
    return lambda: [np.load(array).sum() for array in arrays]


def pyarrow_table(path: Path) -> Callable[[], Any]:
    """Only parses, to a table of 785 uint8 columns."""
    import pyarrow
    from pyarrow import csv

    def read() -> Any:
        with path.open() as file:
            names = file.readline().strip().split(",")
        types = dict.fromkeys(names, pyarrow.uint8())
        return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))

    return read


def pyarrow_array(path: Path) -> Callable[[], Any]:
    """Parses to an array uint8 [N, 785], the form that training needs."""
    import numpy as np

    table = pyarrow_table(path)
    return lambda: np.stack([column.to_numpy() for column in table().columns], axis=1)


def polars_array(path: Path) -> Callable[[], Any]:
    """Parses to an array uint8 [N, 785], the form that training needs."""
    import polars

    return lambda: polars.read_csv(path, schema_overrides=[polars.UInt8] * 785).to_numpy(order="c")


READERS = {
    reader.__name__: reader for reader in (ours, ours_summed, numpy_summed, pyarrow_table, pyarrow_array, polars_array)
}


def read(reader: str, path: str) -> dict[str, float]:
    return measure_call(READERS[reader](Path(path)))


# ---- a training ----


def epoch(train_csv: str, test_csv: str, threads: str) -> dict[str, float]:
    """One epoch of a small model on cached files. `seconds` is the training, `mb` the peak of the whole run."""
    import pytorch_lightning  # noqa: F401
    import torch  # noqa: F401

    from scripts.bench.measure import train_once

    result: dict[str, Any] = {}
    folder = str(Path(train_csv).parent)  # where their cache is
    overrides = ["data=csv", f"data.train_csv='{train_csv}'", f"data.test_csv='{test_csv}'", "data.val_size=0"]
    overrides += ["model=mlp", "data.batch_size=512", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    peak = measure_call(lambda: result.update(train_once(*overrides, data_dir=folder, threads=int(threads) or None)))
    return {"seconds": result["history"][0]["seconds"], "mb": peak["mb"]}


if __name__ == "__main__":
    print(json.dumps({"read": read, "epoch": epoch}[sys.argv[1]](*sys.argv[2:])))

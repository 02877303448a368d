"""What `bench.py` measures in a process of its own, since memory and start-up show only in one that did nothing else.

    python -m scripts.bench.fresh_process read ours data/mnist_train.csv    # prints JSON: seconds, MB over the start

The measuring begins after the imports. Each reader is given as a function that imports what it needs and returns the
one to be measured.
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
    """Of this process: VmRSS is what it holds now, VmHWM the most that it held.

    Not getrusage where it can be helped: on Linux its peak starts with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields[key].split()[0]) * 1024 / 1e6


def measured(run: Callable[[], Any]) -> dict[str, float]:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of the imports does not count
    start = megabytes("VmRSS")
    started = time.perf_counter()
    kept = run()
    seconds = time.perf_counter() - started
    found = {"seconds": seconds, "mb": megabytes("VmHWM") - start}
    del kept  # not before: what is read takes its place in memory
    return found


# ---- readers of a CSV of digits ----


def ours(path: Path) -> Callable[[], Any]:
    """The first time parsed, and the cache written; from then on memory-mapped."""
    import filelock  # noqa: F401, read_csv imports it when it parses

    from mnist_exp.data.csv_file import read_csv

    return lambda: read_csv(path)


def ours_summed(path: Path) -> Callable[[], Any]:
    """What is memory-mapped is read when it is touched: the sum touches it all."""
    from mnist_exp.data.csv_file import read_csv

    return lambda: [array.sum() for array in read_csv(path) if array is not None]


def numpy_summed(path: Path) -> Callable[[], Any]:
    """The arrays that the cache of `path` holds, read as numpy does it."""
    import numpy as np

    arrays = sorted(path.with_name(f"{path.name}.cache").glob("*/*.npy"))
    return lambda: [np.load(array).sum() for array in arrays]


def pyarrow_table(path: Path) -> Callable[[], Any]:
    """The parse alone, to a table of 785 columns uint8."""
    import pyarrow
    from pyarrow import csv

    def read() -> Any:
        with path.open() as file:
            names = file.readline().strip().split(",")
        types = dict.fromkeys(names, pyarrow.uint8())
        return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types))

    return read


def pyarrow_array(path: Path) -> Callable[[], Any]:
    """uint8 [N, 785], as a network wants it."""
    import numpy as np

    table = pyarrow_table(path)
    return lambda: np.stack([column.to_numpy() for column in table().columns], axis=1)


def polars_array(path: Path) -> Callable[[], Any]:
    """uint8 [N, 785], as a network wants it."""
    import polars

    return lambda: polars.read_csv(path, schema_overrides=[polars.UInt8] * 785).to_numpy(order="c")


READERS = {
    reader.__name__: reader for reader in (ours, ours_summed, numpy_summed, pyarrow_table, pyarrow_array, polars_array)
}


def read(reader: str, path: str) -> dict[str, float]:
    return measured(READERS[reader](Path(path)))


# ---- a training ----


def epoch(train_csv: str, test_csv: str, threads: str) -> dict[str, float]:
    """An epoch of a cheap model on files whose cache is filled; seconds of its training, peak of the whole run."""
    import pytorch_lightning  # noqa: F401
    import torch  # noqa: F401

    from scripts.bench.measure import trained

    result: dict[str, Any] = {}
    overrides = ["data=csv", f"data.train_csv='{train_csv}'", f"data.test_csv='{test_csv}'", "data.val_size=0"]
    overrides += ["model=mlp", "data.batch_size=512", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    peak = measured(lambda: result.update(trained(*overrides, data_dir="", threads=int(threads) or None)))
    return {"seconds": result["history"][0]["seconds"], "mb": peak["mb"]}


if __name__ == "__main__":
    print(json.dumps({"read": read, "epoch": epoch}[sys.argv[1]](*sys.argv[2:])))

"""The sections that start new processes: reading a CSV, start-up, sweeps, large files.

Each section takes the settings of conf/bench.yaml and yields rows. A ratio is ours divided by theirs.

python -m scripts.bench bench.only=[csv,start,sweep,scale]
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scripts.bench.fresh_process import FIRST_STEP
from scripts.bench.measure import (
    OURS,
    Row,
    column,
    command_seconds,
    interleave,
    log,
    measure_in_fresh_process,
    ratio,
    row,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

Measured = dict[str, float]  # seconds, mb


def csv(cfg: "DictConfig") -> Iterator[Row]:
    """Reading MNIST's 60,000 rows (110 MB): for the first time, and again from the cache."""
    with TemporaryDirectory() as folder:
        path = link_copy(training_csv(cfg), Path(folder))
        yield from cold(cfg, path)
        yield from warm(cfg, path)


def training_csv(cfg: "DictConfig") -> Path:
    """The path of MNIST's training CSV, which is written if it does not exist."""
    from mnist_exp.data.csv_datamodule import CSVDataModule

    datamodule = CSVDataModule(name="csv", data_dir=cfg.data_dir)
    datamodule.prepare_data()
    return datamodule.train_csv


def link_copy(path: Path, folder: Path) -> Path:
    """The same file in another folder, where it has no cache."""
    there = folder / path.name
    try:
        os.link(path, there)
    except OSError:  # the folder is on another disk
        shutil.copyfile(path, there)
    return there


def read(cfg: "DictConfig", reader: str, path: Path, _round: int) -> Measured:
    return measure_in_fresh_process("read", reader, str(path), threads=cfg.threads)


def read_cold(cfg: "DictConfig", reader: str, path: Path, _round: int) -> Measured:
    shutil.rmtree(path.with_name(f"{path.name}.cache"), ignore_errors=True)
    return read(cfg, reader, path, _round)


def cold(cfg: "DictConfig", path: Path) -> Iterator[Row]:
    log("csv: cold")
    others = {  # contender: (its package, its reader, target for the ratio)
        "pyarrow, the parse": ("pyarrow", "pyarrow_table", 1.5),
        "pyarrow, to an array": ("pyarrow", "pyarrow_array", None),
        "polars, to an array": ("polars", "polars_array", None),
    }
    readers = {OURS: "ours"} | {name: reader for name, (module, reader, _) in others.items() if find_spec(module)}
    contenders = {name: partial(read_cold, cfg, reader, path) for name, reader in readers.items()}
    results = interleave(contenders, cfg.bench.repeats)
    ours = results[OURS]
    yield row("csv", "cold read", OURS, column(ours), note="with writing the cache")
    yield row("csv", "cold read: peak over the start", OURS, column(ours, "mb"), unit="MB", target=150)
    for name, (module, _, target) in others.items():
        if name not in results:
            yield row("csv", "cold read", name, [], note=f"skipped: {module} is not installed (`make bench` does it)")
            continue
        theirs = results[name]
        yield row("csv", "cold read", name, column(theirs), ratio=ratio(column(ours), column(theirs)), target=target)
        share = ratio(column(ours, "mb"), column(theirs, "mb"))
        yield row("csv", "cold read: peak over the start", name, column(theirs, "mb"), unit="MB", ratio=share)


def warm(cfg: "DictConfig", path: Path) -> Iterator[Row]:
    log("csv: warm")
    read(cfg, "ours", path, 0)  # fills the cache
    readers = {OURS: "ours_summed", "numpy.load": "numpy_summed"}
    contenders = {name: partial(read, cfg, reader, path) for name, reader in readers.items()}
    ours, theirs = interleave(contenders, cfg.bench.repeats).values()
    what = "warm read and sum"
    yield row("csv", what, OURS, column(ours), target=0.1, note="the sum touches every pixel of the memory map")
    yield row("csv", what, "numpy.load", column(theirs), ratio=ratio(column(ours), column(theirs)))


def start(cfg: "DictConfig") -> Iterator[Row]:
    """Whole commands: only the imports, training up to its first step, and --help."""
    log("start")
    training_csv(cfg)
    stop = "+callbacks.stop._target_=scripts.bench.fresh_process.exit_at_first_step"
    with TemporaryDirectory() as folder:
        run = ("-m", "mnist_exp.train", "model=mlp", f"data_dir='{cfg.data_dir}'", f"hydra.run.dir={folder}", stop)
        run += (f"threads={cfg.threads or 'null'}",)
        commands = {
            "imports": (("-c", "import torch, pytorch_lightning"), 0),
            "first step": ((*run, "logger=none"), FIRST_STEP),
            "with TensorBoard": (run, FIRST_STEP),
            "--help": (("-m", "mnist_exp.train", "--help"), 0),
        }
        contenders = {name: partial(timed, cfg, arguments, status) for name, (arguments, status) in commands.items()}
        seconds = interleave(contenders, cfg.bench.repeats)
    imports, first = seconds["imports"], seconds["first step"]
    yield row("start", "up to the first step", OURS, first, note="model=mlp logger=none")
    yield row("start", "up to the first step", "ours, with TensorBoard", seconds["with TensorBoard"])
    note = "import torch, pytorch_lightning, and nothing else"
    yield row("start", "imports alone", "the imports", imports, ratio=ratio(first, imports), target=1.2, note=note)
    yield row("start", "--help", OURS, seconds["--help"], target=1.0)


def timed(cfg: "DictConfig", arguments: Sequence[str], status: int, _round: int) -> float:
    return command_seconds(*arguments, threads=cfg.threads, status=status)


def sweep(cfg: "DictConfig") -> Iterator[Row]:
    """Many short trainings: as one sweep, whose jobs share a process, and as separate commands."""
    log(f"sweep: {cfg.bench.jobs} jobs")
    short = ("model=mlp", "trainer.max_epochs=1", "trainer.limit_train_batches=20", "trainer.limit_val_batches=1")
    short += ("logger=none", f"data_dir='{cfg.data_dir}'", f"threads={cfg.threads or 'null'}")

    def together(_round: int) -> float:
        with TemporaryDirectory() as folder:
            jobs = (f"seed=range(0,{cfg.bench.jobs})", f"hydra.sweep.dir={folder}")
            return command_seconds("-m", "mnist_exp.train", "-m", *short, *jobs, threads=cfg.threads)

    def apart(_round: int) -> float:
        with TemporaryDirectory() as folder:
            jobs = ((f"seed={seed}", f"hydra.run.dir={folder}/{seed}") for seed in range(cfg.bench.jobs))
            return sum(command_seconds("-m", "mnist_exp.train", *short, *job, threads=cfg.threads) for job in jobs)

    many = f"{cfg.bench.jobs} commands"
    ours, theirs = interleave({OURS: together, many: apart}, cfg.bench.repeats_slow, warm_up=False).values()
    what = f"{cfg.bench.jobs} trainings of 20 batches"
    yield row("sweep", what, OURS, ours, note="one sweep")
    yield row("sweep", what, many, theirs, ratio=ratio(ours, theirs), target=0.19)


def scale(cfg: "DictConfig") -> Iterator[Row]:
    """Files with many times MNIST's rows: time should grow with the rows, and memory for reading not at all."""
    small = training_csv(cfg)
    Path(cfg.output_dir).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cfg.output_dir) as folder:
        log(f"scale: writing {', '.join(f'{times}x' for times in cfg.bench.scales)}")
        files = {times: repeat_rows(small, times, Path(folder)) for times in cfg.bench.scales}
        contenders = {f"{times}x": partial(read_cold, cfg, "ours", path) for times, path in files.items()}
        prepared = interleave(contenders, cfg.bench.repeats_slow, warm_up=False)
        test = link_copy(small.with_name("mnist_test.csv"), Path(folder))
        threads = str(cfg.threads or 0)
        contenders = {
            f"{times}x": partial(epoch, cfg, (str(path), str(test), threads)) for times, path in files.items()
        }
        trained_on = interleave(contenders, 1, warm_up=False)
    yield from growth_rows("preparing", prepared, cfg.bench.scales, note="the memory-mapped pixels are not read yet")
    note = "the whole run, with the memory-mapped pixels that it read: 792 bytes a digit"
    yield from growth_rows("an epoch, mlp 512", trained_on, cfg.bench.scales, note=note, flat=False)


def repeat_rows(path: Path, times: int, folder: Path) -> Path:
    """A copy of the file in `folder`, with its header once and its rows `times` times."""
    there = folder / f"{times}x.csv"
    header, body = path.read_bytes().split(b"\n", 1)
    with there.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(body)
    return there


def epoch(cfg: "DictConfig", arguments: Sequence[str], _round: int) -> Measured:
    return measure_in_fresh_process("epoch", *arguments, threads=cfg.threads)


def growth_rows(
    what: str, results: Mapping[str, Sequence[Measured]], scales: Sequence[int], *, note: str, flat: bool = True
) -> Iterator[Row]:
    """Rows with targets: time may grow 1.25 times as fast as the file, flat memory by a fifth and 20 MB.

    flat: memory should not grow with the file.
    """
    base, *_ = results.values()
    limit = 1.2 * median(column(base, "mb")) + 20 if flat else None
    for times, (name, found) in zip(scales, results.items(), strict=True):
        larger = found is not base
        share = ratio(column(found), column(base)) if larger else None
        target = 1.25 * times / scales[0] if larger else None
        yield row("scale", what, name, column(found), ratio=share, target=target, note=f"over {scales[0]}x" * larger)
        peak = f"{what}: peak over the start"
        yield row("scale", peak, name, column(found, "mb"), unit="MB", target=limit if larger else None, note=note)

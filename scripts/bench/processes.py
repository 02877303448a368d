"""Sections of `bench.py` that measure processes of their own: settings in, rows out. Ratios are ours over theirs.

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
from scripts.bench.measure import OURS, Row, column, command_seconds, fresh, interleave, ratio, row, say

if TYPE_CHECKING:
    from omegaconf import DictConfig

Measured = dict[str, float]  # seconds, mb


def csv(cfg: "DictConfig") -> Iterator[Row]:
    """MNIST's 60,000 rows, 110 MB: parsed for the first time, and read again from the cache."""
    with TemporaryDirectory() as folder:
        path = borrowed(training_csv(cfg), Path(folder))
        yield from cold(cfg, path)
        yield from warm(cfg, path)


def training_csv(cfg: "DictConfig") -> Path:
    """MNIST's, written where it is not there yet."""
    from mnist_exp.data.csv_datamodule import CSVDataModule

    datamodule = CSVDataModule(name="csv", data_dir=cfg.data_dir)
    datamodule.prepare_data()
    return datamodule.train_csv


def borrowed(path: Path, folder: Path) -> Path:
    """The same file in another folder, where it has no cache yet."""
    there = folder / path.name
    try:
        os.link(path, there)
    except OSError:  # another disk
        shutil.copyfile(path, there)
    return there


def read(cfg: "DictConfig", reader: str, path: Path, _round: int) -> Measured:
    return fresh("read", reader, str(path), threads=cfg.threads)


def read_cold(cfg: "DictConfig", reader: str, path: Path, _round: int) -> Measured:
    shutil.rmtree(path.with_name(f"{path.name}.cache"), ignore_errors=True)
    return read(cfg, reader, path, _round)


def cold(cfg: "DictConfig", path: Path) -> Iterator[Row]:
    say("csv: cold")
    others = {  # name: (module, reader, target)
        "pyarrow, the parse": ("pyarrow", "pyarrow_table", 1.5),
        "pyarrow, to an array": ("pyarrow", "pyarrow_array", None),
        "polars, to an array": ("polars", "polars_array", None),
    }
    readers = {OURS: "ours"} | {name: reader for name, (module, reader, _) in others.items() if find_spec(module)}
    contenders = {name: partial(read_cold, cfg, reader, path) for name, reader in readers.items()}
    results = interleave(contenders, cfg.bench.repeats)
    ours = results[OURS]
    yield row("csv", "cold read", OURS, column(ours), note="the cache is written, too")
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
    say("csv: warm")
    read(cfg, "ours", path, 0)  # fills the cache where it is not filled yet
    readers = {OURS: "ours_summed", "numpy.load": "numpy_summed"}
    contenders = {name: partial(read, cfg, reader, path) for name, reader in readers.items()}
    ours, theirs = interleave(contenders, cfg.bench.repeats).values()
    what = "warm read and sum"
    yield row("csv", what, OURS, column(ours), target=0.1, note="the sum touches every pixel of the memory map")
    yield row("csv", what, "numpy.load", column(theirs), ratio=ratio(column(ours), column(theirs)))


def start(cfg: "DictConfig") -> Iterator[Row]:
    """Whole commands: importing alone, training as far as its first step, and --help."""
    say("start")
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
    yield row("start", "as far as the first step", OURS, first, note="model=mlp logger=none")
    yield row("start", "as far as the first step", "ours, with TensorBoard", seconds["with TensorBoard"])
    note = "import torch, pytorch_lightning, and nothing else"
    yield row("start", "imports alone", "the imports", imports, ratio=ratio(first, imports), target=1.2, note=note)
    yield row("start", "--help", OURS, seconds["--help"], target=1.0)


def timed(cfg: "DictConfig", arguments: Sequence[str], status: int, _round: int) -> float:
    return command_seconds(*arguments, threads=cfg.threads, status=status)


def sweep(cfg: "DictConfig") -> Iterator[Row]:
    """Many short trainings: in one sweep, whose jobs share a process, and as so many commands."""
    say(f"sweep: {cfg.bench.jobs} jobs")
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
    yield row("sweep", what, many, theirs, ratio=ratio(ours, theirs), target=0.35)


def scale(cfg: "DictConfig") -> Iterator[Row]:
    """Files of many times MNIST's rows: do time and memory grow as they should?"""
    small = training_csv(cfg)
    Path(cfg.output_dir).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cfg.output_dir) as folder:
        say(f"scale: writing {', '.join(f'{times}x' for times in cfg.bench.scales)}")
        files = {times: repeated(small, times, Path(folder)) for times in cfg.bench.scales}
        contenders = {f"{times}x": partial(read_cold, cfg, "ours", path) for times, path in files.items()}
        prepared = interleave(contenders, cfg.bench.repeats_slow, warm_up=False)
        test = borrowed(small.with_name("mnist_test.csv"), Path(folder))
        threads = str(cfg.threads or 0)
        contenders = {
            f"{times}x": partial(epoch, cfg, (str(path), str(test), threads)) for times, path in files.items()
        }
        trained_on = interleave(contenders, 1, warm_up=False)
    yield from growth("preparing", prepared, cfg.bench.scales, note="the pages of the memory map are not touched yet")
    note = "all of the run; the touched pages of the memory map are in it, 792 bytes a digit"
    yield from growth("an epoch, mlp 512", trained_on, cfg.bench.scales, note=note, flat=False)


def repeated(path: Path, times: int, folder: Path) -> Path:
    """A copy with all its rows so many times."""
    there = folder / f"{times}x.csv"
    header, body = path.read_bytes().split(b"\n", 1)
    with there.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(body)
    return there


def epoch(cfg: "DictConfig", arguments: Sequence[str], _round: int) -> Measured:
    return fresh("epoch", *arguments, threads=cfg.threads)


def growth(
    what: str, results: Mapping[str, Sequence[Measured]], scales: Sequence[int], *, note: str, flat: bool = True
) -> Iterator[Row]:
    """Seconds within 1.25 times what the rows ask for; where memory should be flat, at most a fifth and 20 MB more."""
    base, *_ = results.values()
    limit = 1.2 * median(column(base, "mb")) + 20 if flat else None
    for times, (name, found) in zip(scales, results.items(), strict=True):
        larger = found is not base
        share = ratio(column(found), column(base)) if larger else None
        target = 1.25 * times / scales[0] if larger else None
        yield row("scale", what, name, column(found), ratio=share, target=target, note=f"over {scales[0]}x" * larger)
        peak = f"{what}: peak over the start"
        yield row("scale", peak, name, column(found, "mb"), unit="MB", target=limit if larger else None, note=note)

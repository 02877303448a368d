"""The sections that train in this process.

Each section takes the settings of conf/bench.yaml and yields rows. A ratio is ours divided by theirs.

python -m scripts.bench bench.only=[loop,stock,to_99,gpu]
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.bench.measure import OURS, Row, column, compose_run, interleave, log, ratio, row, train_once

if TYPE_CHECKING:
    from omegaconf import DictConfig

GOAL = 0.99  # test accuracy
ON_CPU = ("trainer.accelerator=cpu", "trainer.devices=1")
ON_GPU = ("trainer.accelerator=gpu", "trainer.devices=1")
ONE_EPOCH = ("data=image", "data.val_size=0", "trainer=cpu", "trainer.max_epochs=1")

Epoch = dict[str, float]  # seconds: of training so far; acc: test accuracy


# ---- one epoch: our Trainer.fit and other loops ----


def our_epoch(cfg: "DictConfig", overrides: Sequence[str], seed: int) -> Epoch:
    """Seconds of the whole `Trainer.fit`, with log and checkpoints, for one epoch."""
    result = train_once(*overrides, f"seed={seed}", data_dir=cfg.data_dir, threads=cfg.threads)
    return {"seconds": result["seconds"]["fit"], "acc": result["metrics"]["test/acc"]}


def build_network(overrides: Sequence[str], seed: int) -> tuple[Any, Any, int]:
    """A run's network with its first weights, its optimizer (a function of the parameters) and its batch size."""
    import torch
    from hydra.utils import instantiate
    from pytorch_lightning import seed_everything

    from mnist_exp.training.lightning_speedups import unset_nvml_check

    unset_nvml_check()  # as in a program without Lightning
    run = compose_run(*overrides)
    seed_everything(seed, verbose=False)
    net = instantiate(run.model.net).to(memory_format=torch.channels_last)
    return net, instantiate(run.optimizer), run.data.batch_size


def bare_epoch(cfg: "DictConfig", overrides: Sequence[str], seed: int) -> Epoch:
    from scripts.bench.contenders import bare

    net, optimizer, batch_size = build_network(overrides, seed)
    return bare(net, optimizer(net.parameters()), data_dir=Path(cfg.data_dir), batch_size=batch_size, seed=seed)


def stock_epoch(cfg: "DictConfig", overrides: Sequence[str], workers: int, seed: int) -> Epoch:
    from scripts.bench.contenders import stock

    net, optimizer, batch_size = build_network(overrides, seed)
    with TemporaryDirectory() as run_dir:
        return stock(
            net, optimizer, data_dir=Path(cfg.data_dir), batch_size=batch_size, workers=workers, run_dir=Path(run_dir)
        )


def comparison_rows(
    section: str, what: str, results: Mapping[str, Sequence[Epoch]], targets: Mapping[str, float | None]
) -> Iterator[Row]:
    """Rows with the seconds of each contender, and ours divided by them."""
    ours = results[OURS]
    yield row(section, f"{what}: an epoch", OURS, column(ours))
    for name, theirs in results.items():
        if name != OURS:
            share = ratio(column(ours), column(theirs))
            yield row(section, f"{what}: an epoch", name, column(theirs), ratio=share, target=targets.get(name))


def difference_row(what: str, ours: Sequence[Epoch], theirs: Sequence[Epoch]) -> Row:
    """How far the test accuracies of the two loops are apart. They end with the same weights, bit for bit."""
    pairs = zip(column(ours, "acc"), column(theirs, "acc"), strict=True)
    differences = [100 * abs(one - other) for one, other in pairs]
    note = f"test accuracy {median(column(ours, 'acc')):.2%}"
    return row("loop", f"{what}: accuracy", f"{OURS} - bare loop", differences, unit="points", target=0, note=note)


def loop(cfg: "DictConfig") -> Iterator[Row]:
    """An epoch of ours, compared with a bare loop over the same batches from the same weights."""
    ratios = []
    for model, batch_size in (("cnn", 64), ("mlp", 64), ("cnn", 512), ("mlp", 512)):
        what = f"{model} {batch_size}"
        log(f"loop: {what}")
        overrides = (*ONE_EPOCH, f"model={model}", f"data.batch_size={batch_size}")
        contenders = {OURS: partial(our_epoch, cfg, overrides), "bare loop": partial(bare_epoch, cfg, overrides)}
        results = interleave(contenders, cfg.bench.repeats_loop)
        yield from comparison_rows("loop", what, results, {"bare loop": 1.03})
        yield difference_row(what, results[OURS], results["bare loop"])
        ratios.append(ratio(*(column(epochs) for epochs in results.values())))
    yield row("loop", "the four ratios", "mean", [mean(ratios)], unit="", target=1.0)


def stock(cfg: "DictConfig") -> Iterator[Row]:
    """An epoch of ours, compared with the usual pipeline of Lightning and torchvision."""
    for model, workers, target in (("mlp", (0, 2), 0.40), ("cnn", (0,), None)):
        log(f"stock: {model} 64")
        overrides = (*ONE_EPOCH, f"model={model}", "data.batch_size=64")
        contenders: dict[str, Callable[[int], Epoch]] = {OURS: partial(our_epoch, cfg, overrides)}
        contenders |= {f"stock, {count} workers": partial(stock_epoch, cfg, overrides, count) for count in workers}
        results = interleave(contenders, cfg.bench.repeats_slow, warm_up=False)
        yield from comparison_rows("stock", f"{model} 64", results, {"stock, 0 workers": target})


# ---- seconds to 99.0% ----

TO_99 = "training to 99.0%"


class Reached(NamedTuple):
    """The first epoch at which the mean test accuracy over the seeds is 99.0%, or the last epoch if it never is."""

    epoch: int
    seconds: list[float]
    accuracies: list[float]

    @property
    def goal(self) -> bool:
        return mean(self.accuracies) >= GOAL

    @classmethod
    def by(cls, runs: Sequence[Sequence[Epoch]]) -> "Reached":
        """runs: the epochs of each seed."""
        epochs = list(zip(*runs, strict=True))
        for number, each in enumerate(epochs, 1):
            found = cls(number, column(each), column(each, "acc"))
            if found.goal:
                break
        return found

    def __str__(self) -> str:
        if not self.goal:
            return f"not reached: {mean(self.accuracies):.2%} on average after epoch {self.epoch}"
        low, high = min(self.accuracies), max(self.accuracies)
        return f"{mean(self.accuracies):.2%} on average after epoch {self.epoch}, {low:.2%} to {high:.2%}"


def fast(cfg: "DictConfig", where: Sequence[str], seed: int) -> list[Epoch]:
    """One whole training of ours, as if it were one epoch. `fit` is the time of the whole `Trainer.fit`."""
    overrides = (f"experiment={cfg.bench.fast}", *where, f"seed={seed}")
    result = train_once(*overrides, data_dir=cfg.data_dir, threads=cfg.threads)
    seconds = {"seconds": sum(column(result["history"])), "fit": result["seconds"]["fit"]}
    return [seconds | {"acc": result["metrics"]["test/acc"]}]


def recipe(cfg: "DictConfig", train: Callable[..., Iterator[Epoch]], seed: int) -> list[Epoch]:
    from mnist_exp.training.lightning_speedups import unset_nvml_check

    unset_nvml_check()
    return list(train(data_dir=Path(cfg.data_dir), seed=seed))


def to_99(cfg: "DictConfig") -> Iterator[Row]:
    """Seconds of training until the mean test accuracy over the seeds is 99.0%."""
    from scripts.bench.contenders import example, public

    log(f"to_99: {cfg.bench.seeds} seeds")
    theirs, slow = "public recipe", "PyTorch's example"
    contenders = {
        OURS: partial(fast, cfg, ON_CPU),
        theirs: partial(recipe, cfg, public),
    }
    if cfg.bench.example_seeds:
        contenders[slow] = partial(recipe, cfg, partial(example, epochs=cfg.bench.example_epochs))
    runs = interleave(contenders, cfg.bench.seeds, fewer={slow: cfg.bench.example_seeds})
    ours = Reached.by(runs[OURS])
    yield from goal_rows("to_99", runs[OURS])
    for name, epochs in runs.items():
        if name != OURS:
            reached, target = Reached.by(epochs), {theirs: 0.10}.get(name)
            share = ratio(ours.seconds, reached.seconds)
            found = row("to_99", TO_99, name, reached.seconds, ratio=share, target=target, note=str(reached))
            yield found if ours.goal else mark_missed(found)


def goal_rows(section: str, runs: Sequence[Sequence[Epoch]], target: float | None = None) -> Iterator[Row]:
    """Our rows: the seconds, and whether 99.0% is reached at all."""
    ours = Reached.by(runs)
    found = row(section, TO_99, OURS, ours.seconds, target=target, note=str(ours))
    yield found if ours.goal else mark_missed(found)
    yield row(section, f"{TO_99}: all of Trainer.fit", OURS, column([epochs[-1] for epochs in runs], "fit"))
    error, most = 100 * (1 - mean(ours.accuracies)), 100 * (1 - GOAL)
    note = f"mean of {len(ours.accuracies)} seeds"
    yield row(section, f"{TO_99}: test error", OURS, [error], unit="%", target=most, note=note)


def mark_missed(found: Row) -> Row:
    """The row with its target missed: the time does not count, because the accuracy was not reached."""
    return replace(found, met=None if found.target is None else False)


# ---- GPU ----


def gpu(cfg: "DictConfig") -> Iterator[Row]:
    """How fast is training on a GPU, and how busy is the GPU?"""
    import torch

    if not torch.cuda.is_available():
        yield row("gpu", "everything", OURS, [], note="not measured: torch finds no CUDA GPU")
        return
    for batch_size, target in ((64, 0.40), (512, 0.12)):
        log(f"gpu: cnn {batch_size}")
        epochs = interleave({OURS: partial(gpu_epoch, cfg, batch_size)}, cfg.bench.repeats)[OURS]
        what = f"cnn {batch_size}"
        yield row("gpu", f"{what}: an epoch", OURS, column(epochs), target=target)
        yield row("gpu", f"{what}: training", OURS, [60_000 / each["seconds"] for each in epochs], unit="images/s")
        note = "time in kernels / time of the epochs, profiled"
        yield row("gpu", f"{what}: GPU busy", OURS, [100 * each["busy"] for each in epochs], unit="%", note=note)
    log(f"gpu: {cfg.bench.fast}, {cfg.bench.seeds} seeds")
    runs = interleave({OURS: partial(fast, cfg, ON_GPU)}, cfg.bench.seeds)[OURS]
    yield from goal_rows("gpu", runs, target=0.10)
    for name, overrides, target in (("robust", ("experiment=robust",), 15.0), ("main job", ("data=csv",), 1.5)):
        log(f"gpu: {name}")
        fits = interleave({OURS: partial(gpu_fit, cfg, overrides)}, cfg.bench.repeats_slow)[OURS]
        yield row("gpu", f"{name}: Trainer.fit", OURS, fits, target=target)


def gpu_fit(cfg: "DictConfig", overrides: Sequence[str], seed: int) -> float:
    """Seconds of a whole training, capture of the CUDA graph included."""
    result = train_once(*overrides, *ON_GPU, f"seed={seed}", data_dir=cfg.data_dir, threads=cfg.threads)
    return result["seconds"]["fit"]


def gpu_epoch(cfg: "DictConfig", batch_size: int, seed: int) -> dict[str, float]:
    """Seconds of the median epoch of three, and the share `busy` spent in kernels in a second, profiled run."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    overrides = ("data=image", "data.val_size=0", "model=cnn", f"data.batch_size={batch_size}", *ON_GPU)
    overrides += (f"seed={seed}", "trainer.max_epochs=3", "trainer.limit_test_batches=1")
    run = partial(train_once, *overrides, data_dir=cfg.data_dir, threads=cfg.threads)
    seconds = column(run()["history"])
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        profiled_seconds = column(run()["history"])
    events = [event for event in profiled.key_averages() if event.device_type == DeviceType.CUDA]
    kernels = sum(event.self_device_time_total for event in events) / 1e6
    return {"seconds": median(seconds), "busy": kernels / sum(profiled_seconds)}

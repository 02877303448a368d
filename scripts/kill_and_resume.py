"""Kill runs at random, resume them, and compare what they end with, bit for bit, with runs that nobody killed.

python -m scripts.kill_and_resume                                 # 40 kills over all recipes: some ten minutes
python -m scripts.kill_and_resume --kills 20 --tmpdir /dev/shm    # temporary files on another file system

Every recipe of conf/experiment/ is trained on a few hundred made-up digits, and solution 2 with early stopping as well.
A run is killed (SIGKILL) at a random moment, then resumed (or started again, if it had no checkpoint yet), now and then
killed once more, until it ends. After each kill every file of the run folder is read. Exit status 1 if a file is torn
or a result differs. Each run is a forked process, which need not import torch anew: on Windows this does not work.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytorch_lightning  # noqa: F401  # here, and so in every forked run
import torch
import torchmetrics.classification  # noqa: F401
from omegaconf import OmegaConf

from mnist_exp.cli.overrides import group_options
from mnist_exp.data.csv_file import write_csv
from mnist_exp.files import PARTIAL
from mnist_exp.models.checkpoint_file import read_checkpoint
from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.train import main as train

EPOCHS = 6
KILLED_AGAIN = 0.3  # how often a resumed run is killed, too
STOPPING = ["experiment=solution2", "callbacks=early_stopping", "callbacks.early_stopping.patience=1"]
RECIPES = {name: [f"experiment={name}"] for name in group_options("experiment")} | {"early stopping": STOPPING}


@dataclass
class Trial:
    """What happened to one run. at: the epochs that it had completed at each kill."""

    recipe: str
    at: list[int] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


def start(folder: Path, *overrides: str) -> int:
    """Start a run in a process of its own, and return its number. What it prints goes to a file beside the folder."""
    if process := os.fork():
        return process
    output = os.open(folder.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["mnist_exp.train", *overrides]
    status = 1
    try:
        train()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait_for(folder: Path, process: int, *, seconds: float = 300.0) -> None:
    """Wait until a run has opened its log: from then on it is worth killing."""
    log, before = folder / "train.log", time.time()
    size = log.stat().st_size if log.exists() else 0
    while not (log.exists() and log.stat().st_size > size):
        if time.time() > before + seconds or os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.005)


def kill_at_random(folder: Path, process: int, *, within: float, draws: random.Random) -> bool:
    """Whether the run was killed. False where it ended before."""
    wait_for(folder, process)
    time.sleep(draws.uniform(0, within))
    if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        return False
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def finish(folder: Path, process: int) -> None:
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"error: a run failed:\n{folder.with_suffix('.out').read_text()}")


def torn_files(folder: Path) -> list[str]:
    """The files of a run folder that cannot be read whole."""
    torn = []
    readers = {
        ".ckpt": read_checkpoint,
        ".json": lambda path: json.loads(path.read_text()),
        ".npz": lambda path: {name: array.shape for name, array in np.load(path).items()},
        ".yaml": OmegaConf.load,
    }
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in readers and not path.name.endswith(PARTIAL):
            try:
                readers[path.suffix](path)
            except Exception as error:  # whatever a reader says of a torn file
                torn.append(f"{path.relative_to(folder)}: {error!r:.80}")
    return torn


def differences(folder: Path, reference: Path) -> list[str]:
    """What the two runs do not have in common: weights, predictions, metrics."""
    found = []
    for name in ("last", "best"):
        one, other = (
            read_checkpoint(each / "checkpoints" / f"{name}.ckpt")["state_dict"] for each in (folder, reference)
        )
        if one.keys() != other.keys() or not all(torch.equal(one[key], other[key]) for key in one):
            found.append(f"{name}.ckpt")
    one, other = (dict(np.load(each / "predictions.npz")) for each in (folder, reference))
    if not all(np.array_equal(one[key], other[key]) for key in other):
        found.append("predictions.npz")
    one, other = (json.loads((each / "result.json").read_text()) for each in (folder, reference))
    found += [key for key in ("metrics", "epoch") if one[key] != other[key]]
    if [row["epoch"] for row in one["history"]] != [row["epoch"] for row in other["history"]]:
        found.append("history")
    return found


def try_once(
    recipe: str, command: list[str], folder: Path, reference: Path, within: float, draws: random.Random
) -> Trial:
    trial = Trial(recipe)
    fresh = [*command, f"hydra.run.dir={folder}"]
    process = start(folder, *fresh)
    while kill_at_random(folder, process, within=within, draws=draws):
        trial.torn += torn_files(folder)
        last = folder / LAST
        trial.at.append(read_checkpoint(last)["epoch"] + 1 if last.exists() else 0)
        process = start(folder, f"resume={folder}") if last.exists() else start(folder, *fresh)
        if draws.random() > KILLED_AGAIN:
            break
    finish(folder, process)
    trial.different = differences(folder, reference)
    return trial


def write_digits(folder: Path) -> list[str]:
    """Tables of made-up digits, and the overrides that name them."""
    draws = np.random.default_rng(0)
    for name, count in (("train", 600), ("test", 100)):
        write_csv(
            folder / f"{name}.csv", draws.integers(0, 256, (count, 28, 28), np.uint8), draws.integers(0, 10, count)
        )
    return ["data=csv", f"data.train_csv={folder / 'train.csv'}", f"data.test_csv={folder / 'test.csv'}",
            "data.val_size=100", "trainer=cpu", "threads=1", "logger=none",
            f"trainer.max_epochs={EPOCHS}"]  # fmt: skip


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.kill_and_resume", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--kills", type=int, default=40, help="at least so many")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--tmpdir", type=Path, help="a folder for temporary files, such as one on another file system")
    return parser.parse_args()


def main() -> None:
    asked = parse_arguments()
    draws = random.Random(asked.seed)
    if asked.tmpdir:
        os.environ["TMPDIR"] = str(asked.tmpdir.resolve(strict=True))
    with tempfile.TemporaryDirectory(prefix="kill_and_resume_", dir=Path.cwd()) as place:
        folder = Path(place)
        digits = write_digits(folder)
        seconds, trials = {}, list[Trial]()
        for name, recipe in RECIPES.items():
            reference = folder / f"{name.replace(' ', '-')}-whole"
            process = start(reference, *recipe, *digits, f"hydra.run.dir={reference}")
            wait_for(reference, process)
            started = time.time()
            finish(reference, process)
            seconds[name] = time.time() - started
        while sum(len(trial.at) for trial in trials) < asked.kills:
            name = list(RECIPES)[len(trials) % len(RECIPES)]
            slug = name.replace(" ", "-")
            command = [*RECIPES[name], *digits]
            target = folder / f"{slug}-{len(trials)}"
            reference = folder / f"{slug}-whole"
            trial = try_once(name, command, target, reference=reference, within=seconds[name], draws=draws)
            trials.append(trial)
            print(f"{name:<16} killed after epochs {trial.at or 'never'}: ", end="")
            print("; ".join([*trial.torn, *(f"{each} differs" for each in trial.different)]) or "identical", flush=True)
    print_table(trials)
    sys.exit(any(trial.torn or trial.different for trial in trials))


def print_table(trials: list[Trial]) -> None:
    columns = ["recipe", "runs", "kills", "before the first checkpoint", "torn files", "identical at the end"]
    print("\n| " + " | ".join(columns) + " |\n| --- |" + " --: |" * (len(columns) - 1))
    for name in [*RECIPES, "all"]:
        chosen = [trial for trial in trials if name in ("all", trial.recipe)]
        kills = [epoch for trial in chosen for epoch in trial.at]
        torn = sum(len(trial.torn) for trial in chosen)
        same = sum(not trial.different for trial in chosen)
        print(f"| {name} | {len(chosen)} | {len(kills)} | {kills.count(0)} | {torn} | {same} of {len(chosen)} |")


if __name__ == "__main__":
    main()

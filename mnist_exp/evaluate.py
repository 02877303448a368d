"""Test checkpoints on a suite of digits, side by side. The figures are kept in the run folder of each.

python -m mnist_exp.evaluate ckpt_path=outputs/runs/.../checkpoints/best.ckpt suite=all
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command
from mnist_exp.models.checkpoint_paths import run_folders

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mnist_exp.data.digits import Digits
    from mnist_exp.models.classifier import DigitClassifier

POOR, FAR_BETTER = 0.6, 0.3  # accuracy, and how much more of it the transposed digits must have

logger = logging.getLogger(__name__)


def evaluate(cfg: "DictConfig") -> dict[Path, dict[str, Any]]:
    """Test each checkpoint of `cfg.ckpt_path` on `cfg.suite`. Returns what it wrote: the content of each file.

    Raises ValueError, OSError or MNISTUnavailableError for what cannot be used. The message says which and why.
    """
    cfg = deepcopy(cfg)
    run_dirs = run_folders(cfg.ckpt_path)
    if "path" in cfg.suite and not cfg.suite.path:
        raise ValueError(f"suite={cfg.suite.name} needs suite.path=...: the folder or file with the digits")

    import torch
    from omegaconf import OmegaConf
    from rich.console import Console

    from mnist_exp.analysis.scores import describe_checkpoint, score, table, write_evaluation
    from mnist_exp.cli.accelerators import check_accelerator
    from mnist_exp.cli.instantiation import instantiate
    from mnist_exp.cli.threads import set_threads
    from mnist_exp.cli.working import working
    from mnist_exp.data.digits import fingerprint
    from mnist_exp.data.image_folder import list_refused
    from mnist_exp.data.named_sets import NAMED_SETS
    from mnist_exp.models.checkpoint import load_classifier
    from mnist_exp.result import environment

    # Read the checkpoints and the digits before the first long computation.
    check_accelerator(cfg.device, setting="device")
    set_threads(cfg.threads)
    accelerator = torch.accelerator.current_accelerator(check_available=True) or "cpu"
    device = torch.device(accelerator if cfg.device == "auto" else cfg.device)
    models = {path: load_classifier(path, cfg.network) for path in run_dirs}
    cfg.dataset = chosen_dataset(cfg.dataset, [config for _, config in models.values()])
    suite = instantiate(cfg.suite)
    with working(f"reading {suite.label}"):
        subsets = dict(suite.subsets())
    if not subsets:
        raise ValueError(f"suite={suite.name} has nothing to test on: all its sets were skipped")
    conditions = {
        "suite": OmegaConf.to_container(cfg.suite, resolve=True),
        "fingerprint": fingerprint(*subsets.values()),
        "environment": environment(str(device)),
    }

    # Test one checkpoint after the other, and write its figures at once.
    evaluations = {}
    for path, (model, config) in models.items():
        model.to(device)
        with working(f"testing {path}"):
            probs = {name: model.probabilities(digits.images).numpy() for name, digits in subsets.items()}
        warn_of_transposed(model, subsets, probs)
        figures = score(subsets, probs, classes=NAMED_SETS[cfg.dataset].classes) | {
            "checkpoint": describe_checkpoint(path, config),
            **conditions,
        }
        evaluations[write_evaluation(run_dirs[path], suite.label, figures, subsets, probs)] = figures

    Console(width=None if sys.stdout.isatty() else 200).print(table(suite.label, list(evaluations.values())))
    for name, digits in subsets.items():
        if digits.refused:
            print(f"{name}: these pictures count as wrong answers, {list_refused(digits.refused)}")
    for path in evaluations:
        print(f"kept in {path}")
    return evaluations


def chosen_dataset(asked: str, configs: Iterable[Mapping[str, Any]]) -> str:
    """The name of the data set to test on: the one that is asked for, or with `auto` the checkpoints' own.

    configs: of their runs.

    Raises ValueError where it is not one for all of them, or has other classes than they know.
    """
    from mnist_exp.data.named_sets import NAMED_SETS, dataset_of

    known = list(dict.fromkeys(map(dataset_of, configs)))
    chosen = known[0] if asked == "auto" else asked
    if asked == "auto" and len(known) > 1:
        raise ValueError(f"the checkpoints are of several data sets: choose one of them, dataset={' | '.join(known)}")
    for each in known:
        if NAMED_SETS[each].classes != NAMED_SETS[chosen].classes:
            raise ValueError(f"a checkpoint of {NAMED_SETS[each].title} does not know the classes of dataset={chosen}")
    return chosen


def warn_of_transposed(model: "DigitClassifier", subsets: "Mapping[str, Digits]", probs: "Mapping[str, Any]") -> None:
    """Warn of digits that are read badly, and far better with rows and columns exchanged."""
    from mnist_exp.analysis.scores import transposed_accuracy

    for name, digits in subsets.items():
        acc = float((probs[name].argmax(axis=1) == digits.labels.numpy()).mean())
        if acc < POOR and (transposed := transposed_accuracy(model, digits)) > acc + FAR_BETTER:
            logger.warning(
                "%s: with rows and columns exchanged the accuracy would be about %.0f%%, not %.0f%%. The images are "
                "probably stored by columns, as in EMNIST: transpose them",
                name,
                100 * transposed,
                100 * acc,
            )


@command("evaluate")
def main(cfg: "DictConfig") -> None:
    evaluate(cfg)


if __name__ == "__main__":
    main()

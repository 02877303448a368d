"""Test checkpoints on a suite of digits, side by side; the figures go to the run folder of each.

python -m mnist_exp.evaluate ckpt_path=outputs/runs/.../checkpoints/best.ckpt suite=all
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command

if TYPE_CHECKING:
    from omegaconf import DictConfig


def evaluate(cfg: "DictConfig") -> dict[Path, dict[str, Any]]:
    """Tests each checkpoint of `cfg.ckpt_path` on `cfg.suite`. Returns the files it wrote and what they hold.

    Raises ValueError, OSError or MNISTUnavailableError for what cannot be used: the message says which and why.
    """
    checkpoints = find_run_dirs(cfg.ckpt_path)
    if "path" in cfg.suite and not cfg.suite.path:
        raise ValueError(f"suite={cfg.suite.name} needs suite.path=...: where the digits lie")

    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from rich.console import Console

    from mnist_exp.analysis.scores import describe_checkpoint, score, table, write_evaluation
    from mnist_exp.data.digits import fingerprint
    from mnist_exp.models.checkpoint import load_classifier
    from mnist_exp.result import environment

    # Who is tested, and on what: both are read before the first long computation.
    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    accelerator = torch.accelerator.current_accelerator(check_available=True) or "cpu"
    device = torch.device(accelerator if cfg.device == "auto" else cfg.device)
    suite = instantiate(cfg.suite)
    models = {path: load_classifier(path) for path in checkpoints}
    with Console(stderr=True).status(f"reading {suite.label}"):
        subsets = dict(suite.subsets())
    if not subsets:
        raise ValueError(f"suite={suite.name} has nothing to test on: all its sets were skipped")
    asked = {
        "suite": OmegaConf.to_container(cfg.suite, resolve=True),
        "fingerprint": fingerprint(*subsets.values()),
        "environment": environment(str(device)),
    }

    # Each answers by itself, and keeps its figures.
    evaluations = {}
    for path, (model, config) in models.items():
        model.to(device)
        with Console(stderr=True).status(f"testing {path}"):
            probs = {name: model.probabilities(digits.images).numpy() for name, digits in subsets.items()}
        figures = score(subsets, probs) | {"checkpoint": describe_checkpoint(path, config), **asked}
        evaluations[write_evaluation(checkpoints[path], suite.label, figures, subsets, probs)] = figures

    Console(width=None if sys.stdout.isatty() else 200).print(table(suite.label, list(evaluations.values())))
    for path in evaluations:
        print(f"kept in {path}")
    return evaluations


def find_run_dirs(ckpt_path: str | list[str] | None) -> dict[Path, Path]:
    """The checkpoints that a user named, each with the folder above its `checkpoints/`."""
    paths = [Path(path) for path in ([ckpt_path] if isinstance(ckpt_path, str) else ckpt_path or [])]
    if not paths:
        raise ValueError("ckpt_path=... is needed: a checkpoint, such as outputs/runs/.../checkpoints/best.ckpt")
    run_dirs = {path: path.parent.parent if path.parent.name == "checkpoints" else path.parent for path in paths}
    if len(set(run_dirs.values())) < len(paths):
        raise ValueError("ckpt_path names a run twice, which keeps one evaluation of a suite: test them one by one")
    return run_dirs


@command("evaluate")
def main(cfg: "DictConfig") -> None:
    evaluate(cfg)


if __name__ == "__main__":
    main()

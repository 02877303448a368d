"""The end of a run on the screen: its accuracy, its folder, and the next commands, ready to paste."""

import shlex
from pathlib import Path

from mnist_exp.data.named_sets import NAMED_SETS, dataset_of
from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.result import RunResult
from mnist_exp.training.command_line import command_line, program, relative_to_here


def run_summary(run_dir: Path, result: RunResult) -> str:
    """A few lines of text. Paths stand whole on a line of their own, however wide the terminal is."""
    folder = relative_to_here(run_dir)
    best, last = (folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    checkpoint = best if best.exists() else last
    seconds = "  ".join(f"{phase} {value:.1f}" for phase, value in result.seconds.items())
    acc = result.metrics.get("test/acc")
    lines = [
        "\nnot tested" if acc is None else f"\ntest accuracy  {acc:.2%} of {tested(result)}",
        f"seconds        {seconds}",
        f"\nrun folder:\n  {folder}",
    ]
    if any(run_dir.glob("events.out.tfevents.*")):
        lines.append(f"\nlook at it:\n  {program('tensorboard')} --logdir {shlex.quote(str(log_folder(folder)))}")
    if checkpoint.exists():
        lines += [
            "\ntest it on corrupted images and other people's digits:",
            f"  {command_line('mnist_exp.evaluate', ckpt_path=checkpoint, suite='all')}",
            "\nread digits in your own images:",
            f"  {command_line('mnist_exp.predict', ckpt_path=checkpoint, images='photos/*.jpg')}",
        ]
    return "\n".join(lines)


def tested(result: RunResult) -> str:
    """How many images were tested, and of which data set where it is not MNIST."""
    name = dataset_of(result.config)
    return f"{result.data['test']:,} images" + ("" if name == "mnist" else f" of {NAMED_SETS[name].title}")


def after_failure(run_dir: Path, *, settings: Path | None) -> str:
    """How a single run that failed or was interrupted goes on, or where its folder is.

    settings: the folder with the run's settings in .hydra. None where there are none, because a Python program has
        started the run: resume=... cannot go on with it.
    """
    if not (run_dir / LAST).exists():
        return f"no epoch was completed; the run folder, with its log:\n  {relative_to_here(run_dir)}"
    if settings is None:
        return f"a new run goes on after the last whole epoch with:\n  ckpt_path={relative_to_here(run_dir / LAST)}"
    again = command_line("mnist_exp.train", resume=relative_to_here(settings))
    return f"to go on after the last whole epoch:\n  {again}"


def log_folder(run_folder: Path) -> Path:
    """`outputs` for a run in it, so that TensorBoard shows it beside the others; or else the run's folder alone."""
    return Path("outputs") if run_folder.parts[:1] == ("outputs",) else run_folder

"""The end of a run on the screen: its accuracy, its folder, and the next commands, ready to paste."""

import re
import shlex
import shutil
import sys
from pathlib import Path

from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.result import RunResult

PLAIN_VALUE = re.compile(r"[\w./+-]+", re.ASCII)  # means nothing else to the shell and to Hydra


def run_summary(run_dir: Path, result: RunResult) -> str:
    """A few lines of text. Paths stand whole on a line of their own, however wide the terminal is."""
    folder = relative_to_here(run_dir)
    best, last = (folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    checkpoint = best if best.exists() else last
    seconds = "  ".join(f"{phase} {value:.1f}" for phase, value in result.seconds.items())
    acc = result.metrics.get("test/acc")
    lines = [
        "\nnot tested" if acc is None else f"\ntest accuracy  {acc:.2%} of {result.data['test']:,} images",
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


def after_failure(run_dir: Path) -> str:
    """How a single run that failed or was interrupted goes on, or where its folder is."""
    folder = relative_to_here(run_dir)
    if not (run_dir / LAST).exists():
        return f"no epoch was completed; the run folder, with its log:\n  {folder}"
    return f"to go on after the last whole epoch:\n  {command_line('mnist_exp.train', resume=folder)}"


def log_folder(run_folder: Path) -> Path:
    """`outputs` for a run in it, so that TensorBoard shows it beside the others; or else the run's folder alone."""
    return Path("outputs") if run_folder.parts[:1] == ("outputs",) else run_folder


def command_line(module: str, **overrides: str | Path) -> str:
    """`python -m module key=value ...`, quoted for the shell and for Hydra where that is needed."""
    texts = {key: value.as_posix() if isinstance(value, Path) else value for key, value in overrides.items()}
    arguments = [as_argument(key, text) for key, text in texts.items()]
    return " ".join([program("python"), "-m", module, *arguments])


def as_argument(key: str, value: str) -> str:
    return f"{key}={value}" if PLAIN_VALUE.fullmatch(value) else shlex.quote(f"{key}={hydra_quoted(value)}")


def hydra_quoted(value: str) -> str:
    """A text in Hydra's double quotes. There, backslashes count only before a quote."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), value)
    return f'"{escaped}"'


def program(name: str) -> str:
    """A program of this Python's environment: its bare name if the shell finds that one, or else its path."""
    beside_python = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside_python.exists() or (found and Path(found).absolute() == beside_python.absolute()):
        return name
    return shlex.quote(str(relative_to_here(beside_python)))


def relative_to_here(path: Path) -> Path:
    """The path from the working directory where it is below that, or else the absolute path."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

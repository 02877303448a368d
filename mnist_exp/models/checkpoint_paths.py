"""Which checkpoints a user named, and the run folder of each. Quick to import: no torch."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LATEST = "latest"  # in place of a path: the run in outputs/ that was last written to
OUTPUTS = Path("outputs")
LAST = Path("checkpoints") / "last.ckpt"  # within a run folder
WRITTEN_IN_TRAINING = (Path(".hydra") / "config.yaml", Path("train.log"), Path("result.json"), LAST)
LEFT_BY_A_RUN = ("result.json", ".hydra", "predictions.npz")  # a folder with one of these is a run folder


def checkpoint_paths(ckpt_path: str | Iterable[str] | None) -> list[Path]:
    """The checkpoints of `ckpt_path=`: a file, a run folder, `latest`, or a list of these. See `checkpoint_file`.

    Raises ValueError where there is none.
    """
    if not ckpt_path:
        raise ValueError("ckpt_path=... is needed: a run folder, a checkpoint in it, or latest")
    return [checkpoint_file(path) for path in ([ckpt_path] if isinstance(ckpt_path, str) else ckpt_path)]


def checkpoint_file(path: str | Path, *, prefer: str = "best") -> Path:
    """The checkpoint that a path means: the file itself, that of a run folder, or that of the latest run.

    prefer: `best` or `last`: which one of a folder that has both.

    Raises ValueError for a folder without checkpoints.
    """
    folder = latest_run(having_checkpoints=True) if str(path) == LATEST else Path(path)
    if not os.path.isdir(folder):  # noqa: PTH112, Path.is_dir raises for a name that is too long
        return folder
    names = [f"{prefer}.ckpt", "best.ckpt", "last.ckpt"]
    found = [file for place in (folder / "checkpoints", folder) for name in names if (file := place / name).is_file()]
    if not found:
        inside = max((run for run in runs_below(folder) if run != folder), key=last_written, default=None)
        advice = f"It holds runs, such as {inside}: name one of them" if inside else "Name a run folder or a file"
        raise ValueError(f"no checkpoint at {folder}, which is a folder without one. {advice}")
    return found[0]


def latest_run(*, having_checkpoints: bool = False) -> Path:
    """The run folder in outputs/ whose training wrote to it last. Raises ValueError where there is none."""
    runs = [run for run in runs_below(OUTPUTS) if not having_checkpoints or any(run.glob("checkpoints/*.ckpt"))]
    if not runs:
        what = "run with a checkpoint" if having_checkpoints else "run"
        raise ValueError(f"there is no latest run: no {what} is in {OUTPUTS.absolute()}")
    return max(runs, key=last_written)


def runs_below(folder: Path) -> Iterator[Path]:
    """The folders, in and below this one, in which a command started a run: Hydra leaves its configuration there."""
    return (config.parent.parent for config in folder.rglob(".hydra/config.yaml"))


def last_written(run: Path) -> float:
    """When training last wrote to a run folder. Evaluations and exports do not count."""
    files = [run / name for name in WRITTEN_IN_TRAINING]
    return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)


def run_folders(ckpt_path: str | Iterable[str] | None) -> dict[Path, Path]:
    """Each checkpoint of `ckpt_path=` with its run folder, or with the folder that stands for one.

    Raises ValueError where there is none, or where two are in one run folder, which keeps the results of one.
    """
    paths = checkpoint_paths(ckpt_path)
    folders = {path: run_folder(path) for path in paths}
    if len(set(folders.values())) < len(paths):
        raise ValueError(
            "ckpt_path names two checkpoints of one run folder, which keeps the results of one: give them one by one"
        )
    return folders


def run_folder(checkpoint: Path) -> Path:
    """The folder for what is made from a checkpoint: its run's, so that results of a run are together.

    That is the folder of the file, or the one above `checkpoints/`. For a file that is in no run folder, such as a
    download, it is a folder of its own in outputs/checkpoints: nothing is written beside other people's files.
    """
    folder = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    if any((folder / name).exists() for name in LEFT_BY_A_RUN):
        return folder
    if not os.path.exists(checkpoint):  # noqa: PTH110, Path.exists raises for a name that is too long
        return folder
    place = hashlib.sha256(str(checkpoint.resolve()).encode()).hexdigest()[:8]
    return OUTPUTS / "checkpoints" / f"{checkpoint.stem[:48]}-{place}"

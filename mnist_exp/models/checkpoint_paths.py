"""Which checkpoints a user named, and the run folder of each. Quick to import: no torch."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

LEFT_BY_A_RUN = ("result.json", ".hydra", "predictions.npz")  # at least one of these


def checkpoint_paths(ckpt_path: str | Iterable[str] | None) -> list[Path]:
    """The checkpoints of `ckpt_path=`, a path or a list of paths. Raises ValueError where there is none."""
    if not ckpt_path:
        raise ValueError("ckpt_path=... is needed: a checkpoint, such as outputs/runs/.../checkpoints/best.ckpt")
    return [Path(path) for path in ([ckpt_path] if isinstance(ckpt_path, str) else ckpt_path)]


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
    if any((folder / name).exists() for name in LEFT_BY_A_RUN) or not checkpoint.exists():
        return folder
    place = hashlib.sha256(str(checkpoint.resolve()).encode()).hexdigest()[:8]
    return Path("outputs") / "checkpoints" / f"{checkpoint.stem[:48]}-{place}"

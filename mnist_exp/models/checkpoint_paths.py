"""Which checkpoints a user named, and the run folder of each. Quick to import: no torch."""

from collections.abc import Iterable
from pathlib import Path


def checkpoint_paths(ckpt_path: str | Iterable[str] | None) -> list[Path]:
    """The checkpoints of `ckpt_path=`, a path or a list of paths. Raises ValueError where there is none."""
    if not ckpt_path:
        raise ValueError("ckpt_path=... is needed: a checkpoint, such as outputs/runs/.../checkpoints/best.ckpt")
    return [Path(path) for path in ([ckpt_path] if isinstance(ckpt_path, str) else ckpt_path)]


def run_folders(ckpt_path: str | Iterable[str] | None) -> dict[Path, Path]:
    """Each checkpoint of `ckpt_path=` with its run folder: the folder of the file, or the one above `checkpoints/`.

    Raises ValueError where there is none, or where two are in one run folder, which keeps the results of one.
    """
    paths = checkpoint_paths(ckpt_path)
    folders = {path: path.parent.parent if path.parent.name == "checkpoints" else path.parent for path in paths}
    if len(set(folders.values())) < len(paths):
        raise ValueError(
            "ckpt_path names two checkpoints of one run folder, which keeps the results of one: give them one by one"
        )
    return folders

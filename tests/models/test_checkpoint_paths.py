"""Which checkpoints a user named: python -m pytest tests/models/test_checkpoint_paths.py -v"""

import subprocess
import sys
from pathlib import Path

import pytest

from mnist_exp.models.checkpoint_paths import checkpoint_paths, run_folders


def test_one_path_or_a_list_of_paths():
    assert checkpoint_paths("a.ckpt") == [Path("a.ckpt")]
    assert checkpoint_paths(["a.ckpt", "b.ckpt"]) == [Path("a.ckpt"), Path("b.ckpt")]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_no_path_is_refused_with_an_example(nothing: str | list[str] | None):
    for function in (checkpoint_paths, run_folders):
        with pytest.raises(ValueError, match=r"ckpt_path=... is needed: .*checkpoints/best.ckpt"):
            function(nothing)


@pytest.mark.parametrize("left", ["result.json", ".hydra", "predictions.npz"])
def test_the_run_folder_is_above_checkpoints_or_the_file_s_own(tmp_path: Path, left: str):
    paths = [tmp_path / name for name in ("runs/a/checkpoints/best.ckpt", "runs/b/best.ckpt")]
    for folder, path in zip(("a", "b"), paths, strict=True):
        path.parent.mkdir(parents=True)
        path.touch()
        (tmp_path / "runs" / folder / left).touch()
    assert list(run_folders(map(str, paths)).values()) == [tmp_path / "runs" / folder for folder in ("a", "b")]


def test_nothing_is_written_beside_a_checkpoint_that_is_in_no_run_folder(tmp_path: Path):
    paths = [tmp_path / "Downloads" / "best.ckpt", tmp_path / "checkpoints" / "best.ckpt"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    folders = list(run_folders(map(str, paths)).values())
    assert [folder.parent for folder in folders] == [Path("outputs/checkpoints")] * 2
    assert [folder.name[:5] for folder in folders] == ["best-"] * 2
    assert folders[0] != folders[1]


def test_two_checkpoints_of_a_run_are_refused():
    with pytest.raises(ValueError, match="two checkpoints of one run folder"):
        run_folders(["a/checkpoints/best.ckpt", "b/best.ckpt", "a/checkpoints/last.ckpt"])


def test_paths_are_looked_at_without_torch():
    code = "import sys, mnist_exp.models.checkpoint_paths; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

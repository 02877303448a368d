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


def test_the_run_folder_is_above_checkpoints_or_the_file_s_own():
    paths = ["runs/a/checkpoints/best.ckpt", "runs/b/best.ckpt", "best.ckpt"]
    assert list(run_folders(paths).values()) == [Path("runs/a"), Path("runs/b"), Path()]


def test_two_checkpoints_of_a_run_are_refused():
    with pytest.raises(ValueError, match="two checkpoints of one run folder"):
        run_folders(["a/checkpoints/best.ckpt", "b/best.ckpt", "a/checkpoints/last.ckpt"])


def test_paths_are_looked_at_without_torch():
    code = "import sys, mnist_exp.models.checkpoint_paths; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

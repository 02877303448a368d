"""Which checkpoints a user named: python -m pytest tests/models/test_checkpoint_paths.py -v"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_exp.models.checkpoint_paths import checkpoint_file, checkpoint_paths, latest_run, run_folders


def test_one_path_or_a_list_of_paths():
    assert checkpoint_paths("a.ckpt") == [Path("a.ckpt")]
    assert checkpoint_paths(["a.ckpt", "b.ckpt"]) == [Path("a.ckpt"), Path("b.ckpt")]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_no_path_is_refused_with_an_example(nothing: str | list[str] | None):
    for function in (checkpoint_paths, run_folders):
        with pytest.raises(ValueError, match=r"ckpt_path=... is needed: a run folder, "):
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


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of two runs, the newer last, and of a newer one without a checkpoint."""
    monkeypatch.chdir(tmp_path)
    folders = [Path("outputs/runs/csv-cnn/1"), Path("outputs/sweeps/seed/seed-0"), Path("outputs/runs/csv-cnn/2")]
    for age, folder in enumerate(reversed(folders)):
        names = [".hydra/config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt"]
        for file in [folder / name for name in names[: 1 if age == 0 else 3]]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            os.utime(file, (1000 - age, 1000 - age))
    return folders


def test_a_run_folder_and_latest_mean_a_checkpoint(runs: list[Path]):
    assert checkpoint_file(runs[0]) == runs[0] / "checkpoints" / "best.ckpt"
    assert checkpoint_file(runs[0], prefer="last") == runs[0] / "checkpoints" / "last.ckpt"
    assert checkpoint_file(runs[0] / "checkpoints") == runs[0] / "checkpoints" / "best.ckpt"
    assert checkpoint_paths(["latest", str(runs[0])]) == [runs[i] / "checkpoints" / "best.ckpt" for i in (1, 0)]
    assert latest_run() == runs[2]


def test_the_other_checkpoint_is_taken_where_the_preferred_one_is_missing(runs: list[Path]):
    (runs[0] / "checkpoints" / "best.ckpt").unlink()
    assert checkpoint_file(runs[0]).name == "last.ckpt"


def test_a_folder_without_a_checkpoint_is_refused_with_a_run_in_it(runs: list[Path]):
    with pytest.raises(ValueError, match=rf"at outputs/runs, .* It holds runs, such as {runs[2]}"):
        checkpoint_file("outputs/runs")
    with pytest.raises(
        ValueError,
        match=rf"^no checkpoint at {runs[2]}, which is a folder without one. Name a",
    ):
        checkpoint_file(runs[2])


def test_there_is_no_latest_run_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no latest run: no run with a checkpoint is in .*outputs"):
        checkpoint_paths("latest")


def test_paths_are_looked_at_without_torch():
    code = "import sys, mnist_exp.models.checkpoint_paths; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

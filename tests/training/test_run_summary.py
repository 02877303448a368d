"""The end of a run on the screen: commands that can be pasted as they are."""

import shlex
import sys
from pathlib import Path

import pytest

from mnist_exp.cli.overrides import compose_checked
from mnist_exp.result import RunResult
from mnist_exp.training.run_summary import run_summary

FOLDER = "outputs/runs/a-name-that-is-rather-long-for-a-terminal/2026-11-22_14-05-09-120000"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, in a terminal where `python` is the Python of these tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def run_dir(here: Path) -> Path:
    run_dir = here / FOLDER
    (run_dir / "checkpoints").mkdir(parents=True)
    for name in ("best", "last"):
        (run_dir / "checkpoints" / f"{name}.ckpt").touch()
    (run_dir / "events.out.tfevents.1.host").touch()
    return run_dir


def result(**fields) -> RunResult:
    fields = {
        "data": {"test": 10_000},
        "metrics": {"test/acc": 0.98765},
        "seconds": {"fit": 12.34, "test": 1.0},
    } | fields
    return RunResult(status="finished", seed=0, overrides=[], config={}, **fields)


def test_the_folder_and_the_next_commands_stand_whole_on_lines_of_their_own(run_dir: Path):
    assert (
        run_summary(run_dir, result())
        == f"""
test accuracy  98.77% of 10,000 images
seconds        fit 12.3  test 1.0

run folder:
  {FOLDER}

look at it:
  tensorboard --logdir outputs

test it on corrupted images and other people's digits:
  python -m mnist_exp.evaluate ckpt_path={FOLDER}/checkpoints/best.ckpt suite=all

read digits in your own images:
  python -m mnist_exp.predict ckpt_path={FOLDER}/checkpoints/best.ckpt 'images="photos/*.jpg"'"""
    )


def test_another_data_set_than_mnist_is_named(run_dir: Path):
    fashion = result(data={"test": 10_000})
    fashion.config["data"] = {"dataset": "fashion_mnist"}
    assert "98.77% of 10,000 images of Fashion-MNIST\n" in run_summary(run_dir, fashion)


def test_the_commands_can_be_pasted(run_dir: Path):
    commands = [line.strip() for line in run_summary(run_dir, result()).splitlines() if "python -m" in line]
    assert len(commands) == 2
    for command in commands:
        _python, _m, module, *overrides = shlex.split(command)
        cfg = compose_checked(module.removeprefix("mnist_exp."), overrides)
        assert Path(cfg.ckpt_path).exists()


def test_a_run_elsewhere_without_events_and_best_checkpoint_has_fewer_commands(here: Path):
    elsewhere = here.parent / f"{here.name}-elsewhere" / "a run"
    (elsewhere / "checkpoints").mkdir(parents=True)
    text = run_summary(elsewhere, result(metrics={}))
    assert "\nnot tested\n" in text
    assert f"\n  {elsewhere}" in text
    assert "tensorboard" not in text
    assert "mnist_exp." not in text
    (elsewhere / "checkpoints" / "last.ckpt").touch()
    (elsewhere / "events.out.tfevents.1").touch()
    text = run_summary(elsewhere, result())
    assert f"'ckpt_path=\"{elsewhere}/checkpoints/last.ckpt\"'" in text
    assert f"tensorboard --logdir '{elsewhere}'" in text

"""Sweeps through the command, as a user would: what fails, what is skipped, what is killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits


def command(*overrides: str) -> list[str]:
    return [
        sys.executable, "-m", "mnist_exp.train", "-m", "data=csv", "data.train_csv=train.csv",
        "data.test_csv=test.csv",
        "data.val_size=50", "trainer=cpu", "trainer.max_epochs=1", "threads=1", "logger=none", "study=small",
        *overrides,
    ]  # fmt: skip


def sweep(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*overrides), cwd=folder, capture_output=True, text=True, timeout=240)


def results(folder: Path) -> dict[str, dict]:
    return {
        path.parent.name: json.loads(path.read_text()) for path in folder.glob("outputs/sweeps/small/*/result.json")
    }


@pytest.fixture
def folder(tmp_path: Path, small_digits: tuple[Digits, Digits]) -> Path:
    for name, digits in zip(("train", "test"), small_digits, strict=True):
        write_csv(tmp_path / f"{name}.csv", digits.images.numpy(), digits.labels.numpy())
    return tmp_path


def test_a_failing_job_leaves_the_others_a_table_and_exit_code_1(folder: Path):
    done = sweep(folder, "data.val_size=50,400,60")
    assert done.returncode == 1, done.stderr
    found = {result["status"] for result in results(folder).values()}
    assert found == {"finished", "failed"}
    (failed,) = [result for result in results(folder).values() if result["status"] == "failed"]
    assert "val_size must be from 0 to 299" in failed["error"]
    assert "stratified_split" in failed["traceback"]
    assert done.stdout.count("finished") >= 2
    assert "val_size must be from 0 to 299" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_killed_sweep_started_again_runs_only_what_is_missing(folder: Path):
    with subprocess.Popen(command("seed=0,1,2"), cwd=folder, stdout=subprocess.DEVNULL) as process:
        deadline = time.time() + 120
        while not results(folder) and time.time() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("outputs/sweeps/small/*/result.json")}
    assert 1 <= len(before) < 3
    done = sweep(folder, "seed=0,1,2")
    assert done.returncode == 0, done.stderr
    assert len(results(folder)) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert done.stdout.count("skipped") == len(before)


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_run_the_same_jobs(folder: Path, launcher: str):
    done = sweep(folder, "seed=0,1", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    assert [result["status"] for result in results(folder).values()] == ["finished"] * 2

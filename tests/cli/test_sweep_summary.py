"""The end of a sweep, first of made-up jobs, then through the command as a user would start it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_exp.cli.sweep_summary import by_values, close_sweep
from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits
from mnist_exp.result import RunResult
from mnist_exp.training.run_lock import run_lock


def make_job(sweep_dir: Path, name: str, *, started: float = 1000.0, **fields) -> None:
    """The folder of a job; with `status` also its result."""
    config = sweep_dir / name / ".hydra" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.touch()
    os.utime(config, (started, started))
    if fields:
        RunResult(seed=0, overrides=[], config={}, **fields).write(sweep_dir / name)


@pytest.fixture
def sweep_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    return Path("outputs/sweeps/a-study-with-a-name-that-is-longer-than-a-terminal-of-eighty-columns")


def test_a_sweep_ends_with_a_row_a_job_by_value_what_failed_and_the_next_command(
    sweep_dir: Path, capsys: pytest.CaptureFixture[str]
):
    finished = {"status": "finished", "metrics": {"val/acc": 0.5, "test/acc": 0.98765}, "seconds": {"fit": 12.34}}
    make_job(sweep_dir, "data.batch_size=256,data=csv", **finished)
    make_job(sweep_dir, "data.batch_size=64,data=csv", **finished | {"metrics": {"test/acc": 0.25}})
    make_job(sweep_dir, "data.batch_size=1024,data=csv", status="failed", error="ValueError: too large " + 80 * "x")
    make_job(sweep_dir, "data.batch_size=16,data=csv")
    make_job(sweep_dir, "data.batch_size=32,data=csv")
    (sweep_dir / "data.batch_size=32,data=csv" / "result.json").write_text("{")
    assert close_sweep(sweep_dir, since=1000.0) == 1
    text = capsys.readouterr().out
    lines = [" ".join(line.strip("│┃").replace("│", " ").split()) for line in text.splitlines()]
    rows = [line for line in lines if line.startswith("data.batch_size=") and ":" not in line]
    assert rows == [
        "data.batch_size=16 unfinished",
        "data.batch_size=32 unreadable",
        "data.batch_size=64 finished 0.2500 12.3",
        "data.batch_size=256 finished 0.5000 0.9877 12.3",
        "data.batch_size=1024 failed",
    ]
    assert f"\nsweep folder:\n  {sweep_dir}\n" in text
    assert "\nin all jobs:\n  data=csv\n" in text
    assert f"\ndata.batch_size=1024: ValueError: too large {80 * 'x'}\n" in text
    assert f"\ndata.batch_size=32: cannot read {sweep_dir}/data.batch_size=32,data=csv/result.json: " in text
    assert text.endswith(f"\ncompare the runs:\n  python -m mnist_exp.compare runs={sweep_dir}\n")


def test_what_is_still_to_be_done_is_counted(sweep_dir: Path, capsys: pytest.CaptureFixture[str]):
    make_job(sweep_dir, "seed-0", status="finished")
    make_job(sweep_dir, "seed-1", status="interrupted", error="interrupted")
    make_job(sweep_dir, "seed-9", status="finished")  # of another start
    assert close_sweep(sweep_dir, since=0.0, planned={"seed-0", "seed-1", "seed-2"}, command="train -m seed=0,1,2") == 1
    text = capsys.readouterr().out
    assert text.count("interrupted") == 2
    assert text.endswith("\n1 of 3 done, the same command goes on:\n  train -m seed=0,1,2\n")


def test_a_row_tells_the_job_by_its_overrides(sweep_dir: Path, capsys: pytest.CaptureFixture[str]):
    for name, typed in (("a", "[seed=0, 'data.train_csv=a/b.csv', threads=1]"), ("b", "[seed=10]"), ("c", "[seed=9]")):
        make_job(sweep_dir, name, status="finished")
        (sweep_dir / name / ".hydra" / "overrides.yaml").write_text(typed)
    close_sweep(sweep_dir, since=0.0)
    rows = [line.split("│")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert rows == ["data.train_csv=a/b.csv seed=0", "seed=9", "seed=10"]


def test_what_looks_like_markup_is_printed_as_it_is(sweep_dir: Path, capsys: pytest.CaptureFixture[str]):
    hostile = "[/b]study"
    make_job(sweep_dir / hostile, "name=[bold]a[", status="failed", error="[/red] [link=x]y")
    make_job(sweep_dir / hostile, "name=[dim]b", status="finished", metrics={}, seconds={})
    close_sweep(sweep_dir / hostile, since=0.0)
    text = capsys.readouterr().out
    assert f"  {sweep_dir}/[/b]study\n" in text
    assert "│ name=[bold]a[ │" in text
    assert "│ name=[dim]b " in text
    assert "name=[bold]a[: [/red] [link=x]y\n" in text


@pytest.mark.parametrize(
    ("fields", "since", "status"),
    [
        ({"status": "failed", "error": "no"}, 1000.0, 1),
        ({"status": "failed", "error": "no"}, 1001.0, 1),  # a file system may round
        ({"status": "failed", "error": "no"}, 1001.5, 0),  # of an earlier start
        ({}, 1000.0, 1),
        ({"status": "finished"}, 1000.0, 0),
    ],
)
def test_a_sweep_fails_with_a_job_of_its_own_that_did_not_finish(
    sweep_dir: Path, capsys: pytest.CaptureFixture[str], fields: dict, since: float, status: int
):
    make_job(sweep_dir, "seed=0", **fields)
    assert close_sweep(sweep_dir, since=since) == status
    assert ("mnist_exp.compare" in capsys.readouterr().out) is (fields.get("status") == "finished")


def test_a_job_that_runs_elsewhere_is_no_failure(sweep_dir: Path, capsys: pytest.CaptureFixture[str]):
    make_job(sweep_dir, "seed=0")
    make_job(sweep_dir, "seed=1", status="failed", error="of an earlier run")
    with run_lock(sweep_dir / "seed=0"), run_lock(sweep_dir / "seed=1"):
        assert close_sweep(sweep_dir, since=1000.0) == 0
    text = capsys.readouterr().out
    assert text.count("│ running │") == 2
    assert f"\nseed=0: running elsewhere, process {os.getpid()} on " in text


def test_jobs_are_sorted_by_numbers_where_they_have_numbers():
    names = [
        "lr=0.0001,seed=2", "lr=1e-3,seed=0", "lr=1e-3,seed=10", "lr=.01,seed=0", "lr=1.,seed=-1", "lr=1.,seed=+2",
        "lr=10,seed=0", "lr=1x,seed=0", "lr=null,seed=0", "plain",
    ]  # fmt: skip
    assert [job.name for job in sorted(map(Path, sorted(names)), key=by_values)] == names


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
    assert "number_of_images" in failed["traceback"]
    assert done.stdout.count(" finished ") == 2
    assert "val_size must be from 0 to 299" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_sweep_started_twice_shares_the_work(folder: Path):
    with subprocess.Popen(command("seed=0,1,2"), cwd=folder, stdout=subprocess.PIPE, text=True) as first:
        second = sweep(folder, "seed=0,1,2")
        first_output, _ = first.communicate(timeout=240)
    assert (first.returncode, second.returncode) == (0, 0), first_output + second.stdout
    assert [result["status"] for result in results(folder).values()] == ["finished"] * 3
    assert (first_output + second.stdout).count("finished: test accuracy") == 3  # each job once


def test_a_job_with_a_torn_result_fails_alone_and_the_file_stays(folder: Path):
    torn = folder / "outputs/sweeps/small/seed=0/result.json"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"status": "fin')
    done = sweep(folder, "seed=0,1", "hydra.sweep.subdir='seed=${seed}'")
    assert done.returncode == 1, done.stderr
    assert torn.read_text() == '{"status": "fin'
    assert '"status": "finished"' in torn.parents[1].joinpath("seed=1", "result.json").read_text()
    assert "seed=0: cannot read outputs/sweeps/small/seed=0/result.json: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_killed_sweep_started_again_runs_only_what_is_missing(folder: Path):
    with subprocess.Popen(command("seed=0,1,2"), cwd=folder, stdout=subprocess.DEVNULL) as process:
        deadline = time.time() + 120
        while not results(folder) and time.time() < deadline:
            time.sleep(0.05)
        process.kill()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("outputs/sweeps/small/*/result.json")}
    assert 1 <= len(before) < 3
    done = sweep(folder, "seed=0,1,2")
    assert done.returncode == 0, done.stderr
    assert len(results(folder)) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert done.stdout.count("skipped") == len(before)


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """A shell ignores SIGINT in what it runs in the background, and the processes of a test would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_interrupts")
@pytest.mark.parametrize(
    ("ended_by", "launcher", "status"),
    [(signal.SIGINT, "basic", 130), (signal.SIGTERM, "basic", 143), (signal.SIGINT, "joblib", 130)],
)
def test_an_interrupted_sweep_prints_its_table_and_how_it_goes_on(
    folder: Path, ended_by: signal.Signals, launcher: str, status: int
):
    at_once = {"joblib": ["hydra.launcher.n_jobs=2"]}.get(launcher, [])
    long = command("seed=0,1", "trainer.max_epochs=3000", "model=mlp", f"hydra/launcher={launcher}", *at_once)
    started = "outputs/sweeps/small/*/checkpoints/last.ckpt"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(long, cwd=folder, start_new_session=True, **pipes) as process:
        deadline = time.time() + 120
        while len(list(folder.glob(started))) < 1 + len(at_once) and time.time() < deadline:
            time.sleep(0.05)
        if ended_by == signal.SIGINT:  # a terminal sends Ctrl-C to all processes of the command
            os.killpg(process.pid, ended_by)
        else:
            process.send_signal(ended_by)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == status, stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert re.search(r"\n0 of 2 done, the same command goes on:\n  \S*python -m mnist_exp.train -m data=csv ", stdout)
    assert {result["status"] for result in results(folder).values()} <= {"interrupted"}


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_run_the_same_jobs(folder: Path, launcher: str):
    done = sweep(folder, "seed=0,1", f"hydra/launcher={launcher}")
    assert done.returncode == 0, done.stderr
    assert [result["status"] for result in results(folder).values()] == ["finished"] * 2

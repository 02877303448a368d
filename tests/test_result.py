"""result.json: what is written is read again, and what is no result is refused by name."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mnist_exp.result import ResultError, RunResult, Stopwatch, environment

FAILED = RunResult(
    status="failed", name="csv-cnn", seed=3, overrides=["data=csv"], config={"seed": 3}, error="full", traceback="..."
)
FINISHED = RunResult(
    status="finished",
    name="csv-cnn",
    seed=0,
    overrides=["data=csv"],
    config={"seed": 0},
    data={"name": "csv", "test": 10000},
    epoch=2,
    metrics={"test/acc": 0.5},
    history=[{"epoch": 1}, {"epoch": 2}],
    environment={"torch": "2.15.0"},
)


@pytest.mark.parametrize("result", [FAILED, FINISHED], ids=["failed", "finished"])
def test_what_is_written_is_read_again(result: RunResult, tmp_path: Path):
    result.write(tmp_path)
    assert RunResult.read(tmp_path) == result


def test_the_file_has_the_schema_first_and_no_field_that_a_failed_run_lacks(tmp_path: Path):
    content = json.loads(FAILED.write(tmp_path).read_text())
    assert list(content) == ["schema", "status", "name", "seed", "overrides", "config", "error", "traceback"]
    assert content["schema"] == 1
    assert "error" not in json.loads(FINISHED.write(tmp_path).read_text())


def test_a_folder_without_a_result_has_none(tmp_path: Path):
    assert RunResult.read(tmp_path) is None


def test_a_result_of_version_0_1_is_read(tmp_path: Path):
    content = FINISHED.to_dict()
    del content["schema"]
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert RunResult.read(tmp_path) == FINISHED


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in FINISHED.to_dict().items() if name != key}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "cannot read"),
        (json.dumps(FINISHED.to_dict())[:-40], "cannot read"),
        ("[" * 100_000, "cannot read"),
        ('{"status": "finished", "metrics": {"test/acc": NaN}}', "NaN is no JSON number"),
        ("[]", "is not a run's result"),
        (json.dumps(FINISHED.to_dict() | {"schema": 99}), "has schema 99; this version of mnist_exp reads schema 1"),
        (json.dumps(without("seed")), "lacks seed"),
        (json.dumps(without("metrics")), "lacks metrics"),
        (json.dumps(FINISHED.to_dict() | {"seed": "0"}), "its seed is no int"),
        (json.dumps(FINISHED.to_dict() | {"seed": True}), "its seed is no int"),
        (json.dumps(FINISHED.to_dict() | {"config": []}), "its config is no dict"),
        (json.dumps(FINISHED.to_dict() | {"status": "perfect"}), "has the status 'perfect'"),
    ],
)
def test_a_file_that_is_no_result_is_refused_by_name(content: str, reason: str, tmp_path: Path):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(ResultError) as error:
        RunResult.read(tmp_path)
    assert reason in str(error.value)
    assert str(tmp_path / "result.json") in str(error.value)
    assert "overwrite=true" in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_is_not_written(value: float, tmp_path: Path):
    FINISHED.write(tmp_path)
    broken = RunResult(**{**FINISHED.to_dict(), "metrics": {"test/acc": value}})
    with pytest.raises(ValueError, match="a figure is not finite"):
        broken.write(tmp_path)
    assert RunResult.read(tmp_path) == FINISHED


def test_phases_are_timed_apart_and_also_when_they_fail():
    seconds = Stopwatch()
    with seconds("setup"):
        pass
    with pytest.raises(ZeroDivisionError), seconds("fit"):
        _ = 1 / 0
    assert set(seconds.seconds) == {"setup", "fit"}


def test_a_phase_that_comes_twice_adds_up(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 1.0, 10.0, 12.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    seconds = Stopwatch()
    for _ in range(2):
        with seconds("fit"):
            pass
    assert seconds.seconds == {"fit": 3.5}


def test_the_environment_names_versions_and_source():
    assert environment("cpu").keys() >= {"python", "torch", "lightning", "device", "commit", "dirty"}


def test_an_installed_package_does_not_name_the_commit_of_the_repository_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    site_packages = tmp_path / "venv" / "site-packages"
    site_packages.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(tmp_path), *who, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    commits = []
    for root in (tmp_path, site_packages):
        monkeypatch.setattr("mnist_exp.result.SOURCE_ROOT", root)
        commits.append(environment("cpu")["commit"])
    assert len(commits[0]) == 40
    assert commits[1] == ""

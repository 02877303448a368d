"""What is around a run, with a training that does what the test says."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from mnist_exp.files import WriteError
from mnist_exp.result import ResultError, RunResult, Stopwatch
from mnist_exp.training import run
from mnist_exp.training.checkpoints import ChosenWeights
from mnist_exp.training.run import (
    device_name,
    identification,
    objective,
    record_failure,
    recorded_config,
    run_and_record,
    training_results,
)
from mnist_exp.training.run_lock import LOCK, RunInUseError, run_lock

Config = Callable[..., DictConfig]
DONE = {"data": {"test": 60}, "metrics": {"val/acc": 0.5, "test/acc": 0.25}, "seconds": {"fit": 1.0}, "epoch": 2,
        "history": [{"epoch": 1}, {"epoch": 2}], "environment": {}}  # fmt: skip


def done(cfg: DictConfig) -> dict:  # noqa: ARG001
    return dict(DONE)


def failing(error: BaseException) -> Callable[[DictConfig], dict]:
    def train(cfg: DictConfig) -> dict:  # noqa: ARG001
        raise error

    return train


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration with what is looked at around a run: config(seed=1)."""

    def config(**changes: Any) -> DictConfig:
        default = {"name": "image-cnn", "seed": 0, "lr": 0.001, "overwrite": False, "run_dir": str(tmp_path / "run")}
        return OmegaConf.create(default | {"threads": None, "data_dir": "data", "logger": {}, "study": None} | changes)

    return config


@pytest.fixture
def sweeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "in_sweep", lambda: True)


def test_a_finished_run_leaves_its_result_and_says_so(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    cfg = config(seed=3)
    with caplog.at_level(logging.INFO):
        assert run_and_record(done, cfg) == 0.5
    result = RunResult.read(tmp_path / "run")
    assert result is not None
    assert (result.status, result.name, result.seed, result.overrides) == ("finished", "image-cnn", 3, [])
    assert result.config == recorded_config(cfg)
    assert caplog.messages == ["finished: test accuracy 25.00% after epoch 2 of 2, fit in 1.0 s"]
    assert f"\nrun folder:\n  {tmp_path / 'run'}\n" in capsys.readouterr().out


def test_a_run_without_a_test_says_so(
    config: Config, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO):
        run_and_record(lambda _: DONE | {"metrics": {}}, config())
    assert caplog.messages == ["finished: not tested, after epoch 2 of 2, fit in 1.0 s"]
    assert capsys.readouterr().out.startswith("\nnot tested\nseconds ")


def test_a_run_that_ends_within_its_first_epoch_says_so(config: Config, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        run_and_record(lambda _: DONE | {"epoch": None, "history": []}, config())
    assert caplog.messages == ["finished: test accuracy 25.00% after less than an epoch, fit in 1.0 s"]


@pytest.mark.parametrize(("loss", "warned"), [(0.02, False), (2.4, False), (1e28, True)])
def test_a_training_that_made_the_loss_worse_than_guessing_is_warned_of(
    config: Config, caplog: pytest.LogCaptureFixture, loss: float, warned: bool
):
    run_and_record(lambda cfg: DONE | {"history": [{"epoch": 1, "train/loss": loss}]}, config())  # noqa: ARG005
    expected = "the training loss of the last epoch is 1e+28, and guessing has 2.3: try a smaller learning rate"
    assert (expected in caplog.messages) == warned
    assert sum(record.levelname == "WARNING" for record in caplog.records) == warned


@pytest.mark.usefixtures("sweeping")
def test_the_jobs_of_a_sweep_print_no_summary(config: Config, capsys: pytest.CaptureFixture[str]):
    run_and_record(done, config())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("rank", ["LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID"])
def test_only_the_first_process_records(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str
):
    monkeypatch.setenv(rank, "1")
    assert run_and_record(done, config()) == 0.5
    with pytest.raises(SystemExit):
        run_and_record(failing(ValueError("no")), config())
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().out == ""


def test_a_finished_run_is_skipped_unless_its_configuration_changed(config: Config, caplog: pytest.LogCaptureFixture):
    trained = []

    def train(cfg: DictConfig) -> dict:
        trained.append(cfg.lr)
        return dict(DONE)

    for changes in ({}, {"threads": 2, "data_dir": "elsewhere"}, {"lr": 0.01}, {"lr": 0.01}):
        assert run_and_record(train, config(**changes)) == 0.5
    assert run_and_record(train, config(lr=0.01, overwrite=True)) == 0.5
    assert trained == [0.001, 0.01, 0.01]
    replaced = [record for record in caplog.records if "held a finished run with other settings" in record.message]
    assert len(replaced) == 1, "nothing is replaced without a word"


def test_a_failed_run_is_run_again(config: Config, tmp_path: Path):
    with pytest.raises(SystemExit):
        run_and_record(failing(ValueError("no")), config())
    assert run_and_record(done, config()) == 0.5
    result = RunResult.read(tmp_path / "run")
    assert result is not None
    assert result.status == "finished"


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (ValueError("no data"), "ValueError: no data", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (SystemExit(143), "interrupted", 143),
    ],
)
def test_a_failure_is_recorded_and_ends_a_single_run(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: BaseException, message: str, status: int
):
    with pytest.raises(SystemExit) as end:
        run_and_record(failing(error), config())
    assert end.value.code == status
    result = RunResult.read(tmp_path / "run")
    assert result is not None
    assert (result.status, result.error) == ("interrupted" if status > 128 else "failed", message)
    assert "in train" in (result.traceback or "")
    assert caplog.messages == [f"{message}\nno epoch was completed; the run folder, with its log:\n  {tmp_path}/run"]


@pytest.mark.usefixtures("sweeping")
def test_a_sweep_goes_on_after_a_failure_and_stops_when_interrupted(config: Config):
    assert str(run_and_record(failing(ValueError("no")), config())) == "nan"
    with pytest.raises(SystemExit):
        run_and_record(failing(KeyboardInterrupt()), config())


def result_text(run_dir: Path, text: str) -> Path:
    run_dir.mkdir()
    path = run_dir / "result.json"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["", '{"status": "fin', '{"accuracy": 0.9}', "[1, 2]"], ids=["empty", "torn", "a", "b"]
)
def test_a_result_that_cannot_be_read_stops_the_run_and_stays(config: Config, tmp_path: Path, text: str):
    path = result_text(tmp_path / "run", text)
    with pytest.raises(ResultError, match=r"run/result.json: .*overwrite=true"):
        run_and_record(done, config())
    assert path.read_text() == text
    assert run_and_record(done, config(overwrite=True)) == 0.5


@pytest.mark.usefixtures("sweeping")
def test_a_result_that_cannot_be_read_fails_its_job_alone(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = result_text(tmp_path / "run", "{")
    assert str(run_and_record(done, config())) == "nan"
    assert caplog.messages[0].startswith(f"failed: cannot read {path}: ")
    assert path.read_text() == "{"


def test_a_folder_in_use_is_refused(config: Config, tmp_path: Path):
    with run_lock(tmp_path / "run"), pytest.raises(RunInUseError):
        run_and_record(done, config())
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.usefixtures("sweeping")
def test_a_job_that_runs_elsewhere_is_skipped(config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with run_lock(tmp_path / "run"):
        assert str(run_and_record(done, config())) == "nan"
    assert caplog.messages[0].startswith(f"running elsewhere: {tmp_path / 'run'} is in use by process ")
    assert not (tmp_path / "run" / "result.json").exists()


def test_the_processes_that_train_with_the_holder_are_not_refused(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with run_lock(tmp_path / "run"):
        assert run_and_record(done, config()) == 0.5


def test_a_full_disk_is_named_even_where_the_failure_cannot_be_recorded(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    full = OSError(errno.ENOSPC, "No space left on device")

    def write(_: RunResult, run_dir: Path) -> Path:
        raise WriteError(f"cannot write {run_dir / 'result.json'}: full")

    with monkeypatch.context() as patched:
        patched.setattr(RunResult, "write", write)
        with pytest.raises(SystemExit) as end:
            run_and_record(failing(full), config())
    assert end.value.code == 1
    run_dir = tmp_path / "run"
    assert caplog.messages == [
        f"WriteError: cannot write {run_dir}: No space left on device; "
        "free some space there, then run the same command again\n"
        f"no epoch was completed; the run folder, with its log:\n  {run_dir}",
        f"the failure is not recorded: cannot write {run_dir / 'result.json'}: full",
    ]
    assert run_and_record(done, config()) == 0.5


def test_the_cause_behind_lightnings_exit_is_recorded(config: Config, tmp_path: Path):
    def train(cfg: DictConfig) -> dict:  # noqa: ARG001
        try:
            raise RuntimeError("out of memory")
        except RuntimeError:
            raise SystemExit(1)  # noqa: B904

    with pytest.raises(SystemExit):
        run_and_record(train, config())
    result = RunResult.read(tmp_path / "run")
    assert result is not None
    assert result.error == "RuntimeError: out of memory"


@pytest.mark.usefixtures("sweeping")
def test_an_ended_reader_interrupts_a_run_and_keeps_its_exit_status(config: Config):
    error = SystemExit(141)
    error.__context__ = BrokenPipeError()
    with pytest.raises(SystemExit) as end:
        record_failure(config(), error)
    assert end.value.code == 141


def test_a_failure_says_how_to_continue(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.chdir(tmp_path)

    def train(cfg: DictConfig) -> dict:  # noqa: ARG001
        last_checkpoint(tmp_path / "run")
        raise KeyboardInterrupt

    for settings in (tmp_path / "run", Path("elsewhere"), None):  # the last as in a Python program
        monkeypatch.setattr(run, "settings_folder", lambda settings=settings: settings)
        with pytest.raises(SystemExit):
            run_and_record(train, config(overwrite=True))
    in_run_dir, elsewhere, in_python = caplog.messages
    assert in_run_dir.startswith("interrupted\nto go on after the last whole epoch:\n  ")
    assert in_run_dir.endswith("python -m mnist_exp.train resume=run")
    assert elsewhere.endswith("python -m mnist_exp.train resume=elsewhere")
    assert in_python.endswith("goes on after the last whole epoch with:\n  ckpt_path=run/checkpoints/last.ckpt")


def last_checkpoint(run_dir: Path, config: Any = None) -> None:
    (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 0, "config": config}, run_dir / "checkpoints" / "last.ckpt")
    (run_dir / LOCK).touch()  # as every run leaves it


def going_on(cfg: DictConfig) -> dict:
    return DONE | {"epoch": 7 if cfg.get("resume") else 1}


@pytest.mark.usefixtures("sweeping")
@pytest.mark.parametrize(
    ("changes", "epoch"), [({}, 7), ({"threads": 3}, 7), ({"lr": 0.5}, 1), ({"overwrite": True}, 1)]
)
def test_a_sweep_s_job_that_was_cut_off_goes_on_if_it_is_the_same(
    config: Config, tmp_path: Path, changes: dict[str, Any], epoch: int
):
    last_checkpoint(tmp_path / "run", OmegaConf.to_container(config()))
    run_and_record(going_on, config(**changes))
    result = RunResult.read(tmp_path / "run")
    assert result is not None
    assert result.epoch == epoch
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists() == (epoch == 7), (
        "what starts anew leaves nothing old"
    )


@pytest.mark.usefixtures("sweeping")
def test_a_job_with_a_torn_checkpoint_starts_again(config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    last_checkpoint(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"torn")
    assert run_and_record(going_on, config()) == 0.5
    assert "last.ckpt" in caplog.messages[0]
    assert caplog.messages[0].endswith("The job starts again")


def test_a_single_run_starts_again_unless_it_is_asked_to_go_on(config: Config, tmp_path: Path):
    last_checkpoint(tmp_path / "run", OmegaConf.to_container(config()))
    run_and_record(going_on, config())
    result = RunResult.read(tmp_path / "run")
    assert result is not None
    assert result.epoch == 1


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "name", ["checkpoints/best.ckpt", "checkpoints/last.ckpt", "predictions.npz", "events.out.tfevents.1"]
)
def test_files_that_no_run_has_written_are_not_removed(config: Config, tmp_path: Path, name: str, overwrite: bool):
    theirs = tmp_path / "run" / name
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    for _ in range(2):  # a start that was refused does not make the folder a run's
        with pytest.raises(ValueError, match=f"{name} would be lost.*choose another run_dir"):
            run_and_record(done, config(overwrite=overwrite))
    assert [file.name for file in theirs.parent.iterdir()] == [theirs.name]


def test_a_checkpoint_in_the_run_folder_itself_is_refused(config: Config, tmp_path: Path):
    last_checkpoint(tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError, match=r"in the run folder itself: resume=.*run goes on there"):
        run_and_record(done, config(ckpt_path=str(last)))
    assert last.exists()


def test_a_refused_resume_leaves_the_result_as_it_is(config: Config, tmp_path: Path):
    run = str(tmp_path / "run")
    cfg = config(trainer={"max_epochs": 2})
    run_and_record(done, cfg)
    before = (tmp_path / "run" / "result.json").read_bytes()
    with pytest.raises(ValueError, match=r"lr=0.5 \(was 0.001\)"):
        run_and_record(done, OmegaConf.merge(cfg, {"resume": run, "lr": 0.5}))
    assert run_and_record(failing(ValueError("not run")), OmegaConf.merge(cfg, {"resume": run})) == 0.5
    assert (tmp_path / "run" / "result.json").read_bytes() == before


def test_the_error_itself_is_raised_on_demand(config: Config, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="no"):
        run_and_record(failing(ValueError("no")), config())


def test_places_and_resources_are_no_part_of_the_recorded_configuration(config: Config):
    here, there = config(threads=1), config(threads=2, data_dir="elsewhere", logger=None, run_dir="other")
    assert recorded_config(here) == recorded_config(there)
    assert recorded_config(config(seed=1)) != recorded_config(here)
    assert identification(here)["config"]["threads"] is None


def test_a_sweeper_looks_at_validation_or_else_at_the_test():
    def result(**metrics: float) -> RunResult:
        return RunResult(status="finished", seed=0, overrides=[], config={}, metrics=metrics)

    assert objective(result(**{"val/acc": 0.5, "test/acc": 0.25})) == 0.5
    assert objective(result(**{"test/acc": 0.25})) == 0.25
    assert str(objective(result())) == "nan"


@pytest.mark.parametrize(("tested_epoch", "epoch", "acc"), [(1, 1, 0.9), (2, 2, 0.8), (None, 2, 0.8)])
def test_the_metrics_are_those_of_the_tested_epoch(tested_epoch: int | None, epoch: int, acc: float):
    history = SimpleNamespace(
        epochs=[{"epoch": 1, "val/acc": 0.9}, {"epoch": 2, "val/acc": 0.8}], images_per_second=5.0
    )
    weights, milestones = ChosenWeights(tested_epoch, {}), SimpleNamespace(results=[])
    results = training_results(trainer(), history, milestones, Stopwatch(), weights=weights, tested=2)
    assert results["epoch"] == epoch
    assert results["metrics"] == {"val/acc": acc, "test/acc": 0.75}
    assert results["history"] == history.epochs
    assert results["data"] == {"name": "csv", "fingerprint": "sha256:1", "train": 3, "val": 2, "test": 2}
    assert results["model"] == {"name": "mlp", "parameters": 6}
    assert results["environment"]["device"] == "cpu"


def test_a_run_without_a_whole_epoch_has_test_metrics_alone():
    history = SimpleNamespace(epochs=[], images_per_second=0.0)
    weights, milestones = ChosenWeights(None, {}), SimpleNamespace(results=[])
    results = training_results(trainer(), history, milestones, Stopwatch(), weights=weights, tested=4)
    assert results["epoch"] is None
    assert results["metrics"] == {"test/acc": 0.75}


def trainer() -> SimpleNamespace:
    model = nn.Linear(2, 2)
    model.name = "mlp"
    datamodule = SimpleNamespace(name="csv", fingerprint="sha256:1", train_indices=range(3), val_indices=range(2))
    metrics = {"test/acc": torch.tensor(0.75), "val/acc": torch.tensor(0.1)}
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(datamodule=datamodule, lightning_module=model, callback_metrics=metrics, strategy=strategy)


def test_a_gpu_has_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    strategy = SimpleNamespace(root_device=torch.device("cuda:1"))
    assert device_name(SimpleNamespace(strategy=strategy)) == "GPU cuda:1"

"""The Python API: what the command does, from a script or a notebook.

python -m pytest tests/test___init__.py -v
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from pytorch_lightning import Trainer

import mnist_exp
from mnist_exp.cli.overrides import OverrideError
from mnist_exp.data.csv_datamodule import CSVDataModule
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import ImageDataModule
from mnist_exp.models.checkpoint import CheckpointError, load_classifier
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.nets import MLP
from mnist_exp.models.scratch import ScratchClassifier
from mnist_exp.result import RunResult
from mnist_exp.train import train
from mnist_exp.training.lightning_messages import hide_messages

Compose = Callable[..., DictConfig]
QUICK = ["model=mlp", "model.net.hidden=8", "data.val_size=50", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_importing_the_package_imports_no_other():
    code = "import sys, mnist_exp; print(sorted({'torch', 'hydra', 'numpy', 'pytorch_lightning'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_compose_gives_the_configuration_of_the_command_with_a_new_run_folder_each_time(here: Path):
    first, second = (mnist_exp.compose("data=csv", "optimizer.lr=0.5") for _ in range(2))
    assert (first.optimizer.lr, first.data.name) == (0.5, "csv")
    assert "hydra" not in first
    assert OmegaConf.to_container(first, resolve=True) != OmegaConf.to_container(second, resolve=True)
    assert first.run_dir.startswith("outputs/runs/csv-cnn/")
    assert first.run_dir != second.run_dir
    assert list(here.iterdir()) == []


def test_compose_keeps_a_run_folder_that_is_given():
    assert mnist_exp.compose("run_dir=outputs/here").run_dir == "outputs/here"


def test_compose_reads_paths_and_lists_as_the_command_does():
    cfg = mnist_exp.compose("data=csv", "data.train_csv=my table (1).csv", "milestones=1")
    assert (cfg.data.train_csv, cfg.milestones) == ("my table (1).csv", [1])


def test_compose_leaves_out_the_arguments_of_a_replaced_class():
    cfg = mnist_exp.compose("optimizer._target_=torch.optim.NAdam", "optimizer.lr=0.5")
    assert "fused" in mnist_exp.compose().optimizer
    assert "fused" not in cfg.optimizer
    assert cfg.model.optimizer.lr == 0.5


def test_a_changed_configuration_changes_no_later_one():
    mnist_exp.compose().optimizer.lr = 9.0
    assert mnist_exp.compose().optimizer.lr != 9.0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.rl=1", "did you mean 'optimizer.lr'"),
        ("seed=0,1", "seed=0,1 is a sweep: compose one run at a time"),
        ("sweep=puzzle", "sweep=puzzle is a sweep"),
        ("resume=outputs/runs/a/1", "which only the command does"),
    ],
)
def test_compose_refuses_by_name(override: str, message: str):
    with pytest.raises(OverrideError, match=message):
        mnist_exp.compose(override)


@pytest.mark.usefixtures("small_mnist")
def test_run_leaves_the_run_folder_of_the_command_and_load_reads_it(here: Path, small_mnist: tuple[Digits, Digits]):
    cfg = mnist_exp.compose(*QUICK)
    run = mnist_exp.run(cfg)
    folder = here / run.folder
    assert run.result == RunResult.read(folder)
    assert run.result.status == "finished"
    assert {"result.json", "predictions.npz", "checkpoints"} <= {path.name for path in folder.iterdir()}
    for path in (cfg.run_dir, folder / "checkpoints" / "best.ckpt"):
        probs = mnist_exp.load(path).probabilities(small_mnist[1].images)
        assert np.allclose(probs, np.load(folder / "predictions.npz")["probs"], atol=1e-6)


def test_a_run_tells_its_figures_and_shows_them_in_a_notebook(here: Path, small_mnist: tuple[Digits, Digits]):
    run = mnist_exp.run(*QUICK, "trainer.max_epochs=2")
    assert run.test_acc == run.metrics["test/acc"] == run.result.metrics["test/acc"]
    assert run.history["epoch"].tolist() == [1, 2]
    assert f"{run.test_acc:.4f}" in run._repr_html_()
    assert "</svg>" in run._repr_html_()
    images = small_mnist[1].images
    assert torch.equal(run.load().predict(images), run.load().probabilities(images).argmax(1))
    assert mnist_exp.Run.read(run.folder) == run
    with pytest.raises(ValueError, match=r"holds no run that has ended"):
        mnist_exp.Run.read(here)


@pytest.mark.usefixtures("small_mnist")
def test_evaluation_predictions_and_comparison_give_what_the_commands_write(here: Path):
    run, other = (mnist_exp.run(*QUICK, f"seed={seed}") for seed in (0, 1))
    parts = mnist_exp.evaluation(run, "suite=test")
    assert parts.set_index("part").loc["test", "acc"] == pytest.approx(run.test_acc)
    Image.fromarray(np.zeros((30, 30), np.uint8)).save(here / "blank.png")
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 13:16] = 255
    Image.fromarray(digit).save(here / "one.png")
    read = mnist_exp.predictions(run, ["one.png", "blank.png"])
    assert read["file"].tolist() == ["one.png"]
    assert read["label"][0] == run.load().predict(digit)[0]
    assert list(read.attrs["failures"]) == ["blank.png"]
    report = mnist_exp.comparison(run, other)
    assert len(report.runs) == 2
    assert report.markdown.startswith("# ")
    with pytest.raises(OverrideError, match="did you mean"):
        mnist_exp.evaluation(run, "siute=test")


def test_only_what_there_is_can_be_imported():
    assert set(mnist_exp.__all__) <= set(dir(mnist_exp))
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        _ = mnist_exp.rnu


@pytest.mark.usefixtures("small_mnist")
def test_a_failed_run_raises_its_error_and_records_it(here: Path):
    cfg = mnist_exp.compose(*QUICK, "data.val_size=400")
    with pytest.raises(ValueError, match=r"data\.val_size"):
        mnist_exp.run(cfg)
    result = RunResult.read(here / cfg.run_dir)
    assert result is not None
    assert result.status == "failed"


@pytest.mark.usefixtures("small_mnist", "here")
def test_train_takes_what_compose_gives():
    assert train(mnist_exp.compose(*QUICK))["metrics"].keys() >= {"test/acc", "val/acc"}


def test_load_names_what_is_missing(here: Path):
    for path in (here, here / "missing.ckpt"):
        with pytest.raises(ValueError, match="no checkpoint at"):
            mnist_exp.load(path)


def test_load_takes_any_run_folder_and_latest(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    run_dir = checkpoint.parents[1]
    monkeypatch.setattr("mnist_exp.models.checkpoint_paths.OUTPUTS", run_dir.parent)
    (run_dir / ".hydra" / "config.yaml").touch()
    checkpoint.rename(checkpoint.with_name("last.ckpt"))  # a run that was cut off before its first best
    weights = [mnist_exp.load(path).state_dict() for path in (run_dir, str(run_dir), "latest")]
    assert all(torch.equal(each[key], weights[0][key]) for each in weights for key in weights[0])


@pytest.mark.parametrize("module", [ImageDataModule, CSVDataModule])
def test_a_data_module_needs_no_arguments(
    module: type[ImageDataModule | CSVDataModule], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MNIST_EXP_DATA", "elsewhere")
    datamodule = module()
    assert str(datamodule.data_dir) == "elsewhere"
    assert datamodule.name == {ImageDataModule: "image", CSVDataModule: "csv"}[module]
    monkeypatch.delenv("MNIST_EXP_DATA")
    assert str(module().data_dir) == "data"


@pytest.mark.usefixtures("small_mnist")
def test_model_and_data_work_with_a_trainer_of_ones_own(tmp_path: Path):
    hide_messages()
    datamodule = ImageDataModule(val_size=50, batch_size=10)
    model = DigitClassifier(name="mlp", net=MLP(hidden=8), optimizer=torch.optim.Adam)
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, datamodule)
    assert 0 <= trainer.test(model, datamodule, verbose=False)[0]["test/acc"] <= 1


def test_load_from_checkpoint_reads_safely_what_a_run_left(checkpoint: Path, small_digits: tuple[Digits, Digits]):
    model = DigitClassifier.load_from_checkpoint(checkpoint)
    images = small_digits[1].images
    assert not model.training
    assert torch.equal(model.probabilities(images), load_classifier(checkpoint)[0].probabilities(images))
    assert DigitClassifier.load_from_checkpoint(checkpoint, "cpu").device.type == "cpu"
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        DigitClassifier.load_from_checkpoint(checkpoint)


def test_load_from_checkpoint_refuses_another_class(checkpoint: Path):
    with pytest.raises(CheckpointError, match="holds a DigitClassifier, not a ScratchClassifier"):
        ScratchClassifier.load_from_checkpoint(checkpoint)

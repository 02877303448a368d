"""Evaluations against the runs they belong to: python -m pytest tests/test_evaluate.py -v"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_digits
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.digits import Digits
from mnist_exp.evaluate import chosen_dataset, evaluate
from mnist_exp.train import train
from mnist_exp.training.run import run_and_record

SmallMNIST = tuple[Digits, Digits]


def evaluated(*overrides: str) -> dict[str, Any]:
    """What the first checkpoint's file holds after the command."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        path = next(iter(evaluate(compose("evaluate", ["device=cpu", *overrides]))))
    return json.loads(path.read_text())


# --- the command ---


@pytest.mark.usefixtures("small_mnist")
def test_a_checkpoint_is_tested_on_its_own_data_set_with_its_own_class_names(clothes_checkpoint: Path):
    figures = evaluated(f"ckpt_path={clothes_checkpoint}")
    assert (clothes_checkpoint.parents[1] / "evaluation-test-fashion_mnist.json").exists()
    assert figures["suite"]["dataset"] == "fashion_mnist"
    assert list(figures["by_class"])[8:] == ["Bag", "Ankle boot"]


@pytest.mark.usefixtures("small_mnist")
def test_another_data_set_can_be_the_test_if_its_classes_are_the_same(checkpoint: Path):
    figures = evaluated(f"ckpt_path={checkpoint}", "dataset=qmnist")
    assert (checkpoint.parents[1] / "evaluation-test-qmnist.json").exists()
    assert figures["suite"]["dataset"] == "qmnist"
    with pytest.raises(ValueError, match="a checkpoint of MNIST does not know the classes of dataset=kmnist"):
        evaluated(f"ckpt_path={checkpoint}", "dataset=kmnist")


def test_checkpoints_of_several_data_sets_need_one_to_be_named():
    configs = [{"data": {}}, {"data": {"dataset": "qmnist"}}]
    assert chosen_dataset("emnist_digits", configs) == "emnist_digits"
    with pytest.raises(ValueError, match=r"choose one of them, dataset=mnist \| qmnist"):
        chosen_dataset("auto", configs)


def test_other_peoples_digits_are_no_test_of_a_model_of_clothes(
    clothes_checkpoint: Path, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(ValueError, match="suite=other_hands has nothing to test on"):
        evaluated(f"ckpt_path={clothes_checkpoint}", "suite=other_hands")
    assert "it has digits, and Fashion-MNIST has none" in caplog.text


@pytest.fixture
def run(composed: Callable[..., DictConfig], small_mnist: SmallMNIST, tmp_path: Path) -> Path:  # noqa: ARG001
    """A run on small data that is better than guessing, but makes mistakes."""
    run_and_record(train, composed("trainer.max_epochs=1", "optimizer.lr=0.003"))
    return tmp_path / "run"


def test_an_evaluation_gives_the_accuracy_of_the_run_also_on_images_in_files(
    run: Path, small_mnist: SmallMNIST, tmp_path: Path
):
    result = json.loads((run / "result.json").read_text())
    assert 0.2 < result["metrics"]["test/acc"] < 1
    save_pictures(tmp_path / "png", small_mnist[1])
    test, files = (
        evaluated(f"ckpt_path={run}/checkpoints/best.ckpt", *suite)
        for suite in ([], ["suite=folder", f"suite.path={tmp_path / 'png'}"])
    )
    assert test["acc"] == files["acc"] == pytest.approx(result["metrics"]["test/acc"], abs=1e-6)
    assert test["confusion"] == files["confusion"]


@pytest.mark.usefixtures("small_mnist")
def test_the_run_folder_holds_one_file_and_one_set_of_events_a_suite(checkpoint: Path):
    run_dir = checkpoint.parents[1]
    for _ in range(2):
        figures = evaluated(f"ckpt_path={checkpoint}")
    assert [path.name for path in run_dir.glob("evaluation*")] == ["evaluation-test.json"]
    assert len(list(run_dir.glob("events.*.evaluation-test"))) == 1
    assert figures.keys() >= {"acc", "n", "ece", "by_class", "by_subset", "confusion", "fingerprint", "environment"}
    assert figures["suite"]["name"] == "test"
    assert figures["checkpoint"]["path"] == str(checkpoint)


@pytest.mark.usefixtures("small_mnist")
def test_tensorboard_gets_the_accuracy_and_the_worst_mistakes(checkpoint: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    figures = evaluated(f"ckpt_path={checkpoint}")
    events = EventAccumulator(str(next(checkpoint.parents[1].glob("events.*")))).Reload()
    assert events.Scalars("test/acc")[0].value == pytest.approx(figures["acc"])
    assert events.Scalars("test/acc")[0].step == 2
    assert events.Tags()["images"] == ["test/worst_mistakes"]


@pytest.mark.usefixtures("small_mnist")
def test_each_of_several_checkpoints_gets_its_own_evaluation(checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    other = checkpoint.parents[2] / "other" / "checkpoints" / "best.ckpt"
    other.parent.mkdir(parents=True)
    (other.parents[1] / ".hydra").mkdir()
    other.write_bytes(checkpoint.read_bytes())
    evaluated(f"ckpt_path=[{checkpoint},{other}]")
    assert all((path.parents[1] / "evaluation-test.json").exists() for path in (checkpoint, other))
    assert capsys.readouterr().out.count("evaluation-test.json") == 2


def save_pictures(folder: Path, digits: Digits) -> None:
    for index, (image, label) in enumerate(zip(digits.images, digits.labels.tolist(), strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(folder / str(label) / f"{index}.png")


def test_a_picture_of_two_digits_counts_as_a_wrong_answer_and_is_named(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    digits = make_digits(10)
    save_pictures(tmp_path / "mine", digits)
    path = f"suite.path={tmp_path / 'mine'}"
    without = evaluated(f"ckpt_path={checkpoint}", "suite=folder", path)
    two = Image.fromarray(255 - np.hstack(digits.images[[2, 7]].numpy())).resize((560, 280))
    two.save(tmp_path / "mine" / "7" / "two.png")
    found = evaluated(f"ckpt_path={checkpoint}", "suite=folder", path)
    assert (without["n"], found["n"], found["by_class"]["7"]["n"], found["by_subset"]["mine"]["n"]) == (10, 11, 2, 11)
    assert found["acc"] == found["by_subset"]["mine"]["acc"] == without["acc"] * 10 / 11
    assert found["confusion"] == without["confusion"]
    [refused] = found["refused"]
    assert (Path(refused["file"]).name, refused["label"]) == ("two.png", 7)
    assert f"two.png: {refused['reason']}" in capsys.readouterr().out


def test_digits_with_rows_and_columns_exchanged_are_warned_of(
    run: Path, small_mnist: SmallMNIST, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    images, labels = small_mnist[1].images.numpy(), small_mnist[1].labels.numpy()
    for name, stored in (("right", images), ("emnist", images.transpose(0, 2, 1))):
        np.savez(tmp_path / f"{name}.npz", images=stored, labels=labels)
        caplog.clear()
        evaluated(f"ckpt_path={run}/checkpoints/best.ckpt", "suite=npz", f"suite.path={tmp_path / name}.npz")
        assert any("rows and columns exchanged" in message for message in caplog.messages) == (name == "emnist")


@pytest.mark.parametrize(
    ("overrides", "fragment"),
    [
        ([], "ckpt_path=... is needed"),
        (["ckpt_path=a/checkpoints/best.ckpt", "suite=npz"], "suite.path"),
        (["ckpt_path=[a/checkpoints/best.ckpt,a/checkpoints/last.ckpt]"], "two checkpoints of one run"),
        (["ckpt_path=a/best.ckpt"], "no checkpoint at a/best.ckpt"),
    ],
)
def test_the_message_says_what_is_missing(overrides: list[str], fragment: str):
    with pytest.raises(ValueError, match=fragment):
        evaluated(*overrides)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_an_error_is_one_line_and_leaves_no_file(tmp_path: Path, command: str):
    done = subprocess.run(
        [sys.executable, "-m", f"mnist_exp.{command}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ckpt_path=... is needed")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

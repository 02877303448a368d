"""Evaluations against the runs they belong to: python -m pytest tests/test_evaluate.py -v"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console

from mnist_exp.analysis.scores import gallery, score, table, worst
from mnist_exp.cli.overrides import CONF
from mnist_exp.data.digits import Digits
from mnist_exp.evaluate import evaluate
from mnist_exp.train import train
from mnist_exp.training.run import run_and_record

SmallMNIST = tuple[Digits, Digits]


def evaluated(*overrides: str) -> dict[str, Any]:
    """What the first checkpoint's file holds after the command."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        path = next(iter(evaluate(compose("evaluate", ["device=cpu", *overrides]))))
    return json.loads(path.read_text())


@pytest.fixture
def three() -> tuple[dict[str, Digits], dict[str, np.ndarray]]:
    """Two subsets of a family and one without, with answers: 4 of 5 right."""
    labels = {"pen/thin": [0, 1], "pen/thick": [1, 1], "paper": [7]}
    preds = {"pen/thin": [0, 1], "pen/thick": [1, 7], "paper": [7]}
    subsets = {
        name: Digits(torch.zeros(len(own), 28, 28, dtype=torch.uint8), torch.tensor(own))
        for name, own in labels.items()
    }
    return subsets, {name: np.eye(10, dtype=np.float32)[own] for name, own in preds.items()}


# --- figures ---


def test_figures_by_hand(three: tuple[dict[str, Digits], dict[str, np.ndarray]]):
    figures = score(*three)
    assert (figures["acc"], figures["n"], figures["ece"]) == (0.8, 5, pytest.approx(0.2))
    assert figures["by_class"]["1"] == {"acc": pytest.approx(2 / 3), "n": 3}
    assert figures["by_class"]["9"] == {"acc": None, "n": 0}
    assert {name: part["acc"] for name, part in figures["by_subset"].items()} == {
        "pen": 0.75, "pen/thin": 1, "pen/thick": 0.5, "paper": 1
    }  # fmt: skip
    assert [name for name, part in figures["by_subset"].items() if "interval" not in part] == ["pen"]
    assert figures["confusion"][1] == [0, 2, 0, 0, 0, 0, 0, 1, 0, 0]


def test_the_worst_mistakes_are_the_most_confident(small_digits: SmallMNIST):
    digits = Digits(small_digits[1].images[:3], torch.tensor([0, 1, 2]))
    probs = np.full((3, 10), 0.04, np.float32)
    probs[[0, 1, 2], [0, 2, 3]] = [0.9, 0.6, 0.8]
    assert worst(digits, probs, 36) == [2, 1]
    sheet = gallery({"test": digits}, {"test": probs})
    first = sheet[:140, :140]
    assert np.array_equal(first, digits.images[2].numpy().repeat(5, axis=0).repeat(5, axis=1))


def test_the_table_sets_checkpoints_side_by_side(three: tuple[dict[str, Digits], dict[str, np.ndarray]]):
    runs = [score(*three) | {"checkpoint": {"name": name}} for name in ("image-cnn", "csv-cnn")]
    console = Console(width=120, record=True, file=sys.stderr)
    console.print(table("mine", runs))
    text = console.export_text()
    assert "image-cnn" in text
    assert "csv-cnn" in text
    assert text.count("50.00 (9.45–90.55)") == 2


# --- the command ---


@pytest.fixture
def run(composed: Callable[..., DictConfig], small_mnist: SmallMNIST, tmp_path: Path) -> Path:  # noqa: ARG001
    """A run on small data that has learnt something, and not all."""
    run_and_record(train, composed("trainer.max_epochs=1", "optimizer.lr=0.003"))
    return tmp_path / "run"


def test_a_checkpoint_scores_what_its_run_said_and_so_do_its_images_as_files(
    run: Path, small_mnist: SmallMNIST, tmp_path: Path
):
    result = json.loads((run / "result.json").read_text())
    assert 0.2 < result["metrics"]["test/acc"] < 1
    for index, (image, label) in enumerate(zip(*small_mnist[1][torch.arange(60)], strict=True)):
        (tmp_path / "png" / str(int(label))).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(tmp_path / "png" / str(int(label)) / f"{index}.png")
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
def test_several_checkpoints_each_keep_their_own(checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    other = checkpoint.parents[2] / "other" / "checkpoints" / "best.ckpt"
    other.parent.mkdir(parents=True)
    other.write_bytes(checkpoint.read_bytes())
    evaluated(f"ckpt_path=[{checkpoint},{other}]")
    assert all((path.parents[1] / "evaluation-test.json").exists() for path in (checkpoint, other))
    assert capsys.readouterr().out.count("evaluation-test.json") == 2


@pytest.mark.parametrize(
    ("overrides", "fragment"),
    [
        ([], "ckpt_path=... is needed"),
        (["ckpt_path=a/checkpoints/best.ckpt", "suite=npz"], "suite.path"),
        (["ckpt_path=[a/checkpoints/best.ckpt,a/checkpoints/last.ckpt]"], "twice"),
        (["ckpt_path=a/best.ckpt"], "no checkpoint at a/best.ckpt"),
    ],
)
def test_what_cannot_be_tested_is_told(overrides: list[str], fragment: str):
    with pytest.raises(ValueError, match=fragment):
        evaluated(*overrides)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_mistake_ends_the_command_with_one_line_and_leaves_no_file(tmp_path: Path, command: str):
    done = subprocess.run(
        [sys.executable, "-m", f"mnist_exp.{command}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ckpt_path=... is needed")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

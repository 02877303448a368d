from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_exp.analysis import figures
from mnist_exp.train import train
from mnist_exp.training.tensorboard import LAYOUT, hyperparameters

Compose = Callable[..., DictConfig]


@pytest.mark.usefixtures("small_mnist")
def test_a_run_shows_its_curves_over_epochs_its_test_and_its_hyperparameters(composed: Compose, tmp_path: Path):
    train(composed())
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("val/acc")] == [1, 2]
    assert set(events.Tags()["scalars"]) >= {"train/loss", "test/acc", "images_per_second", "lr"}
    assert set(events.Tags()["images"]) == {f"test/{name}" for name in PANELS}
    plugins = events.summary_metadata
    assert "_hparams_/session_start_info" in plugins
    assert "custom_scalars__config__" in plugins


PANELS = ("confusion", "by_class", "worst_mistakes", "calibration")


def test_hyperparameters_are_flat_and_name_the_optimizer_that_is_used(composed: Compose):
    cfg = OmegaConf.to_container(composed("model=scratch", "data=csv"), resolve=True)
    flat = hyperparameters(cfg)  # type: ignore[arg-type]
    assert flat["optimizer"] == "SGD"
    assert flat["lr"] == 0.1
    assert all(isinstance(value, (str, int, float, bool)) for value in flat.values())


def test_the_charts_of_all_runs_are_called_so_and_take_whole_tags():
    assert list(LAYOUT) == ["all runs"]
    tags = [tag for _, (tag,) in LAYOUT["all runs"].values()]
    assert "^val/acc$" in tags
    assert all(tag.startswith("^") and tag.endswith("$") for tag in tags)


def test_a_model_without_mistakes_can_be_drawn():
    labels, images = np.arange(10), np.zeros((10, 28, 28), np.uint8)
    probs = np.eye(10, dtype=np.float32)
    assert figures.most_confident_mistakes(probs, labels, images, count=20) == []
    drawn = (figures.mistakes({"No mistakes": []}), figures.reliability_diagram(probs, labels))
    for figure in drawn:
        assert figures.pixels(figure).shape[2] == 3

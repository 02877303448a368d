"""The ten mean images, against a group-by of pandas.

python -m pytest tests/test_mean_digit.py -v
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_exp.data.digits import Digits
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.mean_digit import MeanDigitClassifier, NearestMean
from mnist_exp.train import train

Compose = Callable[..., DictConfig]


def trained(cfg: DictConfig) -> tuple[MeanDigitClassifier, dict[str, Any]]:
    result = train(cfg)
    model, _ = load_classifier(Path(cfg.run_dir) / "checkpoints" / "best.ckpt")
    assert isinstance(model, MeanDigitClassifier)
    return model, result


def test_the_nearest_mean_wins():
    net = NearestMean(temperature=1.0)
    net.means.data = torch.eye(10, 28 * 28)
    x = 0.6 * torch.eye(10, 28 * 28)[[3, 7]] + 0.4 * torch.eye(10, 28 * 28)[[5, 2]]
    assert net(x.view(2, 1, 28, 28)).argmax(dim=1).tolist() == [3, 7]


@pytest.mark.parametrize("standardize", ["true", "false"])
def test_means_are_those_of_a_groupby(composed: Compose, small_mnist: tuple[Digits, Digits], standardize: str):
    train_set, _ = small_mnist
    model, _ = trained(composed("model=mean_digit", "data.val_size=0", f"model.standardize={standardize}"))
    means = pd.DataFrame(train_set.images.flatten(1).numpy()).groupby(train_set.labels.numpy()).mean()
    assert torch.allclose(model.pictures().flatten(1), torch.tensor(means.values / 255).float(), atol=1e-6)


@pytest.mark.usefixtures("small_mnist")
def test_neither_order_nor_batch_size_changes_a_bit(composed: Compose):
    one, _ = trained(composed("model=mean_digit", "data.batch_size=7", folder="one"))
    other, _ = trained(composed("model=mean_digit", "data.shuffle=false", folder="other"))
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.usefixtures("small_mnist")
def test_training_stops_by_itself_after_one_epoch(composed: Compose):
    _, result = trained(composed("model=mean_digit", "trainer.max_epochs=5"))
    assert [row["epoch"] for row in result["history"]] == [1]
    assert result["model"] == {"name": "mean_digit", "parameters": 10 * 28 * 28 + 1}
    assert result["metrics"]["test/acc"] > 0.3  # guessing: 0.1


@pytest.mark.usefixtures("small_mnist")
def test_a_single_image_a_step_gives_finite_losses(composed: Compose):
    _, result = trained(composed("model=mean_digit", "data.batch_size=1", "trainer.limit_train_batches=100"))
    assert result["metrics"]["test/loss"] < 10


@pytest.mark.usefixtures("small_mnist")
def test_tensorboard_shows_the_means(composed: Compose, tmp_path: Path):
    train(composed("model=mean_digit"))
    (image,) = EventAccumulator(str(tmp_path / "run")).Reload().Images("mean_digits")
    assert (image.height, image.width) == (28, 280)

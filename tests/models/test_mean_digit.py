"""The ten mean images, against a group-by of pandas.

python -m pytest tests/models/test_mean_digit.py -v
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
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


def test_logits_are_log_likelihoods_of_a_gaussian_up_to_what_all_digits_share():
    torch.manual_seed(0)
    net = NearestMean(temperature=3.0)
    net.means.data, net.variance.data = torch.randn(10, 784), torch.tensor(2.0)
    x = torch.randn(4, 1, 28, 28)
    distances = torch.stack([((x.flatten(1) - mean) ** 2).sum(dim=1) for mean in net.means], dim=1)
    expected = (-distances / (2 * 2.0 * 3.0)).log_softmax(dim=1)
    assert torch.allclose(net(x).log_softmax(dim=1), expected, atol=1e-3)


def test_a_fresh_network_has_black_means_and_guesses():
    net = NearestMean(temperature=30.0)
    assert net(torch.rand(2, 1, 28, 28)).softmax(dim=1).tolist() == [pytest.approx([0.1] * 10)] * 2


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_the_temperature_is_above_0(temperature: float):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        NearestMean(temperature=temperature)


class OneProcess:
    """A trainer in whose strategy a sum over all processes is this one's."""

    class strategy:  # noqa: N801
        reduce = staticmethod(lambda value, reduce_op: value)  # noqa: ARG005


@pytest.mark.parametrize("standardize", [True, False])
def test_mean_and_variance_are_those_of_numpy(small_digits: tuple[Digits, Digits], standardize: bool):
    images, labels = small_digits[0].images, small_digits[0].labels
    model = MeanDigitClassifier(name="mean", net=NearestMean(temperature=1.0), standardize=standardize)
    trainer = OneProcess()  # the model refers to it weakly
    model.trainer = trainer
    for part in (slice(0, 120), slice(120, 300)):
        with torch.no_grad():
            model.add_to_means(images[part], labels[part])
    x = images.flatten(1).numpy() / 255
    x = (x - 0.1307) / 0.3081 if standardize else x
    means = np.stack([x[labels.numpy() == digit].mean(axis=0) for digit in range(10)])
    assert np.allclose(model.net.means.detach().numpy(), means, atol=1e-5)
    assert model.net.variance.item() == pytest.approx(((x - means[labels.numpy()]) ** 2).mean(), rel=1e-4)
    pictures = model.pictures()
    assert pictures.shape == (10, 28, 28)
    assert np.allclose(pictures[3].numpy(), images[labels == 3].float().mean(dim=0).numpy() / 255, atol=1e-5)


def test_a_single_image_has_the_smallest_variance_and_unseen_digits_are_black():
    model = MeanDigitClassifier(name="mean", net=NearestMean(temperature=1.0), standardize=False)
    trainer = OneProcess()  # the model refers to it weakly
    model.trainer = trainer
    with torch.no_grad():
        model.add_to_means(torch.full((1, 28, 28), 51, dtype=torch.uint8), torch.tensor([4]))
    assert model.net.variance.item() == pytest.approx(1 / 255**2)
    assert torch.allclose(model.net.means[4], torch.full((784,), 0.2))
    assert model.net.means.sum().item() == pytest.approx(0.2 * 784, rel=1e-5)


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

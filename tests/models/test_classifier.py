"""The classifier: preprocessing, metrics, training steps. python -m pytest tests/models/test_classifier.py -v"""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from mnist_exp.models.classifier import MNIST_MEAN, MNIST_STD, DigitClassifier, EpochMetrics, NonFiniteLossError
from mnist_exp.models.nets import CNN, MLP
from mnist_exp.training.lightning_messages import hide_messages


class Pixels(nn.Module):
    """Shows what a network would see: the first ten pixels as logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :10]


def linear(**settings: Any) -> DigitClassifier:
    """A network of one layer, quick to train."""
    torch.manual_seed(0)
    settings = {"optimizer": partial(torch.optim.SGD, lr=0.1)} | settings
    return DigitClassifier(name="linear", net=nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), **settings)


def random_batches(count: int, size: int = 8) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randint(0, 256, (size, 28, 28), dtype=torch.uint8, generator=generator), torch.arange(size) % 10)
        for _ in range(count)
    ]


def fit(model: DigitClassifier, batches: Iterable[Any], *, epochs: int = 1) -> Trainer:
    hide_messages()
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    return trainer


# --- images in, probabilities out ---


def test_the_mean_and_deviation_of_mnist():
    assert (MNIST_MEAN, MNIST_STD) == (0.1307, 0.3081)


@pytest.mark.parametrize(
    ("standardize", "black", "white"), [(False, 0, 1), (True, -MNIST_MEAN / MNIST_STD, (1 - MNIST_MEAN) / MNIST_STD)]
)
def test_pixels_are_scaled_inside(standardize: bool, black: float, white: float):
    model = DigitClassifier(name="pixels", net=Pixels(), standardize=standardize)
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[0, 0, 1] = 255
    assert model(images)[0, :2].tolist() == pytest.approx([black, white], abs=1e-6)


def test_pixels_are_standardized_unless_told_otherwise():
    images = torch.full((1, 28, 28), 7, dtype=torch.uint8)
    default, asked = (DigitClassifier(name="a", net=Pixels(), **how) for how in ({}, {"standardize": True}))
    assert torch.equal(default(images), asked(images))


def test_probabilities_add_up_to_one_however_images_are_batched():
    model = DigitClassifier(name="mlp", net=MLP(hidden=16)).eval()
    images = torch.randint(0, 256, (7, 28, 28), dtype=torch.uint8)
    probs = model.probabilities(images, batch_size=3)
    assert torch.allclose(probs.sum(1), torch.ones(7))
    assert torch.allclose(probs, model.probabilities(images))
    assert torch.allclose(probs, model(images).softmax(dim=1))
    assert model.probabilities(images[:0]).shape == (0, 10)


def test_probabilities_are_computed_a_thousand_images_at_a_time():
    sizes = []

    class Watched(Pixels):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return super().forward(x)

    DigitClassifier(name="watched", net=Watched()).probabilities(torch.zeros(2001, 28, 28, dtype=torch.uint8))
    assert sizes == [1000, 1000, 1]


def test_weights_of_convolutions_are_channels_last():
    model = DigitClassifier(name="cnn", net=CNN())
    assert model.net[3].weight.is_contiguous(memory_format=torch.channels_last)


def test_an_untrained_network_guesses():
    model = DigitClassifier(name="cnn", net=CNN())
    images, labels = torch.randint(0, 256, (64, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (64,))
    loss = nn.functional.cross_entropy(model(images), labels)
    assert loss.item() == pytest.approx(math.log(10), rel=0.1)


# --- metrics ---


def test_metrics_weigh_every_image_alike_also_in_a_short_last_batch():
    metrics = EpochMetrics()
    right, wrong = torch.eye(10)[[3]], torch.eye(10)[[4]]
    metrics.update(torch.tensor(1.0), right.repeat(4, 1), torch.full((4,), 3))
    metrics.update(torch.tensor(2.0), wrong, torch.tensor([3]))
    metrics.update(torch.tensor(0.0), wrong[:0], torch.tensor([], dtype=torch.int64))
    assert {key: float(value) for key, value in metrics.compute().items()} == pytest.approx({"loss": 1.2, "acc": 0.8})


def test_reset_forgets_the_epoch():
    metrics = EpochMetrics()
    metrics.update(torch.tensor(9.0), torch.eye(10)[[4]], torch.tensor([3]))
    metrics.compute()
    metrics.reset()
    metrics.update(torch.tensor(1.0), torch.eye(10)[[3]], torch.tensor([3]))
    assert {key: float(value) for key, value in metrics.compute().items()} == {"loss": 1.0, "acc": 1.0}


def test_the_first_loss_that_is_not_finite_is_found():
    metrics = EpochMetrics()
    for loss in (1.0, 2.0, math.inf, math.nan):
        metrics.update(torch.tensor(loss), torch.eye(10)[[3]], torch.tensor([3]))
        assert metrics.first_non_finite() == (None if loss < 3 else 2)


@pytest.mark.parametrize(("stage", "epoch"), [("train", 3), ("val", 3), ("test", 2)])
def test_epochs_are_counted_from_one_and_the_test_comes_after_the_last(
    stage: str, epoch: int, monkeypatch: pytest.MonkeyPatch
):
    model, logged = linear(), {}
    monkeypatch.setattr(DigitClassifier, "current_epoch", 2)  # Lightning counts from 0, and one more after the fit
    monkeypatch.setattr(model, "log_dict", lambda values, **_: logged.update(values))
    metrics = EpochMetrics()
    metrics.update(torch.tensor(1.0), torch.eye(10)[[3]], torch.tensor([3]))
    model.log_epoch(stage, metrics)
    assert logged == {f"{stage}/loss": 1.0, f"{stage}/acc": 1.0, "step": epoch}
    assert metrics.batches == []


def test_each_split_has_metrics_of_its_own():
    model, batch = linear(), random_batches(1)[0]
    model.validation_step(batch, 0)
    model.test_step(batch, 0)
    model.test_step(batch, 0)
    counts = [len(metrics.batches) for metrics in (model.train_metrics, model.val_metrics, model.test_metrics)]
    assert counts == [0, 1, 2]


# --- training ---


def test_a_step_of_training_is_the_formula():
    """Softmax regression by hand: gradient = (probabilities - one-hot labels) x, averaged over the batch."""
    model, (batch,) = linear(standardize=False), random_batches(1)
    layer = model.net[1]
    weights, biases = layer.weight.detach().clone(), layer.bias.detach().clone()
    fit(model, [batch])
    x = batch[0].flatten(1) / 255
    errors = (x @ weights.T + biases).softmax(dim=1) - nn.functional.one_hot(batch[1], 10)
    assert torch.allclose(layer.weight, weights - 0.1 * errors.T @ x / len(x), atol=1e-6)
    assert torch.allclose(layer.bias, biases - 0.1 * errors.mean(dim=0), atol=1e-6)


def test_only_training_is_augmented():
    def invert(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return 255 - images

    (images, labels), seen = random_batches(1)[0], []
    model = linear(augment=invert)
    model.net.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    fit(model, [(images, labels)])
    model.validation_step((images, labels), 0)
    model.test_step((images, labels), 0)
    plain = images[:, None] * model.scale + model.shift
    assert torch.allclose(seen[0], (255 - images)[:, None] * model.scale + model.shift)
    assert torch.equal(seen[1], plain)
    assert torch.equal(seen[2], plain)


def test_labels_are_smoothed_in_training_and_nowhere_else():
    model = DigitClassifier(name="pixels", net=Pixels(), standardize=False, label_smoothing=0.2)
    images, labels = torch.zeros(1, 28, 28, dtype=torch.uint8), torch.tensor([3])
    images[0, 0, 3] = 255  # a logit of 1 for the true digit, 0 for the nine others
    rest = math.log(math.e + 9)
    trained, _ = model.train().loss_and_logits(images, labels)
    tested, _ = model.eval().loss_and_logits(images, labels)
    assert tested.item() == pytest.approx(rest - 1)
    assert trained.item() == pytest.approx(rest - 0.82)  # 0.8 and a tenth of 0.2 on the true digit
    assert linear().label_smoothing == 0


def test_an_empty_batch_has_the_loss_0():
    images, labels = random_batches(1)[0]
    loss, _ = linear().loss_and_logits(images[:0], labels[:0])
    assert loss.item() == 0


def test_the_schedule_has_a_step_for_every_batch():
    rates, totals = [], []

    def schedule(optimizer: torch.optim.Optimizer, *, total_steps: int) -> LambdaLR:
        totals.append(total_steps)
        return LambdaLR(optimizer, lambda step: rates.append(step) or 1 / (step + 1))

    trainer = fit(linear(scheduler=schedule), random_batches(3), epochs=2)
    assert totals == [6]
    assert rates == [0, 1, 2, 3, 4, 5, 6]
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 7)


@pytest.mark.parametrize(("count", "bad", "seen"), [(5, 2, 5), (100, 50, 100), (250, 50, 100), (250, 120, 200)])
def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(count: int, bad: int, seen: int):
    """The losses are looked at after every hundredth batch, and after the last."""
    batches, steps = random_batches(count, size=1), []

    def spoil(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        steps.append(len(steps) + 1)
        if len(steps) == bad:
            model.net[1].weight.data.fill_(torch.nan)
        return images

    model = linear(augment=spoil)
    with pytest.raises(NonFiniteLossError, match=rf"at batch {bad} of epoch 1, learning rate 0\.1: .*smaller learning"):
        fit(model, batches)
    assert len(steps) == seen


def test_a_model_without_an_optimizer_cannot_be_trained():
    with pytest.raises(ValueError, match=r"set model\.optimizer"):
        linear(optimizer=None).configure_optimizers()


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 1, 28, 28), (28, 28), (0, 28, 28)])
def test_images_of_these_shapes_are_taken(shape: tuple[int, ...]):
    model = DigitClassifier(name="mlp", net=MLP(hidden=8)).eval()
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    expected = model.probabilities(images.reshape(-1, 28, 28))
    assert torch.equal(model.probabilities(images), expected)
    assert torch.equal(model.probabilities(images.numpy()), expected)
    assert torch.equal(model(images).softmax(dim=1), expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(3, 28, 28), r"type torch.float32, not torch.uint8.*255 \* images"),
        (torch.zeros(3, 28, 28, dtype=torch.int64), "type torch.int64"),
        (torch.zeros(3, 784, dtype=torch.uint8), r"shape \(3, 784\)"),
        (torch.zeros(3, 3, 28, 28, dtype=torch.uint8), r"shape \(3, 3, 28, 28\)"),
        (torch.zeros(28, dtype=torch.uint8), r"shape \(28,\)"),
        (torch.zeros(3, 28, 27, dtype=torch.uint8), r"shape \(3, 28, 27\)"),
    ],
)
def test_other_images_are_refused_by_name(images: torch.Tensor, message: str):
    model = DigitClassifier(name="mlp", net=MLP(hidden=8))
    for answer in (model, model.probabilities):
        with pytest.raises(ValueError, match=message):
            answer(images)

import math
from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from mnist_exp.models.classifier import MNIST_MEAN, MNIST_STD, DigitClassifier, EpochMetrics, NonFiniteLossError
from mnist_exp.models.nets import CNN, MLP, ConvNet, FastNet, FlattenChannelsLast
from mnist_exp.training.lightning_messages import hide_messages


class Pixels(nn.Module):
    """Shows what a network would see: the first ten pixels as logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :10]


def test_flatten_of_channels_last_is_a_view():
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    flat = FlattenChannelsLast()(x)
    assert flat.data_ptr() == x.data_ptr()
    assert torch.equal(flat, torch.stack([x[:, :, i, j] for i in range(4) for j in range(5)], 1).flatten(1))


@pytest.mark.parametrize(
    ("net", "parameters"), [(CNN(), 80_202), (MLP(), 669_706), (ConvNet(), 685_162), (FastNet(), 53_962)]
)
def test_uint8_in_logits_out(net: nn.Module, parameters: int):
    model = DigitClassifier(name="net", net=net)
    assert model(torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)).shape == (5, 10)
    assert sum(weights.numel() for weights in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("standardize", "black", "white"), [(False, 0, 1), (True, -MNIST_MEAN / MNIST_STD, (1 - MNIST_MEAN) / MNIST_STD)]
)
def test_pixels_are_scaled_inside(standardize: bool, black: float, white: float):
    model = DigitClassifier(name="pixels", net=Pixels(), standardize=standardize)
    images = torch.zeros(1, 28, 28, dtype=torch.uint8)
    images[0, 0, 1] = 255
    assert model(images)[0, :2].tolist() == pytest.approx([black, white], abs=1e-6)


def test_probabilities_add_up_to_one_however_images_are_batched():
    model = DigitClassifier(name="mlp", net=MLP()).eval()
    images = torch.randint(0, 256, (7, 28, 28), dtype=torch.uint8)
    probs = model.probabilities(images, batch_size=3)
    assert torch.allclose(probs.sum(1), torch.ones(7))
    assert torch.allclose(probs, model.probabilities(images))
    assert model.probabilities(images[:0]).shape == (0, 10)


def test_metrics_weigh_every_image_alike_also_in_a_short_last_batch():
    metrics = EpochMetrics()
    right, wrong = torch.eye(10)[[3]], torch.eye(10)[[4]]
    metrics.update(torch.tensor(1.0), right.repeat(4, 1), torch.full((4,), 3))
    metrics.update(torch.tensor(2.0), wrong, torch.tensor([3]))
    metrics.update(torch.tensor(0.0), wrong[:0], torch.tensor([], dtype=torch.int64))
    assert {key: float(value) for key, value in metrics.compute().items()} == pytest.approx({"loss": 1.2, "acc": 0.8})


def test_a_loss_that_is_not_finite_stops_the_run_and_tells_where():
    model = DigitClassifier(name="mlp", net=MLP(), optimizer=partial(torch.optim.SGD, lr=1e30))
    hide_messages()
    batches = [(torch.randint(0, 256, (8, 28, 28), dtype=torch.uint8), torch.arange(8)) for _ in range(5)]
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(NonFiniteLossError, match=r"batch \d of epoch 1.*smaller learning rate"):
        trainer.fit(model, DataLoader(batches, batch_size=None))


def test_an_untrained_network_guesses():
    model = DigitClassifier(name="cnn", net=CNN())
    images, labels = torch.randint(0, 256, (64, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (64,))
    loss = nn.functional.cross_entropy(model(images), labels)
    assert loss.item() == pytest.approx(math.log(10), rel=0.1)


def test_labels_are_smoothed_in_training_and_nowhere_else():
    model = DigitClassifier(name="pixels", net=Pixels(), standardize=False, label_smoothing=0.2)
    images, labels = torch.zeros(1, 28, 28, dtype=torch.uint8), torch.tensor([3])
    images[0, 0, 3] = 255  # a logit of 1 for the true digit, 0 for the nine others
    rest = math.log(math.e + 9)
    trained, _ = model.train().shared_step((images, labels), EpochMetrics())
    tested, _ = model.eval().shared_step((images, labels), EpochMetrics())
    assert tested.item() == pytest.approx(rest - 1)
    assert trained.item() == pytest.approx(rest - 0.82)  # 0.8 and a tenth of 0.2 on the true digit

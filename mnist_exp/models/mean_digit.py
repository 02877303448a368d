"""The mean image of each digit: a picture that looks most like the mean seven is a seven.

There is no gradient and no optimizer. Training averages the images of each digit, and sees each image once.

python -m mnist_exp.train model=mean_digit
"""

from functools import partial
from typing import Any

import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.optim import SGD

from mnist_exp.models.classifier import DigitClassifier


class NearestMean(nn.Module):
    """Images (B, 1, 28, 28) -> logits (B, 10). The nearer an image is to a digit's mean, the larger the digit's logit.

    This is a Gaussian model: a digit is its mean plus noise of the same variance in all pixels and all digits. The
    logits are the log-likelihoods without the part that all ten share, divided by `temperature`.

    temperature: above 0. At 1 the pixels count as independent, and the model is far too sure, since in truth they
        vary together. A larger value lowers the confidence. It never changes which digit is predicted.
    """

    def __init__(self, *, temperature: float) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, not {temperature}")
        self.temperature = temperature
        self.means = nn.Parameter(torch.zeros(10, 28 * 28))
        self.variance = nn.Parameter(torch.ones(()))  # of a pixel about its mean

    def forward(self, x: Tensor) -> Tensor:
        # -|x - mean|²/2 = x·mean - |mean|²/2 - |x|²/2. The last term is the same for all ten digits and left out.
        nearness = x.flatten(1) @ self.means.T - self.means.square().sum(dim=1) / 2  # (B, 10)
        return nearness / (self.variance * self.temperature)


class MeanDigitClassifier(DigitClassifier):
    """A `DigitClassifier` for a `NearestMean`, trained in one epoch.

    It sums pixels as whole numbers, so the means do not depend on the order of the images, the batch size or the number
    of processes: they are equal bit for bit.
    """

    net: NearestMean
    counts: Tensor
    sums: Tensor
    squares: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, shape in {"counts": (10,), "sums": (10, 28 * 28), "squares": ()}.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64), persistent=False)

    def configure_optimizers(self) -> SGD:
        # With a learning rate of 0 it changes nothing. Lightning saves no checkpoint of a run without optimizer steps.
        return SGD(self.parameters(), lr=0.0)

    @torch.no_grad()
    def learn(self, images: Tensor, labels: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Adds a batch to the means. Returns the loss and the logits of the means before that."""
        before = self.loss_and_logits(images, labels)
        self.add_to_means(images, labels)
        self.optimizers().step()  # type: ignore[union-attr]
        return before

    def add_to_means(self, images: Tensor, labels: Tensor) -> None:
        """The mean of a digit without images is black."""
        pixels = images.flatten(1).long()  # (B, 784)
        total = partial(self.trainer.strategy.reduce, reduce_op="sum")  # over all processes
        self.counts += total(labels.bincount(minlength=10))  # (10,)
        self.sums += total(torch.zeros_like(self.sums).index_add_(0, labels, pixels))  # (10, 784), by label
        self.squares += total(pixels.square().sum())

        means = self.sums / self.counts.clamp(min=1)[:, None]  # (10, 784)
        share = self.counts / self.counts.sum()  # (10,)
        variance = self.squares / self.counts.sum() / (28 * 28) - share @ means.square().mean(dim=1)
        # The net gets scaled pixels, so its means and variance are scaled the same way.
        self.net.means.copy_(means * self.scale + self.shift)
        self.net.variance.copy_(variance.clamp(min=1) * self.scale**2)  # a single image has variance 0

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self.trainer.should_stop = True  # a second epoch would give the same means

    def on_train_end(self) -> None:
        side_by_side = self.pictures().transpose(0, 1).flatten(1)  # (28, 280)
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("mean_digits", side_by_side, self.current_epoch, dataformats="HW")

    def pictures(self) -> Tensor:
        """The ten means as images, float (10, 28, 28) from 0 (black) to 1."""
        pixels = (self.net.means.detach() - self.shift) / (255 * self.scale)
        return pixels.clamp(0, 1).unflatten(1, (28, 28))

"""A perceptron from scratch: tensors and arithmetic, without layers, autograd or an optimizer of torch's.

Learning is four steps, repeated for every batch:

1. forward: from pixels to ten numbers (logits), layer by layer;
2. loss: how wrong they are, in one number (softmax and cross-entropy);
3. backward: how the loss changes with every weight (its gradient), by the chain rule from the last layer to the first;
4. step: every weight moves a little against its gradient.

python -m mnist_exp.train model=scratch model.optimizer.lr=0.1
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from mnist_exp.models.classifier import DigitClassifier, EpochMetrics


def linear_weights(inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights (outputs, inputs) and biases (outputs,), drawn as `nn.Linear` draws them: same seed, same weights.

    The more inputs a sum has, the smaller its weights: signals keep their size from layer to layer.
    """
    bound = 1 / math.sqrt(inputs)
    weights = torch.empty(outputs, inputs).uniform_(-bound, bound)
    biases = torch.empty(outputs).uniform_(-bound, bound)
    return nn.Parameter(weights), nn.Parameter(biases)


def relu(z: Tensor) -> Tensor:
    return z.clamp(min=0)


def log_softmax(logits: Tensor) -> Tensor:
    """Logarithms of ten probabilities that add up to 1, (B, 10) from logits (B, 10)."""
    logits = logits - logits.amax(dim=1, keepdim=True)  # the same probabilities, and no exp() that overflows
    return logits - logits.exp().sum(dim=1, keepdim=True).log()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -log(probability of the true label): 0 if all are certain and right, log(10) for a blind guess."""
    return -log_softmax(logits).gather(1, labels[:, None]).sum() / max(len(labels), 1)


class ScratchMLP(nn.Module):
    """The same function as `nets.MLP`, and its gradient. `nn.Module` only keeps the list of the weights.

    (B, 1, 28, 28) -> flatten (B, 784) -> hidden -> ReLU -> hidden -> ReLU -> (B, 10)
    """

    def __init__(self, *, hidden: int = 512) -> None:
        super().__init__()
        self.w1, self.b1 = linear_weights(28 * 28, hidden)
        self.w2, self.b2 = linear_weights(hidden, hidden)
        self.w3, self.b3 = linear_weights(hidden, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)  # (B, 784)
        h1 = relu(x @ self.w1.T + self.b1)  # (B, hidden)
        h2 = relu(h1 @ self.w2.T + self.b2)  # (B, hidden)
        logits = h2 @ self.w3.T + self.b3  # (B, 10)
        if self.training:
            self.seen = x, h1, h2, logits  # the chain rule needs them
        return logits

    def backward(self, labels: Tensor) -> list[Tensor]:
        """Gradients of the cross-entropy of the batch last seen, in the order and the shapes of `parameters()`.

        A name d_y holds the gradient of the loss with respect to y.
        """
        x, h1, h2, logits = self.seen

        # Softmax and cross-entropy in one: probability minus truth, over B because the loss is the batch's mean.
        d_logits = (log_softmax(logits).exp() - F.one_hot(labels, 10)) / max(len(labels), 1)  # (B, 10)

        # Layer 3, logits = h2 @ w3.T + b3: to its weights, to its biases, and on to what came in.
        d_w3 = d_logits.T @ h2  # (10, hidden)
        d_b3 = d_logits.sum(dim=0)  # (10,)
        d_h2 = d_logits @ self.w3  # (B, hidden)

        # Layer 2, z2 = h1 @ w2.T + b2 and h2 = relu(z2): ReLU lets through where it was open, and nothing elsewhere.
        d_z2 = d_h2 * (h2 > 0)  # (B, hidden)
        d_w2 = d_z2.T @ h1  # (hidden, hidden)
        d_b2 = d_z2.sum(dim=0)  # (hidden,)
        d_h1 = d_z2 @ self.w2  # (B, hidden)

        # Layer 1, z1 = x @ w1.T + b1 and h1 = relu(z1): nothing asks for the gradient of the pixels.
        d_z1 = d_h1 * (h1 > 0)  # (B, hidden)
        d_w1 = d_z1.T @ x  # (hidden, 784)
        d_b1 = d_z1.sum(dim=0)  # (hidden,)

        return [d_w1, d_b1, d_w2, d_b2, d_w3, d_b3]


class SGD(Optimizer):
    """Stochastic gradient descent, plain. An `Optimizer` so that trainer and schedules find the learning rate."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for weights in group["params"]:
                weights -= group["lr"] * weights.grad


class ScratchClassifier(DigitClassifier):
    """A `DigitClassifier` that learns by its net's own `backward`: no graph is recorded for autograd."""

    net: ScratchMLP

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.label_smoothing:
            raise ValueError("model=scratch knows no label smoothing: leave model.label_smoothing at 0")
        self.automatic_optimization = False  # the trainer leaves backward and step to training_step

    def shared_step(self, batch: tuple[Tensor, Tensor], metrics: EpochMetrics) -> tuple[Tensor, Tensor]:
        images, labels = batch
        logits = self(images)
        loss = cross_entropy(logits, labels)
        metrics.update(loss, logits, labels)
        return loss, logits

    @torch.no_grad()
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)  # steps 1 and 2, forward and loss: shared_step

        gradients = self.net.backward(batch[1])  # step 3
        for weights, gradient in zip(self.net.parameters(), gradients, strict=True):
            # Several processes have a part of the batch each: they go on with the mean of their gradients.
            weights.grad = self.trainer.strategy.reduce(gradient.to(weights.dtype), reduce_op="mean")

        self.optimizers().step()  # type: ignore[union-attr]  # step 4
        if self.scheduler is not None:
            self.lr_schedulers().step()  # type: ignore[union-attr]
        return loss

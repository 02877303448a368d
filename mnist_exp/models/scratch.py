"""A perceptron from scratch: only tensors and arithmetic, without torch's layers, autograd and optimizers.

Training repeats four steps for every batch:

1. Forward: compute ten numbers (logits) from the pixels, layer by layer.
2. Loss: measure in one number how wrong they are (softmax and cross-entropy).
3. Backward: compute how the loss changes with every weight (its gradient), by the chain rule from the last layer to the
   first.
4. Step: move every weight a little against its gradient.

python -m mnist_exp.train model=scratch model.optimizer.lr=0.1
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from mnist_exp.models.classifier import DigitClassifier


def linear_weights(inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights (outputs, inputs) and biases (outputs,). The same seed gives the same numbers as `nn.Linear`.

    A layer with more inputs gets smaller weights, so that its sums stay of the same size.
    """
    bound = 1 / math.sqrt(inputs)
    weights = torch.empty(outputs, inputs).uniform_(-bound, bound)
    biases = torch.empty(outputs).uniform_(-bound, bound)
    return nn.Parameter(weights), nn.Parameter(biases)


def relu(z: Tensor) -> Tensor:
    return z.clamp(min=0)


def log_softmax(logits: Tensor) -> Tensor:
    """The logarithms of the ten probabilities, (B, 10), from logits (B, 10). The probabilities of a row add up to 1."""
    logits = logits - logits.amax(dim=1, keepdim=True)  # keeps exp() from overflowing, the probabilities are the same
    return logits - logits.exp().sum(dim=1, keepdim=True).log()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of -log(probability of the true label): 0 for certain and right answers, log(10) for a blind guess."""
    return -log_softmax(logits).gather(1, labels[:, None]).sum() / max(len(labels), 1)


class ScratchMLP(nn.Module):
    """The same function as `nets.MLP`, with its gradient. `nn.Module` serves only as the list of the weights.

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
            self.activations = x, h1, h2, logits  # backward needs them
        return logits

    def backward(self, labels: Tensor) -> list[Tensor]:
        """The gradients of the last batch's cross-entropy, in the order and with the shapes of `parameters()`.

        A variable d_y holds the gradient of the loss with respect to y.
        """
        x, h1, h2, logits = self.activations

        # Softmax and cross-entropy together: probability minus truth. Divided by B, since the loss is the batch's mean.
        d_logits = (log_softmax(logits).exp() - F.one_hot(labels, 10)) / max(len(labels), 1)  # (B, 10)

        # Layer 3, logits = h2 @ w3.T + b3: the gradients of its weights, its biases and its input.
        d_w3 = d_logits.T @ h2  # (10, hidden)
        d_b3 = d_logits.sum(dim=0)  # (10,)
        d_h2 = d_logits @ self.w3  # (B, hidden)

        # Layer 2, z2 = h1 @ w2.T + b2 and h2 = relu(z2): ReLU passes the gradient on where its output is above 0.
        d_z2 = d_h2 * (h2 > 0)  # (B, hidden)
        d_w2 = d_z2.T @ h1  # (hidden, hidden)
        d_b2 = d_z2.sum(dim=0)  # (hidden,)
        d_h1 = d_z2 @ self.w2  # (B, hidden)

        # Layer 1, z1 = x @ w1.T + b1 and h1 = relu(z1): the gradient of the pixels is not needed.
        d_z1 = d_h1 * (h1 > 0)  # (B, hidden)
        d_w1 = d_z1.T @ x  # (hidden, 784)
        d_b1 = d_z1.sum(dim=0)  # (hidden,)

        return [d_w1, d_b1, d_w2, d_b2, d_w3, d_b3]


class SGD(Optimizer):
    """Plain stochastic gradient descent. As an `Optimizer` it shows Lightning and schedules its rate."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for weights in group["params"]:
                weights -= group["lr"] * weights.grad


class ScratchClassifier(DigitClassifier):
    """A `DigitClassifier` that trains with the network's own `backward`, without autograd.

    Raises ValueError for label_smoothing, which this `backward` does not have, and for gradients that are clipped or
    accumulated.
    """

    net: ScratchMLP

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.label_smoothing:
            raise ValueError("model=scratch does not support label smoothing: leave model.label_smoothing at 0")
        if self.gradient_clip_val or self.accumulate_grad_batches > 1:
            raise ValueError(
                "model=scratch neither clips nor accumulates gradients: leave trainer.gradient_clip_val and "
                "trainer.accumulate_grad_batches as they are"
            )

    def loss_and_logits(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = self(images)
        return cross_entropy(logits, labels), logits

    @torch.no_grad()
    def learn(self, images: Tensor, labels: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        loss, logits = self.loss_and_logits(images, labels)  # steps 1 and 2: forward and loss

        gradients = self.net.backward(labels)  # step 3
        for weights, gradient in zip(self.net.parameters(), gradients, strict=True):
            # With several processes, each has a part of the batch, and all use the mean of their gradients.
            weights.grad = self.trainer.strategy.reduce(gradient.to(weights.dtype), reduce_op="mean")

        self.optimizers().step()  # type: ignore[union-attr]  # step 4
        if self.scheduler is not None:
            self.lr_schedulers().step()  # type: ignore[union-attr]
        return loss, logits

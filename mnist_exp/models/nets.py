"""The networks. Each takes float images (B, 1, 28, 28) and returns logits (B, 10).

Pooling comes right after a convolution, so that normalisation and activation have a quarter of the work. For max
pooling and ReLU the order makes no difference to the result.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Sequential):
    """A perceptron; by default that of PyTorch's quickstart tutorial, 669,706 parameters.

    (B, 1, 28, 28) -> flatten (B, 784) -> 512 -> ReLU -> 512 -> ReLU -> (B, 10)

    hidden: the units of each hidden layer, such as [512, 256]; a single number stands for two layers of that size.
    """

    def __init__(self, *, hidden: int | list[int] = 512) -> None:
        units = [hidden, hidden] if isinstance(hidden, int) else hidden
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise([28 * 28, *units]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers, nn.Linear(units[-1] if units else 28 * 28, 10))


class CNN(nn.Sequential):
    """A small convolutional network after LeNet-5 (LeCun et al. 1998), with ReLU and max pooling.

    (B, 1, 28, 28) -> conv 5x5 (B, 16, 24, 24) -> pool (B, 16, 12, 12) -> conv 5x5 (B, 32, 8, 8) -> pool (B, 32, 4, 4)
    -> flatten (B, 512) -> 128 -> (B, 10)
    """

    def __init__(self, *, channels: tuple[int, int] = (16, 32), hidden: int = 128) -> None:
        first, second = channels
        super().__init__(
            nn.Conv2d(1, first, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * 4 * 4, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 10),
        )


class ConvNet(nn.Sequential):
    """Four or five convolutions with batch normalisation (Ioffe and Szegedy 2015).

    (B, 1, 28, 28) -> conv 5x5, stride 2 (B, 16, 14, 14) -> conv 3x3 (B, 48, 14, 14) -> pool (B, 48, 7, 7)
    -> conv 3x3, added to its input (B, 48, 7, 7) -> conv 3x3 (B, 96, 7, 7) -> pool (B, 96, 3, 3)
    -> conv 3x3 (B, 192, 3, 3) -> flatten (B, 1728) -> 128 -> (B, 10)

    channels: of the convolutions, without the one that is added to its input.
    residual: whether there is this one (He et al. 2016, https://arxiv.org/abs/1512.03385).
    """

    def __init__(
        self, *, channels: tuple[int, int, int, int] = (32, 64, 128, 256), hidden: int = 128, residual: bool = False
    ) -> None:
        first, second, third, fourth = channels
        super().__init__(
            *normalised(nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False)),
            *normalised(nn.Conv2d(first, second, 3, padding=1, bias=False), nn.MaxPool2d(2)),
            *([Residual(second)] if residual else []),
            *normalised(nn.Conv2d(second, third, 3, padding=1, bias=False), nn.MaxPool2d(2)),
            *normalised(nn.Conv2d(third, fourth, 3, padding=1, bias=False)),
            nn.Flatten(),
            nn.Linear(fourth * 3 * 3, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 10),
        )


class Residual(nn.Sequential):
    """A convolution 3x3 whose result is added to its input: (B, channels, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__(*normalised(nn.Conv2d(channels, channels, 3, padding=1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class FastNet(nn.Sequential):
    """A network that reaches 99% in half an epoch (docs/speed.md), 53,962 parameters.

    (B, 1, 28, 28) -> conv 6x6, stride 2 (B, 32, 12, 12) -> pool (B, 32, 6, 6) -> conv 3x3 (B, 64, 4, 4)
    -> pool (B, 64, 2, 2) -> flatten (B, 256) -> 128 -> (B, 10), with GELU (Hendrycks and Gimpel 2016)
    """

    def __init__(self, *, channels: tuple[int, int] = (32, 64), hidden: int = 128) -> None:
        first, second = channels
        super().__init__(
            *normalised(nn.Conv2d(1, first, 6, stride=2, bias=False), nn.MaxPool2d(2), activation=nn.GELU),
            *normalised(nn.Conv2d(first, second, 3, bias=False), nn.MaxPool2d(2), activation=nn.GELU),
            FlattenChannelsLast(),
            nn.Linear(second * 2 * 2, hidden),
            nn.GELU(),
            nn.Linear(hidden, 10),
        )


class FlattenChannelsLast(nn.Module):
    """(B, C, H, W) -> (B, H * W * C), without a copy for images in the memory format channels_last.

    `nn.Flatten` would copy them. The gradients would then come back in the other memory format, and the convolutions
    before would need more time than the copy takes.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def normalised(
    conv: nn.Conv2d, *pool: nn.Module, activation: Callable[[], nn.Module] = nn.ReLU
) -> tuple[nn.Module, ...]:
    """A convolution with batch normalisation: convolution, pooling if there is one, normalisation, activation."""
    return conv, *pool, nn.BatchNorm2d(conv.out_channels), activation()

"""A network as a list of plain layers: numbers and arrays, from which code in other languages is written.

`CNN()` becomes conv, pool, relu, conv, pool, relu, linear, relu, linear. Batch normalisation goes into the convolution
before it, and what does nothing outside of training disappears.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnist_exp.models import nets
from mnist_exp.models.classifier import DigitClassifier

Shape = tuple[int, int, int]  # channels, height, width
Pair = tuple[int, int]  # height, width

CHANNELS_LAST = "channels_last"  # a kind that is gone at the end
SUPPORTED = "Conv2d, BatchNorm2d, MaxPool2d, ReLU, GELU, Flatten, Linear, Dropout, and Sequential or Residual of these"


class UnsupportedLayerError(ValueError):
    """A layer that this project does not write in other languages. The message names it."""


@dataclass(frozen=True)
class Layer:
    """One step of the calculation.

    kind: conv | pool (the largest value) | linear | relu | gelu | keep | add (what the last `keep` had).
    weights: float32. conv: (outputs, inputs / groups, height, width). linear: (outputs, inputs). Other kinds: empty.
    bias: float32 (outputs,), beside weights.
    """

    kind: str
    inputs: Shape
    outputs: Shape
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    weights: Tensor = field(default_factory=lambda: torch.empty(0))
    bias: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class PlainNetwork:
    """The layers, for pixels (1, 28, 28) from 0 to 255 times `scale` plus `shift`. The last one gives ten logits."""

    scale: float
    shift: float
    layers: list[Layer]

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """float32 (B, 10) for uint8 (B, 28, 28), by torch: the reference for code in other languages."""
        x = kept = images[:, None].float() * self.scale + self.shift
        for layer in self.layers:
            if layer.kind == "keep":
                kept = x
            elif layer.kind == "add":
                x = x + kept
            else:
                x = CALCULATIONS[layer.kind](layer, x)
        return x.flatten(1).softmax(dim=1)


CALCULATIONS: dict[str, Callable[[Layer, Tensor], Tensor]] = {
    "conv": lambda layer, x: F.conv2d(x, layer.weights, layer.bias, layer.stride, layer.padding, groups=layer.groups),
    "pool": lambda layer, x: F.max_pool2d(x, layer.kernel, layer.stride, layer.padding),
    "linear": lambda layer, x: F.linear(x.flatten(1), layer.weights, layer.bias)[:, :, None, None],
    "relu": lambda _, x: F.relu(x),
    "gelu": lambda _, x: F.gelu(x),
}


@torch.no_grad()
def plain_network(classifier: DigitClassifier) -> PlainNetwork:
    """The layers of a classifier in evaluation mode.

    Raises UnsupportedLayerError for a network with a layer that is none of SUPPORTED, or that has an unusual option.
    """
    layers: list[Layer] = []
    append_layers(layers, "net", classifier.net)
    if any(layer.kind == CHANNELS_LAST for layer in layers):
        raise UnsupportedLayerError("the network cannot be written in C or HTML: no Linear follows FlattenChannelsLast")
    if not layers or layers[-1].outputs != (10, 1, 1):
        raise UnsupportedLayerError(
            "the network cannot be written in C or HTML: it must end with a Linear to 10 outputs"
        )
    return PlainNetwork(classifier.scale, classifier.shift, layers)


def append_layers(layers: list[Layer], name: str, module: nn.Module) -> None:
    """Appends what `module` does. `name` is its path in the network."""
    is_residual = type(module) is nets.Residual
    if type(module).forward is nn.Sequential.forward or is_residual:
        if is_residual:
            layers.append(unchanged(layers, "keep"))
        for key, child in module.named_children():
            append_layers(layers, f"{name}.{key}", child)
        if is_residual:
            layers.append(unchanged(layers, "add"))
        return
    try:
        CONVERTERS.get(type(module), refuse)(layers, module)
    except UnsupportedLayerError as error:
        shown = " ".join(str(module).split())
        raise UnsupportedLayerError(
            f"the layer {name}, {shown:.100}, cannot be written in C or HTML: {error}. Choose other formats, such as "
            "formats=[onnx]"
        ) from error


# --- one function for each kind of module: it appends, or raises UnsupportedLayerError ---


def refuse(*_: Any) -> None:
    raise UnsupportedLayerError(f"only {SUPPORTED} can")


def append_conv(layers: list[Layer], conv: nn.Conv2d) -> None:
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str) or pair(conv.dilation) != (1, 1):
        raise UnsupportedLayerError("it needs padding by a number of zeros, and no dilation")
    inputs, kernel, stride, padding = shape_before(layers), *map(pair, (conv.kernel_size, conv.stride, conv.padding))
    outputs = (conv.out_channels, *windows(inputs, kernel, stride, padding))
    weights = conv.weight.detach().float().contiguous()  # its memory format may be channels_last
    layers.append(Layer("conv", inputs, outputs, kernel, stride, padding, conv.groups, weights, bias_of(conv)))


def append_pool(layers: list[Layer], pool: nn.MaxPool2d) -> None:
    if pool.ceil_mode or pool.return_indices or pair(pool.dilation) != (1, 1):
        raise UnsupportedLayerError("ceil_mode, return_indices and dilation are not supported")
    inputs, kernel, stride, padding = shape_before(layers), *map(pair, (pool.kernel_size, pool.stride, pool.padding))
    outputs = (inputs[0], *windows(inputs, kernel, stride, padding))
    layers.append(Layer("pool", inputs, outputs, kernel, stride, padding))


def append_norm(layers: list[Layer], norm: nn.BatchNorm2d) -> None:
    """Scales the weights of the convolution before; a pooling between the two makes no difference for factors above 0.

    Elsewhere the normalisation becomes a convolution of its own, with one weight a channel.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise UnsupportedLayerError("it has no running statistics")
    factor = (norm.running_var.double() + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.double())
    offset = (0 if norm.bias is None else norm.bias.double()) - norm.running_mean.double() * factor
    kinds = [layer.kind for layer in layers]
    if kinds[-2:] == ["conv", "pool"] and bool((factor > 0).all()):
        at = len(layers) - 2
    else:
        if kinds[-1:] != ["conv"]:
            shape, ones = shape_before(layers), torch.ones(norm.num_features, 1, 1, 1)
            layers.append(Layer("conv", shape, shape, groups=len(ones), weights=ones, bias=torch.zeros(len(ones))))
        at = len(layers) - 1
    weights = (layers[at].weights.double() * factor[:, None, None, None]).float()
    layers[at] = replace(layers[at], weights=weights, bias=(layers[at].bias.double() * factor + offset).float())


def append_channels_last(layers: list[Layer], _: nets.FlattenChannelsLast) -> None:
    """For the Linear that follows, which takes it away: other languages keep all images channel by channel."""
    layers.append(unchanged(layers, CHANNELS_LAST))


def append_linear(layers: list[Layer], linear: nn.Linear) -> None:
    inputs, weights = shape_before(layers), linear.weight.detach().float()
    if layers and layers[-1].kind == CHANNELS_LAST:
        layers.pop()
        channels, height, width = inputs
        weights = weights.view(-1, height, width, channels).permute(0, 3, 1, 2).reshape(weights.shape)
    layers.append(Layer("linear", inputs, (linear.out_features, 1, 1), weights=weights, bias=bias_of(linear)))


def append_gelu(layers: list[Layer], gelu: nn.GELU) -> None:
    if gelu.approximate != "none":
        raise UnsupportedLayerError("it must be exact: approximate=none")
    layers.append(unchanged(layers, "gelu"))


def append_flatten(_: list[Layer], flatten: nn.Flatten) -> None:
    """Nothing: the numbers of an image are in this order already."""
    if (flatten.start_dim, flatten.end_dim) not in ((1, -1), (1, 3)):
        raise UnsupportedLayerError("it must flatten the whole image")


CONVERTERS: dict[type[nn.Module], Callable[[list[Layer], Any], None]] = {
    nn.Conv2d: append_conv,
    nn.MaxPool2d: append_pool,
    nn.BatchNorm2d: append_norm,
    nn.Linear: append_linear,
    nn.ReLU: lambda layers, _: layers.append(unchanged(layers, "relu")),
    nn.GELU: append_gelu,
    nn.Flatten: append_flatten,
    nets.FlattenChannelsLast: append_channels_last,
    nn.Dropout: lambda *_: None,  # does nothing outside of training
}


def shape_before(layers: list[Layer]) -> Shape:
    return layers[-1].outputs if layers else (1, 28, 28)


def unchanged(layers: list[Layer], kind: str) -> Layer:
    """A layer that leaves the shape as it is."""
    return Layer(kind, shape_before(layers), shape_before(layers))


def bias_of(module: nn.Conv2d | nn.Linear) -> Tensor:
    return torch.zeros(len(module.weight)) if module.bias is None else module.bias.detach().float()


def pair(option: Any) -> Pair:
    """An option of torch: a number stands for both directions."""
    return (option, option) if isinstance(option, int) else tuple(option)


def windows(inputs: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """How many windows of a convolution or a pooling fit, one below the other and side by side."""
    _, height, width = inputs
    return (
        (height + 2 * padding[0] - kernel[0]) // stride[0] + 1,
        (width + 2 * padding[1] - kernel[1]) // stride[1] + 1,
    )

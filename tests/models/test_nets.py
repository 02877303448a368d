"""The networks: shapes, sizes, and the answers of fresh weights. python -m pytest tests/models/test_nets.py -v"""

import pytest
import torch
from torch import nn

from mnist_exp.models.nets import CNN, MLP, ConvNet, FastNet, FlattenChannelsLast, Residual

# Logits for a vertical stroke, of weights drawn with seed 0.
FRESH = [
    (MLP, 669_706, "0.1095 0.08693 0.08161 -0.0082 -0.03629 -0.09578 -0.04466 0.0083 0.03448 -0.00338"),
    (CNN, 80_202, "0.02463 0.03622 0.04544 0.08672 -0.08511 0.01641 -0.06385 0.03812 0.06905 0.01782"),
    (ConvNet, 685_162, "0.04237 0.02686 -0.02624 0.05724 -0.0751 -0.06078 0.00433 0.04495 -0.05302 -0.03078"),
]


@pytest.mark.parametrize(("network", "parameters", "logits"), FRESH)
def test_fresh_networks_answer_as_always(network: type[nn.Module], parameters: int, logits: str):
    torch.manual_seed(0)
    net = network().eval()
    stroke = torch.zeros(1, 1, 28, 28)
    stroke[0, 0, 4:24, 12:16] = 1
    assert net(stroke)[0].tolist() == pytest.approx(list(map(float, logits.split())), abs=2e-5)
    assert sum(weights.numel() for weights in net.parameters()) == parameters


@pytest.mark.parametrize(
    ("net", "shapes"),
    [
        (CNN(channels=(2, 3), hidden=5), [(4, 2, 24, 24), (4, 3, 8, 8), (4, 5), (4, 10)]),
        (
            ConvNet(channels=(2, 3, 4, 6), hidden=5),
            [(4, 2, 14, 14), (4, 3, 14, 14), (4, 4, 7, 7), (4, 6, 3, 3), (4, 5), (4, 10)],
        ),
        (
            ConvNet(channels=(2, 3, 4, 6), hidden=5, residual=True),
            [(4, 2, 14, 14), (4, 3, 14, 14), (4, 3, 7, 7), (4, 4, 7, 7), (4, 6, 3, 3), (4, 5), (4, 10)],
        ),
        (FastNet(channels=(2, 3), hidden=5), [(4, 2, 12, 12), (4, 3, 4, 4), (4, 5), (4, 10)]),
        (MLP(hidden=5), [(4, 5), (4, 5), (4, 10)]),
    ],
)
def test_layers_have_the_shapes_that_the_docstrings_say(net: nn.Sequential, shapes: list[tuple[int, ...]]):
    seen = []
    x = torch.randn(4, 1, 28, 28)
    for layer in net:
        x = layer(x)
        if isinstance(layer, (nn.Conv2d, nn.Linear, Residual)):
            seen.append(tuple(x.shape))
    assert seen == shapes


def test_pooling_before_relu_is_the_same_function():
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(nn.MaxPool2d(2)(x).relu(), nn.MaxPool2d(2)(x.relu()))


def test_flatten_of_channels_last_is_a_view():
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    flat = FlattenChannelsLast()(x)
    assert flat.data_ptr() == x.data_ptr()
    assert torch.equal(flat, torch.stack([x[:, :, i, j] for i in range(4) for j in range(5)], 1).flatten(1))


def test_a_residual_convolution_is_added_to_its_input():
    x = torch.rand(2, 3, 7, 7)
    layer = Residual(3).eval()
    layer[0].weight.data.zero_()
    assert torch.equal(layer(x), x)
    layer[0].weight.data[:, :, 1, 1] = torch.eye(3)
    assert torch.allclose(layer(x), 2 * x, atol=1e-4)

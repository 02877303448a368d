"""Networks as plain layers, and as C, against torch: python -m pytest tests/models/test_plain_layers.py -v"""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mnist_exp.models.c_source import COMPILER, c_source, compiled
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.nets import CNN, MLP, ConvNet, FastNet, FlattenChannelsLast
from mnist_exp.models.plain_layers import UnsupportedLayerError, plain_network

needs_compiler = pytest.mark.skipif(
    shutil.which(COMPILER) is None, reason=f"no C compiler here: {COMPILER} is not in the PATH"
)
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]


def unusual() -> nn.Module:
    """Strides, padding and groups of all kinds, and normalisations after no convolution and after a pooling."""
    return nn.Sequential(
        nn.BatchNorm2d(1),
        nn.Conv2d(1, 6, (3, 5), stride=(2, 3), padding=(1, 2)),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(6, 12, 3, padding=2, groups=3, bias=False), nn.Dropout(0.5)),
        nn.MaxPool2d(3, stride=(2, 1), padding=1),
        nn.BatchNorm2d(12),
        nn.Conv2d(12, 4, 1, stride=2, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(4 * 5 * 7, 10, bias=False),
    )


NETWORKS = {
    "cnn": lambda: CNN(channels=(3, 5), hidden=7),
    "mlp": lambda: MLP(hidden=[9]),
    "convnet": lambda: ConvNet(channels=(3, 4, 5, 6), hidden=7),
    "residual": lambda: ConvNet(channels=(3, 4, 5, 6), hidden=7, residual=True),
    "fast": lambda: FastNet(channels=(3, 5), hidden=7),
    "unusual": unusual,
}


def make_classifier(name: str) -> DigitClassifier:
    """With random weights and statistics; the factors of half of the normalisations are partly negative."""
    torch.manual_seed(0)
    net = NETWORKS[name]()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for number, norm in enumerate(norms):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.uniform_(norm.weight, -1 if number % 2 else 0.5, 2)
        nn.init.normal_(norm.bias)
    return DigitClassifier(name=name, net=net).eval()


def random_images(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_layers_answer_as_the_network(name: str):
    model, images = make_classifier(name), random_images(20)
    found = plain_network(model).probabilities(images)
    torch.testing.assert_close(found, model.probabilities(images), atol=1e-5, rtol=0)


def test_normalisation_goes_into_the_convolution_before_it():
    kinds = [layer.kind for layer in plain_network(DigitClassifier(name="fast", net=FastNet()).eval()).layers]
    assert kinds == ["conv", "pool", "gelu", "conv", "pool", "gelu", "linear", "gelu", "linear"]


class Doubled(nn.Sequential):
    """A forward of its own, which nothing but Python could run."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("layer", "fragment"),
    [
        (nn.Tanh(), r"the layer net\.1\.0, Tanh\(\), cannot be written in C or HTML: only Conv2d"),
        (Doubled(nn.ReLU()), r"the layer net\.1\.0, Doubled\( \(0\): ReLU\(\) \), cannot"),
        (nn.GELU(approximate="tanh"), "approximate=none"),
        (nn.Conv2d(1, 1, 3, padding="same"), "padding"),
        (nn.Conv2d(1, 1, 3, dilation=2), "dilation"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "zeros"),
        (nn.MaxPool2d(3, ceil_mode=True), "ceil_mode"),
        (nn.BatchNorm2d(1, track_running_stats=False), "running statistics"),
        (nn.Flatten(2), "whole image"),
    ],
    ids=str,
)
def test_a_layer_that_cannot_be_written_is_named(layer: nn.Module, fragment: str):
    net = nn.Sequential(nn.ReLU(), nn.Sequential(layer, nn.Flatten(), nn.Linear(784, 10)))
    with pytest.raises(UnsupportedLayerError, match=fragment):
        plain_network(DigitClassifier(name="own", net=net).eval())


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(784, 11)),
        nn.Sequential(FlattenChannelsLast(), nn.ReLU(), nn.Linear(784, 10)),
        nn.Sequential(),
    ],
    ids=str,
)
def test_a_network_that_ends_otherwise_is_refused(net: nn.Module):
    with pytest.raises(UnsupportedLayerError, match="the network cannot be written in C or HTML"):
        plain_network(DigitClassifier(name="own", net=net).eval())


# --- C ---


@needs_compiler
@pytest.mark.parametrize("name", NETWORKS)
def test_the_c_file_answers_as_the_network_and_compiles_without_a_warning(name: str, tmp_path: Path):
    model, images, path = make_classifier(name), random_images(20), tmp_path / "model.c"
    path.write_text(c_source(plain_network(model)), encoding="ascii")
    for macro in ([], ["-DCLASSIFY_MAIN"]):
        subprocess.run([COMPILER, *STRICT, *macro, "-c", path, "-o", tmp_path / "model.o"], check=True)
    answer = compiled(path)
    assert answer is not None
    torch.testing.assert_close(answer(images), model.probabilities(images), atol=1e-5, rtol=0)


@needs_compiler
def test_the_c_program_reads_images_and_prints_a_line_for_each(tmp_path: Path):
    model, images = make_classifier("fast"), random_images(5)
    (tmp_path / "model.c").write_text(c_source(plain_network(model)), encoding="ascii")
    build = [COMPILER, *STRICT, "-DCLASSIFY_MAIN", "model.c", "-lm", "-o", "digits"]
    subprocess.run(build, check=True, cwd=tmp_path)
    sent = images.numpy().tobytes()
    done = subprocess.run([tmp_path / "digits"], input=sent, capture_output=True, check=True)
    best = model.probabilities(images).max(dim=1)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert [int(digit) for digit, _ in lines] == best.indices.tolist()
    assert [float(probability) for _, probability in lines] == pytest.approx(best.values.tolist(), abs=1e-5)
    cut = subprocess.run([tmp_path / "digits"], input=sent[:-1], capture_output=True, check=False)
    assert (cut.returncode, cut.stderr) == (1, b"the last image has 783 bytes, not 784\n")


def test_without_a_compiler_the_c_file_is_not_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mnist_exp.models.c_source.COMPILER", "no-such-compiler")
    assert compiled(tmp_path / "model.c") is None


@needs_compiler
def test_a_c_file_that_does_not_compile_is_an_error(tmp_path: Path):
    (tmp_path / "model.c").write_text("int classify(")
    with pytest.raises(RuntimeError, match=r"cannot compile the C file: (.|\n)*error"):
        compiled(tmp_path / "model.c")

"""The perceptron from scratch against the one of torch: same weights, same gradients, same training.

python -m pytest tests/models/test_scratch.py -v
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn import functional as F

from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.nets import MLP
from mnist_exp.models.scratch import SGD, ScratchClassifier, ScratchMLP, cross_entropy
from mnist_exp.train import train

Compose = Callable[..., DictConfig]


def batch(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    return torch.randn(32, 1, 28, 28, dtype=dtype), torch.randint(0, 10, (32,))


def trained(cfg: DictConfig) -> list[Tensor]:
    train(cfg)
    return list(torch.load(Path(cfg.run_dir) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"].values())


def test_the_same_seed_draws_the_weights_of_nets_mlp_bit_for_bit():
    torch.manual_seed(3)
    scratch = ScratchMLP()
    torch.manual_seed(3)
    for ours, theirs in zip(scratch.parameters(), MLP().parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-14)])
def test_gradients_are_those_of_autograd(dtype: torch.dtype, tolerance: float):
    (images, labels), net = batch(dtype), ScratchMLP().to(dtype)
    F.cross_entropy(net(images), labels).backward()
    with torch.no_grad():
        gradients = net.backward(labels)
    for weights, gradient in zip(net.parameters(), gradients, strict=True):
        assert torch.allclose(gradient, weights.grad, rtol=0, atol=tolerance)


def test_the_hidden_layers_have_512_units_unless_told_otherwise():
    assert [list(weights.shape) for weights in ScratchMLP().parameters()][::2] == [[512, 784], [512, 512], [10, 512]]
    assert [list(weights.shape) for weights in ScratchMLP(hidden=3).parameters()][1::2] == [[3], [3], [10]]


def test_activations_are_kept_for_backward_in_training_only():
    net = ScratchMLP(hidden=4)
    net.eval()(torch.zeros(1, 1, 28, 28))
    assert not hasattr(net, "activations")
    net.train()(torch.zeros(1, 1, 28, 28))
    assert len(net.activations) == 4


def test_the_gradient_of_an_empty_batch_is_0():
    net = ScratchMLP(hidden=4)
    net(torch.zeros(0, 1, 28, 28))
    assert all(not gradient.any() for gradient in net.backward(torch.zeros(0, dtype=torch.int64)))


def test_a_step_of_sgd_moves_each_weight_against_its_gradient():
    weights = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    weights.grad = torch.tensor([0.5, -4.0])
    SGD([weights], lr=0.1).step()
    assert weights.tolist() == pytest.approx([0.95, 2.4])


@pytest.mark.parametrize("size", [1, 1000])
def test_cross_entropy_is_that_of_torch_also_for_large_logits(size: float):
    logits, labels = size * torch.randn(32, 10), torch.randint(0, 10, (32,))
    assert torch.allclose(cross_entropy(logits, labels), F.cross_entropy(logits, labels))
    assert cross_entropy(logits[:0], labels[:0]) == 0


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize("extra", [[], ["scheduler=cosine"]])
def test_training_is_that_of_the_perceptron_with_sgd(composed: Compose, extra: list[str]):
    scratch = trained(composed("model=scratch", *extra, folder="scratch"))
    mlp = trained(composed("model=mlp", "optimizer=sgd", "optimizer.lr=0.1", *extra, folder="mlp"))
    for ours, theirs in zip(scratch, mlp, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("small_mnist")
def test_no_autograd_graph_is_built(composed: Compose, monkeypatch: pytest.MonkeyPatch):
    recorded = []
    learn = ScratchClassifier.learn

    def watched(self: ScratchClassifier, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        loss, logits = learn(self, *args, **kwargs)
        recorded.append(loss.requires_grad or logits.requires_grad)
        return loss, logits

    monkeypatch.setattr(ScratchClassifier, "learn", watched)
    train(composed("model=scratch", "trainer.max_epochs=1"))
    assert recorded
    assert not any(recorded)


@pytest.mark.usefixtures("small_mnist")
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(composed: Compose, tmp_path: Path):
    whole = trained(composed("model=scratch", "trainer.max_epochs=2", folder="whole"))
    trained(composed("model=scratch", "trainer.max_epochs=1", folder="first"))
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    resumed = trained(composed("model=scratch", "trainer.max_epochs=2", f"ckpt_path={last}", folder="resumed"))
    assert all(torch.equal(*pair) for pair in zip(whole, resumed, strict=True))


@pytest.mark.usefixtures("small_mnist")
def test_a_checkpoint_alone_rebuilds_the_model(composed: Compose, tmp_path: Path):
    last = trained(composed("model=scratch", "trainer.max_epochs=1"))
    model, config = load_classifier(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert isinstance(model, ScratchClassifier)
    assert config["model"]["optimizer"]["lr"] == 0.1
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), last, strict=True))


def test_label_smoothing_is_refused():
    with pytest.raises(ValueError, match=r"leave model\.label_smoothing at 0"):
        ScratchClassifier(name="scratch", net=ScratchMLP(hidden=8), label_smoothing=0.1)

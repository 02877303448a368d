"""On an NVIDIA GPU: a run trains there, and its checkpoint gives the same answers on the CPU.

python -m pytest -m gpu
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

import mnist_exp
from mnist_exp.data.digits import Digits

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("small_mnist")]
Compose = Callable[..., DictConfig]


@pytest.mark.parametrize(
    ("overrides", "tolerance"),  # between two probabilities: GPUs multiply in TF32 or bfloat16
    [
        (["data.placement=device"], 0.01),
        (["data.placement=host"], 0.01),
        (["trainer.precision=bf16-mixed"], 0.05),
        (["model=mlp", "augment=handwriting", "scheduler=one_cycle"], 0.01),
    ],
)
def test_a_run_trains_on_the_gpu_and_its_checkpoint_answers_the_same_on_the_cpu(
    composed: Compose, small_mnist: tuple[Digits, Digits], overrides: list[str], tolerance: float
):
    cfg = composed("trainer.accelerator=gpu", "trainer.max_epochs=2", *overrides)
    result = mnist_exp.run(cfg).result
    assert result.environment["device"] == torch.cuda.get_device_name()
    model = mnist_exp.load(cfg.run_dir)
    assert model.device.type == "cpu"
    probs = model.probabilities(small_mnist[1].images)
    assert np.allclose(probs, np.load(Path(cfg.run_dir) / "predictions.npz")["probs"], atol=tolerance)
    assert np.allclose(probs, model.cuda().probabilities(small_mnist[1].images), atol=0.01)


def test_the_first_device_is_taken_where_the_accelerator_is_auto(composed: Compose):
    assert (
        mnist_exp.run(composed("trainer.accelerator=auto")).result.environment["device"] == torch.cuda.get_device_name()
    )

"""Small data that behaves like MNIST, and the way to a configuration."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image, ImageDraw, ImageFont

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.digit_forms import bitmap_to_mnist_form
from mnist_exp.data.digits import Digits

torch.set_num_threads(1)  # the suite's tensors are small: threads would only wait for each other


def pytest_configure(config: pytest.Config) -> None:
    """Tests run on the CPU, and so do the programs that they start, except for `pytest -m gpu`."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    if item.get_closest_marker("posix") and os.name == "nt":
        pytest.skip("needs pipes, links or signals, which Windows has not")


def drawn(label: int, *, seed: int) -> np.ndarray:
    """A printed digit in MNIST's form, uint8 (28, 28), a little turned."""
    image = Image.new("L", (48, 48))
    ImageDraw.Draw(image).text((16, 8), str(label), fill=255, font=ImageFont.load_default(size=28))
    turned = image.rotate(np.random.default_rng([label, seed]).uniform(-12, 12), Image.Resampling.BILINEAR)
    ink = np.asarray(turned, np.float32) / 255
    return bitmap_to_mnist_form(np.where(ink > 0.3, ink, 0))


def make_digits(count: int, *, seed: int = 0) -> Digits:
    """`count` digits, all labels in turn."""
    labels = torch.arange(count) % 10
    images = np.stack([drawn(int(label), seed=seed * 10_000 + index) for index, label in enumerate(labels)])
    return Digits(torch.from_numpy(images), labels)


@pytest.fixture(scope="session")
def small_digits() -> tuple[Digits, Digits]:
    return make_digits(300), make_digits(60, seed=1)


@pytest.fixture
def small_mnist(small_digits: tuple[Digits, Digits], monkeypatch: pytest.MonkeyPatch) -> tuple[Digits, Digits]:
    """In place of MNIST, wherever it would be read: 300 digits to train on, 60 to test on."""
    for module in ("image_datamodule", "csv_datamodule", "suites"):
        monkeypatch.setattr(f"mnist_exp.data.{module}.load_set", lambda _name, _data_dir: small_digits)
    return small_digits


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of three digits, 0 to 2."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for label in range(3):
        Image.fromarray(drawn(label, seed=label)).save(folder / f"{label}.png")
    return folder


Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    """The configuration of a small, quick run in `tmp_path / folder`: composed(*overrides, folder="run")."""

    def compose_small(*overrides: str, config_name: str = "train", folder: str = "run") -> DictConfig:
        small = [
            f"run_dir={tmp_path / folder}",
            f"data_dir={tmp_path}",
            "data.val_size=50",
            "data.batch_size=50",
            "trainer.accelerator=cpu",
            "trainer.devices=1",
            "trainer.max_epochs=2",
        ]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(config_name, [*small, *overrides])

    return compose_small


@pytest.fixture
def checkpoint(composed: Compose, tmp_path: Path) -> Path:
    """Of a run in `tmp_path / "run"` that has learnt nothing: its answers are arbitrary, and always the same."""
    cfg = composed("model=mlp", "model.net.hidden=8")
    torch.manual_seed(0)
    model = instantiate({**cfg.model, "optimizer": None, "scheduler": None})
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    (tmp_path / "run" / ".hydra").mkdir()
    config = OmegaConf.to_container(cfg, resolve=True)
    torch.save({"epoch": 1, "state_dict": model.state_dict(), "config": config}, path)
    return path


@pytest.fixture
def clothes_checkpoint(checkpoint: Path) -> Path:
    """The same checkpoint, as if it had been trained on Fashion-MNIST."""
    content = torch.load(checkpoint, weights_only=True)
    content["config"]["data"]["dataset"] = "fashion_mnist"
    torch.save(content, checkpoint)
    return checkpoint

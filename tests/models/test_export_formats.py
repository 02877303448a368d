"""Exported files against the classifier they are from: python -m pytest tests/models/test_export_formats.py -v"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.digits import Digits
from mnist_exp.models import export_formats
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.export_formats import (
    FORMATS,
    DisagreementError,
    Format,
    Probabilities,
    Source,
    compare_answers,
    latency,
    write_files,
)
from mnist_exp.models.plain_layers import UnsupportedLayerError

pytest.importorskip("safetensors", reason="needs the extra: export")

Compose = Callable[..., DictConfig]


def classifier(cfg: DictConfig) -> DigitClassifier:
    """With random weights, also where a network would start with zeros."""
    torch.manual_seed(0)
    model = instantiate({**cfg.model, "optimizer": None, "scheduler": None, "augment": None})
    for weights in model.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights)
    return model.eval()


def source_of(cfg: DictConfig) -> Source:
    return Source(classifier(cfg), Path("best.ckpt"), OmegaConf.to_container(cfg, resolve=True))


NETWORKS = [path.stem for path in sorted((CONF / "model").glob("*.yaml")) if path.stem not in ("base", "cnn")]


@pytest.mark.parametrize("network", NETWORKS)  # tests/test_export.py exports cnn
def test_every_network_can_be_exported(
    network: str, composed: Compose, tmp_path: Path, small_digits: tuple[Digits, Digits]
):
    source, images = source_of(composed(f"model={network}")), small_digits[1].images
    for name, form in FORMATS.items():
        if name == "c" and network in ("scratch", "mean_digit"):
            with pytest.raises(UnsupportedLayerError, match=r"the layer net, (ScratchMLP|NearestMean)\(.*\), cannot"):
                form.write(source, tmp_path / name)
            continue
        form.write(source, tmp_path / name)
        if answer := form.read(tmp_path / name, source):  # none for C where there is no compiler
            compare_answers(answer, images, source.classifier.probabilities(images))


def test_probabilities_are_those_of_the_classifier(composed: Compose, small_digits: tuple[Digits, Digits]):
    model = classifier(composed("model=mlp", "model.net.hidden=8"))
    images = small_digits[1].images
    assert torch.allclose(Probabilities(model)(images), model.probabilities(images), atol=1e-7)


def test_a_file_that_disagrees_is_not_left(composed: Compose, tmp_path: Path, small_digits: tuple[Digits, Digits]):
    write, read, _ = FORMATS["pt2"]
    upside_down = Format(write, lambda path, source: lambda images: read(path, source)(images.flip(1)))
    source = replace(source_of(composed("model=mlp", "model.net.hidden=8")), ckpt_path=tmp_path / "best.ckpt")
    (tmp_path / "best.ckpt").touch()
    with pytest.raises(DisagreementError, match=r"model\.pt2 is not written: \d+ of 60 labels differ"):
        write_files(source, tmp_path / "export", formats={"pt2": upside_down}, images=small_digits[1].images)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["best.ckpt"]


@pytest.mark.parametrize(
    ("other", "fragment"),
    [([0.4, 0.6], "1 of 1 labels"), ([0.59, 0.41], r"up to 0\.01 "), ([float("nan")] * 2, "up to nan")],
)
def test_another_label_another_probability_and_nan_disagree(other: list[float], fragment: str):
    images, probs = torch.zeros(1, 28, 28, dtype=torch.uint8), torch.tensor([[0.6, 0.4]])

    def answer(batch: Tensor) -> Tensor:
        return torch.tensor([other] * len(batch)).reshape(-1, 2)

    with pytest.raises(DisagreementError, match=fragment):
        compare_answers(answer, images, probs)


@pytest.mark.parametrize(("error", "agrees"), [(0.9e-4, True), (1.1e-4, False)])
def test_probabilities_may_differ_by_one_in_ten_thousand(error: float, agrees: bool):
    images, sizes = torch.zeros(2001, 28, 28, dtype=torch.uint8), []
    probs = torch.tensor([[0.6, 0.4]], dtype=torch.float64).repeat(2001, 1)

    def answer(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return probs[: len(batch)] + torch.tensor([error, -error], dtype=torch.float64)

    if agrees:
        assert compare_answers(answer, images, probs) == pytest.approx(error)
    else:
        with pytest.raises(DisagreementError, match=r"^0 of 2,001 labels .* up to 0\.00011 \(allowed: 0\.0001\)"):
            compare_answers(answer, images, probs)
    assert sizes == [1, 1000, 1000]  # the first image alone, as one answers a single picture


def test_the_latency_is_the_median_of_single_images_after_a_warm_up(monkeypatch: pytest.MonkeyPatch):
    now, asked = [0.0], []

    def answer(image: Tensor) -> Tensor:
        assert image.shape == (1, 28, 28)
        asked.append(int(image[0, 0, 0]))
        now[0] += 100.0 if len(asked) <= 20 else 2.0 if len(asked) <= 130 else 3.0
        return image

    monkeypatch.setattr(export_formats.time, "perf_counter", lambda: now[0])
    images = torch.arange(7, dtype=torch.uint8)[:, None, None].expand(7, 28, 28)
    assert latency(answer, images) == 2.0  # 110 answers of 2 s, 90 of 3 s
    assert len(asked) == 220
    assert asked[:9] == [0, 1, 2, 3, 4, 5, 6, 0, 1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("name", ["onnx", "pt2", "c"])  # safetensors: config.json is written before
def test_a_full_disk_is_an_error_and_does_not_end_the_program(composed: Compose, name: str):
    source = source_of(composed("model=mlp", "model.net.hidden=8"))
    with pytest.raises(OSError, match="No space left on device"):
        export_formats.FORMATS[name].write(source, Path("/dev/full"))

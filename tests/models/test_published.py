"""The folder that `export` writes for model hubs, read again: python -m pytest tests/models/test_published.py -v"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import mnist_exp
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.checkpoint_file import CheckpointError
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.export_formats import Source, write_safetensors
from mnist_exp.models.published import load_published

safetensors = pytest.importorskip("safetensors.torch", reason="needs the extra: export")


@pytest.fixture
def model(checkpoint: Path) -> DigitClassifier:
    return load_classifier(checkpoint)[0]


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    model, config = load_classifier(checkpoint)
    published = tmp_path / "published"
    published.mkdir()
    write_safetensors(Source(model, checkpoint, config), published / "model.safetensors")
    return published


def test_a_published_classifier_is_the_one_of_the_checkpoint(folder: Path, model: DigitClassifier):
    loaded = mnist_exp.load(folder)
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


def test_only_what_builds_the_network_is_published(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    assert list(config) == ["model"]
    assert list(config["model"]) == ["_target_", "name", "standardize", "net"]


def changed(folder: Path, **model: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"] |= model
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"net": {"_target_": "os.system"}}, "network 'os.system' is none of this package's"),
        ({"net": {"_target_": "mnist_exp.models.nets.MLP", "hidden": 10**9}}, "cannot take hidden"),
        ({"net": []}, "config.model.net is"),
        ({"_target_": "builtins.eval"}, "classifier 'builtins.eval' is none"),
        ({"name": "a\nb"}, "printable"),
        ({"standardize": None}, "config.model.standardize is None"),
    ],
)
def test_a_strangers_config_runs_nothing(folder: Path, change: dict[str, Any], fragment: str):
    changed(folder, **change)
    with pytest.raises(CheckpointError, match=fragment) as caught:
        load_published(folder)
    assert str(folder / "config.json") in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"a": "' + "x" * 1_000_001 + '"}', "\xff"])
def test_a_config_that_is_none_is_named(folder: Path, content: str):
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json is no config\.json of mnist_exp\.export"):
        load_published(folder)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, (10**12).to_bytes(8, "little") + b"{}"])
def test_damaged_weights_are_named(folder: Path, content: bytes):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_published(folder)


def test_weights_of_another_network_and_nan_are_refused(folder: Path):
    weights = safetensors.load_file(folder / "model.safetensors")
    first = next(iter(weights))
    for changed_weights in (weights | {"more": torch.zeros(1)}, weights | {first: weights[first] * torch.nan}):
        safetensors.save_file(changed_weights, folder / "model.safetensors")
        with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be used: its weights"):
            load_published(folder)


def test_a_folder_without_config_says_so(folder: Path):
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_published(folder)

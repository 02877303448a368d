"""A folder with a classifier as model hubs keep it: model.safetensors has the weights, config.json names their network.

Both are data, as a checkpoint is: the same checks are made before anything is built (registry.py, checkpoint.py).
"""

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from mnist_exp.models.checkpoint import check_answers, check_types, check_weights, errors_name
from mnist_exp.models.checkpoint_file import CheckpointError, read_bytes
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.registry import build_classifier, import_network

WEIGHTS, CONFIG = "model.safetensors", "config.json"
KEYS = ("_target_", "name", "standardize", "net")  # of `model` in a run's configuration: what it takes to build it
CHECKED = ["model", *(f"model.{key}" for key in KEYS), "model.net._target_"]
MAX_CONFIG_BYTES = 1_000_000


def is_published(path: str | Path) -> bool:
    """Whether the path is a folder with weights as they are written here."""
    return os.path.isfile(os.path.join(path, WEIGHTS))  # noqa: PTH113, PTH118, Path.is_file raises for too long names


def load_published(folder: str | Path, network: str | None = None) -> DigitClassifier:
    """The classifier of such a folder, on the CPU and in evaluation mode.

    network: the class of a network of your own, such as `my_module.MyNet`, if the folder has one.

    Raises CheckpointError for files that cannot be used, ValueError where the package safetensors is missing.
    """
    return load(Path(folder) / CONFIG, Path(folder) / WEIGHTS, network)


def load(config_path: Path, weights_path: Path, network: str | None) -> DigitClassifier:
    own = import_network(network) if network else None
    config, weights = read_config(config_path), read_weights(weights_path)
    with errors_name(config_path, "cannot be used"):
        check_types(config, CHECKED)
        model = build_classifier(config["model"], own)
    with errors_name(weights_path, "cannot be used"):
        check_weights(model, weights)
        model.load_state_dict(weights)
        check_answers(model)
    return model


def read_config(path: Path) -> dict[str, Any]:
    data = read_bytes(path)
    try:
        if len(data) > MAX_CONFIG_BYTES:
            raise ValueError(f"more than {MAX_CONFIG_BYTES:,} bytes")
        config = json.loads(data)
        if not isinstance(config, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no config.json of mnist_exp.export ({error!s:.200}): export again") from error
    return config


def read_weights(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load as parse
    except ModuleNotFoundError as error:
        raise ValueError(f"{path} needs one more package: pip install safetensors") from error
    try:
        return parse(read_bytes(path))
    except (SafetensorError, ValueError, KeyError) as error:  # KeyError: a type of numbers that torch lacks
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged, or no safetensors file ({error!s:.200}): copy it again") from error

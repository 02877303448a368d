"""Load a classifier from a checkpoint, and check that a run can be resumed from one."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnist_exp.models.checkpoint_file import CheckpointError, read_checkpoint
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.registry import MAX_TEXT, build_classifier, import_network

# What the commands read in a run's configuration, and of which types it is.
CONFIG_TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "seed": (int,),
    "data": (dict,),
    "data.batch_size": (int,),
    "trainer": (dict,),
    "trainer.max_epochs": (int,),
    "trainer.precision": (str, int),
    "model": (dict,),
    "model._target_": (str,),
    "model.name": (str,),
    "model.standardize": (bool,),
    "model.net": (dict,),
    "model.net._target_": (str,),
    "model.optimizer": (dict, type(None)),
    "model.scheduler": (dict, type(None)),
    "model.augment": (dict, type(None)),
}

# What Lightning reads when a run goes on.
RESUME_TYPES: dict[str, type] = {
    "pytorch-lightning_version": str,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
}


def load_classifier(ckpt_path: str | Path, network: str | None = None) -> tuple[DigitClassifier, dict[str, Any]]:
    """The classifier of a checkpoint, in evaluation mode on the CPU, and its run's resolved configuration.

    network: the class of a network of the user's own, such as `my_module.MyNet`, for a checkpoint whose network is not
        one of this package's. It must come from the user, never from a file.

    Raises CheckpointError for a file that cannot be used, ValueError for a `network` that cannot.
    """
    own = import_network(network) if network else None
    content = read_checkpoint(Path(ckpt_path))
    with errors_name(ckpt_path, "cannot be used"):
        check_epoch(content)
        config = check_config(content)
        model = build_classifier(config["model"], own)
        check_weights(model, content.get("state_dict"))
        model.load_state_dict(content["state_dict"])
        check_answers(model)
    return model, config


def trained_epochs(ckpt_path: str | Path) -> int:
    """The number of epochs after which a checkpoint was written. Raises CheckpointError."""
    content = read_checkpoint(Path(ckpt_path))
    with errors_name(ckpt_path, "cannot be used"):
        return check_epoch(content) + 1


def config_and_epochs(ckpt_path: str | Path) -> tuple[dict[str, Any], int]:
    """The configuration of the run that wrote a checkpoint, and the epochs it had trained. Raises CheckpointError."""
    content = read_checkpoint(Path(ckpt_path))
    with errors_name(ckpt_path, "cannot be resumed"):
        return check_config(content), check_epoch(content) + 1


def check_resumable(ckpt_path: str | Path, model: DigitClassifier) -> tuple[dict[str, Any], int]:
    """The configuration of the run that wrote a checkpoint, empty if it has none, and the epochs it had trained.

    Raises CheckpointError for a checkpoint from which `Trainer.fit(ckpt_path=...)` could not go on with `model`.
    """
    content = read_checkpoint(Path(ckpt_path))
    with errors_name(ckpt_path, "cannot be resumed"):
        trained = check_epoch(content) + 1
        for key, kind in RESUME_TYPES.items():
            if type(content.get(key)) is not kind:
                raise CheckpointError(f"its {key} is {content.get(key)!r:.50}: resume from a run's last.ckpt")
        check_callbacks(content["callbacks"])
        try:
            check_weights(model, content.get("state_dict"))
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}. A run of another network goes on with the settings of that run, such as model=mlp"
            ) from error
        config = content.get("config")
    return config if isinstance(config, dict) else {}, trained


@contextmanager
def errors_name(ckpt_path: str | Path, problem: str) -> Iterator[None]:
    """Puts the file and the problem before the message of a CheckpointError."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{ckpt_path} {problem}: {error}") from error


def check_epoch(content: Mapping[str, Any]) -> int:
    """The last epoch of the weights, counted from 0."""
    epoch = content.get("epoch")
    if type(epoch) is not int or epoch < 0:
        raise CheckpointError(f"its epoch is {epoch!r:.50}, not a whole number of at least 0: train again")
    return epoch


def check_callbacks(states: Mapping[str, Any]) -> None:
    """Refuses states that name other files than checkpoints: Lightning moves and deletes the files named there."""
    for name, state in states.items():
        if not isinstance(state, dict) or not isinstance(state.get("best_k_models", {}), dict):
            raise CheckpointError(f"its callback {name!r:.50} has no state: resume from a run's last.ckpt")
        files = [state.get(key) for key in ("best_model_path", "kth_best_model_path", "last_model_path")]
        for file in [*files, *state.get("best_k_models", {})]:
            if file and (not isinstance(file, str) or "://" in file or not file.endswith(".ckpt")):
                raise CheckpointError(f"its callback {name!r:.50} names {file!r:.50}, which is not a checkpoint")


def check_config(content: Mapping[str, Any]) -> dict[str, Any]:
    """The run's configuration in a checkpoint, if it has all that the commands read."""
    config = content.get("config")
    if not isinstance(config, dict):
        raise CheckpointError("it does not hold the configuration that mnist_exp.train writes: train again")
    check_types(config, CONFIG_TYPES)
    for key in ("optimizer", "scheduler", "augment"):
        node = config["model"][key]
        if node is not None and not (isinstance(node.get("_target_"), str) and all(isinstance(k, str) for k in node)):
            raise CheckpointError(f"config.model.{key} does not name what it is: train again")
    return config


def check_types(config: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Refuses a configuration whose values at these keys of CONFIG_TYPES, outer ones first, are of other types."""
    for key in keys:
        types = CONFIG_TYPES[key]
        value: Any = config
        for part in key.split("."):
            value = value.get(part)
        if type(value) not in types:
            expected = " or ".join(each.__name__ for each in types)
            raise CheckpointError(f"config.{key} is {value!r:.50}, not of type {expected}: train again")
        if isinstance(value, str) and (len(value) > MAX_TEXT or not value.isprintable()):
            raise CheckpointError(f"config.{key} is not a name of at most {MAX_TEXT} printable characters: train again")


def check_weights(model: DigitClassifier, weights: Any) -> None:
    """Refuses what is not a state_dict of the model's names, shapes and kinds of numbers, all of them finite."""
    if not isinstance(weights, dict):
        raise CheckpointError("it has no state_dict: train again")
    expected = model.state_dict()
    if different := ", ".join(sorted(map(repr, expected.keys() ^ weights.keys()))):
        network = type(model.net).__name__
        raise CheckpointError(f"its weights are not those of {network}, it differs in {different:.200}: train again")
    for name, value in weights.items():
        wanted = expected[name]
        if not isinstance(value, Tensor) or value.shape != wanted.shape or not same_kind(value.dtype, wanted.dtype):
            found = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            needed = f"{wanted.dtype} {list(wanted.shape)}"
            raise CheckpointError(f"its weights {name} are {found}, not {needed}: train again")
        if not value.to(wanted.dtype).isfinite().all():
            raise CheckpointError(f"its weights {name} are not all finite: train again, with a smaller learning rate")


def same_kind(found: torch.dtype, wanted: torch.dtype) -> bool:
    """Weights of another precision are converted: trainer.precision=bf16-true leaves bfloat16."""
    return found == wanted or (found.is_floating_point and wanted.is_floating_point)


def check_answers(model: DigitClassifier) -> None:
    """Refuses a network that does not give ten probabilities for a black, a white and a striped image."""
    images = torch.zeros(3, 28, 28, dtype=torch.uint8)
    images[1], images[2, ::4] = 255, 255
    try:
        probs = model.probabilities(images)
    except Exception as error:  # a user's network can raise anything
        raise CheckpointError(f"its network cannot read an image ({error!r:.200})") from error
    if probs.shape != (3, 10):
        raise CheckpointError(f"its network answers three images with shape {list(probs.shape)}, not [3, 10]")
    if not probs.isfinite().all():
        raise CheckpointError("its answers are not numbers (nan): train again, with a smaller learning rate")

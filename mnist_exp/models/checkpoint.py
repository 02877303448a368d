"""From a checkpoint to a classifier that answers.

A checkpoint says which network it holds by the name of its class: `MLP`, or `mnist_exp.models.nets.MLP` as the
configuration writes it. The name is looked up in NETWORKS. Nothing is imported because a checkpoint names it, its
arguments are checked numbers, and `${...}` in it stays the text it is.

A network of your own is loaded when the command line names it: `evaluate ckpt_path=... network=my_module.MyNet`.
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import torch
from torch import Tensor, nn

from mnist_exp.models.checkpoint_file import CheckpointError, read_checkpoint
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.mean_digit import MeanDigitClassifier, NearestMean
from mnist_exp.models.nets import CNN, MLP, ConvNet, FastNet
from mnist_exp.models.scratch import ScratchClassifier, ScratchMLP

Class = TypeVar("Class")

NETWORKS: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (MLP, CNN, ConvNet, FastNet, ScratchMLP, NearestMean)
}
CLASSIFIERS: dict[str, type[DigitClassifier]] = {
    classifier.__name__: classifier for classifier in (DigitClassifier, MeanDigitClassifier, ScratchClassifier)
}
OUR_MODULES = "mnist_exp.models."

MAX_PARAMETERS = 20_000_000  # thirty times those of our largest network
MAX_ARGUMENT = 1_000_000  # for a whole number, such as the units of a layer
MAX_TEXT = 200  # characters of a name, items of a list

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
    "epoch": int,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
}


def load_classifier(ckpt_path: str | Path, network: str | None = None) -> tuple[DigitClassifier, dict[str, Any]]:
    """The classifier of a checkpoint, in evaluation mode on the CPU, and its run's resolved configuration.

    network: the class of a network of the user's own, such as `my_module.MyNet`. It is used for a checkpoint whose
        network is none of NETWORKS. It must come from the user, never from a file.

    Raises CheckpointError for a file that cannot be used, ValueError for a `network` that cannot.
    """
    path = Path(ckpt_path)
    own = import_network(network) if network else None
    content = read_checkpoint(path)
    try:
        config = check_config(content)
        model = build_classifier(config["model"], own)
        check_weights(model, content.get("state_dict"))
        model.load_state_dict(content["state_dict"])
        check_answers(model)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    return model, config


def trained_epochs(ckpt_path: str | Path) -> int:
    """The number of epochs after which a checkpoint was written. Raises CheckpointError."""
    path = Path(ckpt_path)
    epoch = read_checkpoint(path).get("epoch")
    if type(epoch) is not int or epoch < 0:
        raise CheckpointError(f"{path} cannot be used: its epoch is {epoch!r:.50}, not a whole number: train again")
    return epoch + 1


def check_resumable(ckpt_path: str | Path, model: DigitClassifier) -> None:
    """Refuses a checkpoint that `Trainer.fit(ckpt_path=...)` could not, or should not, go on from with `model`.

    Raises CheckpointError.
    """
    path = Path(ckpt_path)
    content = read_checkpoint(path)
    try:
        for key, kind in RESUME_TYPES.items():
            if type(content.get(key)) is not kind or (kind is int and content[key] < 0):
                raise CheckpointError(f"its {key} is {content.get(key)!r:.50}: resume from a run's last.ckpt")
        check_callbacks(content["callbacks"])
        check_weights(model, content.get("state_dict"))
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be resumed: {error}") from error


def check_callbacks(states: Mapping[str, Any]) -> None:
    """Refuses callbacks that name other files than checkpoints: Lightning moves and deletes the files they name."""
    for name, state in states.items():
        if not isinstance(state, dict):
            raise CheckpointError(f"its callback {name!r:.50} has no state: resume from a run's last.ckpt")
        files = [state.get(key) for key in ("best_model_path", "kth_best_model_path", "last_model_path")]
        files += state.get("best_k_models", {})
        for file in files:
            if file and (not isinstance(file, str) or "://" in file or not file.endswith(".ckpt")):
                raise CheckpointError(f"its callback {name!r:.50} names {file!r:.50}, which is not a checkpoint")


def import_network(name: str) -> type[nn.Module]:
    """The class that a user named. Raises ValueError where there is none."""
    module, _, attribute = str(name).rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"network={name} cannot be imported ({error}): write module and class, such as network=my_module.MyNet, "
            "and start the command in the folder of my_module.py"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"network={name} is not a network: name a class derived from torch.nn.Module")
    return found


def check_config(content: Mapping[str, Any]) -> dict[str, Any]:
    """The run's configuration in a checkpoint, if it has all that the commands read."""
    config = content.get("config")
    if not isinstance(config, dict) or type(content.get("epoch")) is not int or content["epoch"] < 0:
        raise CheckpointError("it does not hold what mnist_exp.train writes (config, epoch): train again")
    for key, types in CONFIG_TYPES.items():
        value: Any = config
        for part in key.split("."):
            value = value.get(part)
        if type(value) not in types:
            expected = " or ".join(each.__name__ for each in types)
            raise CheckpointError(f"config.{key} is {value!r:.50}, not of type {expected}: train again")
        if isinstance(value, str) and (len(value) > MAX_TEXT or not value.isprintable()):
            raise CheckpointError(f"config.{key} is not a name of at most {MAX_TEXT} printable characters: train again")
    for key in ("optimizer", "scheduler", "augment"):
        if config["model"][key] and not isinstance(config["model"][key].get("_target_"), str):
            raise CheckpointError(f"config.model.{key}._target_ is not a text: train again")
    return config


def build_classifier(model: Mapping[str, Any], own: type[nn.Module] | None) -> DigitClassifier:
    """The classifier that `config.model` of a checkpoint describes, with new weights.

    own: the class for a network that is none of NETWORKS.
    """
    classifier = registered(model["_target_"], CLASSIFIERS)
    if classifier is None:
        raise CheckpointError(
            f"its classifier {model['_target_']!r} is none of this package's ({', '.join(CLASSIFIERS)}): only these "
            "can be loaded"
        )
    arguments = {key: value for key, value in model["net"].items() if key != "_target_"}
    network = registered(model["net"]["_target_"], NETWORKS)
    if network is not None:
        check_arguments(network, arguments)
    elif own is not None:
        network = own
        check_plain(arguments)
    else:
        raise CheckpointError(
            f"its network {model['net']['_target_']!r} is none of this package's ({', '.join(NETWORKS)}). If it is "
            "your own, name the class yourself: network=my_module.MyNet"
        )
    check_size(network, arguments, required=network is not own)
    return classifier(name=model["name"], net=build(network, arguments), standardize=model["standardize"]).eval()


def registered(name: str, registry: Mapping[str, type[Class]]) -> type[Class] | None:
    """The class of this name. The module before it may be any of this package's: files outlive a move of the code."""
    return registry.get(name.rpartition(".")[2] if name.startswith(OUR_MODULES) else name)


def check_arguments(network: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    """Refuses arguments that this package's network does not have, or of another type than its signature says."""
    parameters, hints = inspect.signature(network).parameters, get_type_hints(network.__init__)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in arguments:
            raise CheckpointError(f"its network {network.__name__} lacks the argument {key!r}: train again")
    for key, value in arguments.items():
        if key not in parameters:
            raise CheckpointError(f"its network {network.__name__} has no argument {key!r:.50}: train again")
        if not fits(value, hints[key]):
            raise CheckpointError(
                f"its network {network.__name__} cannot take {key}={value!r:.50}: it must be {EXPECTED[hints[key]]}, "
                f"at most {MAX_ARGUMENT:,}"
            )


EXPECTED = {
    int: "a whole number of at least 1",
    float: "a number above 0",
    tuple[int, int]: "two whole numbers of at least 1",
    tuple[int, int, int, int]: "four whole numbers of at least 1",
}


def fits(value: Any, hint: Any) -> bool:
    if hint is int:
        return type(value) is int and 1 <= value <= MAX_ARGUMENT
    if hint is float:
        return type(value) in (int, float) and 0 < value <= MAX_ARGUMENT
    each = get_args(hint)
    return isinstance(value, (list, tuple)) and len(value) == len(each) and all(map(fits, value, each))


def check_plain(arguments: Mapping[str, Any]) -> None:
    """Refuses arguments for a user's own network that are not numbers, texts, true, false, null, or lists of these."""
    for key, value in arguments.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        if not key.isidentifier() or key.startswith("_") or len(values) > MAX_TEXT or not all(map(is_plain, values)):
            raise CheckpointError(
                f"its network cannot take {key}={value!r:.50}: arguments are numbers of at most {MAX_ARGUMENT:,}, "
                f"texts of at most {MAX_TEXT} characters, true, false, null, and lists of these"
            )


def is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return value is None or (type(value) in (bool, int, float) and abs(value) <= MAX_ARGUMENT)


def build(network: type[nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return network(**arguments)
    except Exception as error:  # a user's network can raise anything
        raise CheckpointError(f"its network {network.__name__} cannot be built ({error!r:.200})") from error


def check_size(network: type[nn.Module], arguments: Mapping[str, Any], *, required: bool) -> None:
    """Refuses a network of more than MAX_PARAMETERS, before it takes memory: on the device `meta` tensors take none.

    required: false for a user's own network, which may do what `meta` cannot.
    """
    try:
        with torch.device("meta"):
            parameters = sum(weights.numel() for weights in build(network, arguments).parameters())
    except CheckpointError:
        if required:
            raise
        return
    if parameters > MAX_PARAMETERS:
        raise CheckpointError(f"its network has {parameters:,} parameters, above the limit of {MAX_PARAMETERS:,}")


def check_weights(model: DigitClassifier, weights: Any) -> None:
    """Refuses what is not a state_dict of the model's names, shapes and kinds of numbers, all of them finite."""
    if not isinstance(weights, dict):
        raise CheckpointError("it has no state_dict: train again")
    expected = model.state_dict()
    if different := sorted(map(str, expected.keys() ^ weights.keys())):
        raise CheckpointError(f"its weights are not those of {type(model.net).__name__}: {', '.join(different):.200}")
    for name, value in weights.items():
        wanted = expected[name]
        if not isinstance(value, Tensor) or value.shape != wanted.shape or not same_kind(value.dtype, wanted.dtype):
            found = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise CheckpointError(f"its weights {name} are {found}, not {wanted.dtype} {list(wanted.shape)}")
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

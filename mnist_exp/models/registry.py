"""The networks and classifiers that a checkpoint can name.

A checkpoint says which network it holds by the name of its class: `MLP`, or `mnist_exp.models.nets.MLP` as the
configuration writes it. The name is looked up in NETWORKS. Nothing is imported because a checkpoint names it, its
arguments are checked numbers, and `${...}` in it stays the text it is.

A network of your own is used when the command line names its class:

python -m mnist_exp.evaluate ckpt_path=... network=my_module.MyNet
"""

import inspect
from collections.abc import Mapping
from importlib import import_module
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import torch
from torch import nn

from mnist_exp.models.checkpoint_file import CheckpointError
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
MAX_TEXT = 200  # characters of a name
MAX_ITEMS = 200  # of a list


def build_classifier(model: Mapping[str, Any], own: type[nn.Module] | None) -> DigitClassifier:
    """The classifier that `config.model` of a checkpoint describes, with new weights.

    own: the class for a network that is none of NETWORKS.
    """
    classifier = look_up(model["_target_"], CLASSIFIERS)
    if classifier is None:
        raise CheckpointError(
            f"its classifier {model['_target_']!r} is none of this package's ({', '.join(CLASSIFIERS)}): only these "
            "can be loaded"
        )
    arguments = {key: value for key, value in model["net"].items() if key != "_target_"}
    network = look_up(model["net"]["_target_"], NETWORKS)
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


def check_network(net: Mapping[str, Any]) -> None:
    """Refuses, before training, a network of this package that could not be loaded from its checkpoint.

    net: `model.net` of the configuration. Raises ValueError.
    """
    network = look_up(net["_target_"], NETWORKS)
    if network is None:
        return
    arguments = {key: value for key, value in net.items() if not key.startswith("_")}
    try:
        check_arguments(network, arguments)
        check_size(network, arguments, required=True)
    except CheckpointError as error:
        raise ValueError(f"model.net cannot be used: {error}") from error


def look_up(name: str, registry: Mapping[str, type[Class]]) -> type[Class] | None:
    """The class of this name. Only the last part counts: the class may have moved since the file was written."""
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
        if not has_type(value, hints[key]):
            raise CheckpointError(
                f"its network {network.__name__} cannot take {key}={value!r:.50}: it must be {EXPECTED[hints[key]]}"
            )


WHOLE = f"of at least 1 and at most {MAX_ARGUMENT:,}"
EXPECTED = {
    bool: "true or false",
    int: f"a whole number {WHOLE}",
    int | list[int]: f"a whole number {WHOLE}, or a list of up to {MAX_ITEMS} of them",
    float: f"a number above 0 and at most {MAX_ARGUMENT:,}",
    tuple[int, int]: f"two whole numbers {WHOLE}",
    tuple[int, int, int, int]: f"four whole numbers {WHOLE}",
}


def has_type(value: Any, hint: Any) -> bool:
    if hint is bool:
        return type(value) is bool
    if hint is int:
        return type(value) is int and 1 <= value <= MAX_ARGUMENT
    if hint is float:
        return type(value) in (int, float) and 0 < value <= MAX_ARGUMENT
    each = get_args(hint)
    if isinstance(hint, UnionType):
        return any(has_type(value, kind) for kind in each)
    if not isinstance(value, (list, tuple)):
        return False
    if get_origin(hint) is list:
        return len(value) <= MAX_ITEMS and all(has_type(item, each[0]) for item in value)
    return len(value) == len(each) and all(map(has_type, value, each))


def check_plain(arguments: Mapping[str, Any]) -> None:
    """Refuses arguments for a user's own network that are not numbers, texts, true, false, null, or lists of these."""
    for key, value in arguments.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        is_name = str(key).isidentifier() and not str(key).startswith("_")
        if not is_name or len(values) > MAX_ITEMS or not all(map(is_plain, values)):
            raise CheckpointError(
                f"its network cannot take {key!r:.50}={value!r:.50}: train it with numbers of at most "
                f"{MAX_ARGUMENT:,}, texts of at most {MAX_TEXT} characters, true, false, null, or lists of these"
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
        raise CheckpointError(f"its network has {parameters:,} parameters, at most {MAX_PARAMETERS:,} are allowed")


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

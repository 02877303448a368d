"""Make the objects that the configuration names, those of the user's own classes among them.

python -m mnist_exp.train optimizer._target_=torch.optim.NAdam
"""

import inspect
import logging
import pydoc
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_exp.cli.overrides import dotted_keys, parse

TARGET = "._target_"

logger = logging.getLogger(__name__)


def instantiate(settings: Any, **arguments: Any) -> Any:
    """What `hydra.utils.instantiate` makes. Raises the error of the class, not Hydra's report about it.

    Classes get plain lists and dicts: what an optimizer keeps of its arguments goes into checkpoints.
    """
    try:
        return hydra.utils.instantiate(settings, _convert_="all", **arguments)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, (ValueError, RuntimeError, OSError)):  # their messages are written for users
            raise cause from None
        key = str(error).rpartition("full_key: ")[2]
        raise ValueError(f"{key} cannot be made: {' '.join(str(cause or error).split())}") from error


def without_leftovers(cfg: DictConfig, overrides: Iterable[str]) -> DictConfig:
    """The configuration without the arguments of a class that `overrides` replace by another class.

    `optimizer._target_=torch.optim.NAdam` replaces the Adam of conf/optimizer/adam.yaml. That file sets `fused` for
    Adam, and NAdam has no such argument: it is left out, with a line in the log. Arguments that `overrides` set stay.
    """
    typed = set(keys_of(overrides))
    cfg = deepcopy(cfg)
    for place in sorted(key.removesuffix(TARGET) for key in typed if key.endswith(TARGET)):
        node = OmegaConf.select(cfg, place)
        known = argument_names(node._target_)
        candidates = [key for key in node if not key.startswith("_") and f"{place}.{key}" not in typed]
        left_out = [key for key in candidates if known and key not in known]
        with open_dict(node):
            for key in left_out:
                del node[key]
        if left_out:
            logger.info("%s has no %s: left out of %s", node._target_, ", ".join(left_out), place)
    return cfg


def keys_of(overrides: Iterable[str]) -> Iterator[str]:
    """The dotted keys that overrides with a single value each set."""
    for override in map(parse, overrides):
        yield override.key_or_group
        yield from dotted_keys(override.value(), f"{override.key_or_group}.")


def argument_names(target: str) -> set[str] | None:
    """The names of what a class or function takes. None if it takes any name, or if that cannot be known."""
    try:
        located: Any = pydoc.locate(target)
        parameters = inspect.signature(located).parameters.values()
    except Exception:  # such as a module that cannot be imported: `instantiate` says so
        return None
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return None if takes_any else {parameter.name for parameter in parameters}

"""Make the objects that the configuration names, those of the user's own classes among them.

python -m mnist_exp.train optimizer._target_=torch.optim.NAdam
"""

import inspect
import logging
import pydoc
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import hydra.utils
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf, open_dict

from mnist_exp.cli.overrides import dotted_keys

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


def without_leftovers(cfg: DictConfig) -> DictConfig:
    """The configuration, in which a class from the command line gets no arguments of the class that it replaces.

    `optimizer._target_=torch.optim.NAdam` replaces the Adam of conf/optimizer/adam.yaml. That file sets `fused` for
    Adam, and NAdam has no such argument: it is left out, with a line in the log. What was typed is never left out.
    """
    typed = set(typed_keys())
    cfg = deepcopy(cfg)
    for place in sorted(key.removesuffix(TARGET) for key in typed if key.endswith(TARGET)):
        node = OmegaConf.select(cfg, place)
        known = argument_names(node._target_)
        left_out = [key for key in node if known and key not in known and f"{place}.{key}" not in typed]
        left_out = [key for key in left_out if not key.startswith("_")]
        with open_dict(node):
            for key in left_out:
                del node[key]
        if left_out:
            logger.info("%s has no %s: left out of %s", node._target_, ", ".join(left_out), place)
    return cfg


def typed_keys() -> Iterator[str]:
    """The dotted keys that the command line of this run, or job of a sweep, sets."""
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    for override in OverridesParser.create().parse_overrides(overrides):
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

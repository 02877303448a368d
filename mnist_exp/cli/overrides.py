"""Overrides are checked before torch is imported, and a mistake gets one clear message.

Hydra composes the configuration. This module says what was probably meant where Hydra would refuse an override. It also
refuses what Hydra cannot judge: a value of another type than the one it replaces, or out of range.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp.cli import resolvers  # noqa: F401  # registers them: conf/ uses them
from mnist_exp.suggestions import did_you_mean

PACKAGE = Path(__file__).parents[1]
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"  # in a wheel, in the repository


class OverrideError(ValueError):
    """An override that cannot be meant: what is wrong, and what is there instead."""


def options(group: str) -> list[str]:
    """The choices of a group; what they share, base, is none."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem != "base")


def check(config_name: str, overrides: list[str]) -> DictConfig:
    """The configuration, composed with Hydra's own node, if every override can be meant.

    A sweep's overrides are tried value by value (as many compositions as the longest list), those of a `sweep/` file
    included, so that a mistake shows before the first job starts.

    Raises OverrideError.
    """
    from hydra import initialize_config_dir

    with initialize_config_dir(str(CONF), version_base="1.3"):
        columns = [expand(parse(text)) for text in overrides]
        first = compose_checked(config_name, [values[0] for values in columns])
        swept = [f"{key}={values}" for key, values in (first.hydra.sweeper.params or {}).items()]
        columns += [expand(parse(text)) for text in swept]
        for row in range(0 if swept else 1, max(map(len, columns), default=0)):
            compose_checked(config_name, [values[row % len(values)] for values in columns])
    return first


def parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        hint = "write key=value" if "=" not in text else "quote it for the shell and for Hydra: 'key=\"a b\"'"
        raise OverrideError(f"cannot read the override {text!r}: {hint}") from error


def expand(override: Override) -> list[str]:
    """The single overrides that a sweep override stands for; itself where it is none."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    key = (override.input_line or "").split("=", 1)[0]
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def compose_checked(config_name: str, overrides: list[str]) -> DictConfig:
    """Composes one configuration, groups first, so that each mistake can be told from its neighbours."""
    parsed = [parse(text) for text in overrides]
    groups = [override for override in parsed if is_group(override)]
    for override in groups:
        check_group(override)
    base = compose(config_name, [override.input_line or "" for override in groups])
    before = OmegaConf.to_container(base, resolve=False)
    for override in parsed:
        if override not in groups and not override.is_add():
            check_key(override, before)
    cfg = base if len(groups) == len(parsed) else compose(config_name, overrides)
    after = OmegaConf.to_container(cfg, resolve=False)
    for override in parsed:
        if override not in groups and override.type is OverrideType.CHANGE:
            check_type(override, before, after)
    check_ranges(after)
    return cfg


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    try:
        return hydra.compose(config_name, overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise OverrideError(" ".join(str(error).split())) from error


def is_group(override: Override) -> bool:
    """Hydra's own groups are left to Hydra: their options come with its plugins."""
    own = not override.key_or_group.startswith("hydra")
    return own and (CONF / override.key_or_group).is_dir() and not isinstance(override.value(), dict)


def check_group(override: Override) -> None:
    known = options(override.key_or_group)
    chosen = override.value()
    for option in chosen if isinstance(chosen, list) else [chosen]:
        if str(option) not in known:
            raise OverrideError(
                f"{override.key_or_group} has no option {str(option)!r}{did_you_mean(str(option), known)} "
                f"({override.key_or_group} is one of: {', '.join(known)})"
            )


def check_key(override: Override, settings: Any) -> None:
    key = override.key_or_group
    known = list(flat_keys(settings))
    if key.startswith("hydra") or key in known:
        return
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    raise OverrideError(f"there is no {key!r} in the configuration{did_you_mean(key, known + groups)} (see --help)")


def check_type(override: Override, before: Any, after: Any) -> None:
    """A value keeps the type of the one it replaces, except that an int may replace a float, and null anything.

    Keys that have a range are judged by that alone.
    """
    key = override.key_or_group
    if key.startswith("hydra") or key in RANGES:
        return
    old, new = raw_value(before, key), raw_value(after, key)
    if old is None or new is None or is_interpolation(old) or is_interpolation(new):
        return
    kinds = {bool: (bool,), int: (int,), float: (float, int), str: (str, int, float)}.get(type(old), (type(old),))
    if not isinstance(new, kinds) or (isinstance(new, bool) and bool not in kinds):
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        expected = names.get(type(old), f"a {type(old).__name__}")
        raise OverrideError(f"{key} is {expected} (such as {old!r}), not {new!r}")


def at_least(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number of at least {least}", lambda value: type(value) is int and value >= least


def one_of(*names: str) -> tuple[str, Callable[[Any], bool]]:
    return f"one of: {', '.join(names)}", lambda value: str(value) in names


def above_zero() -> tuple[str, Callable[[Any], bool]]:
    return "a number above 0", lambda value: type(value) in (int, float) and value > 0


def share() -> tuple[str, Callable[[Any], bool]]:
    return "a number from 0 to below 1", lambda value: type(value) in (int, float) and 0 <= value < 1


def batches() -> tuple[str, Callable[[Any], bool]]:
    return (
        "a number of batches, a share of them such as 0.5, or null for all",
        lambda value: (
            value is None or (type(value) is int and value >= 0) or (type(value) is float and 0 <= value <= 1)
        ),
    )


def auto_or_bool() -> tuple[str, Callable[[Any], bool]]:
    return "auto, true or false", lambda value: value == "auto" or isinstance(value, bool)


RANGES = {
    "seed": at_least(0),
    "data.batch_size": at_least(1),
    "data.eval_batch_size": at_least(1),
    "data.val_size": at_least(0),
    "data.placement": one_of("auto", "device", "host"),
    "model.label_smoothing": share(),
    "optimizer.lr": above_zero(),
    "photo": auto_or_bool(),
    "show": auto_or_bool(),
    "suite.photo": auto_or_bool(),
    "trainer.max_epochs": at_least(1),
    "trainer.limit_train_batches": batches(),
    "trainer.limit_val_batches": batches(),
    "trainer.limit_test_batches": batches(),
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.precision": one_of(
        "32-true", "32", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true", "64", "bf16", "16"
    ),
}


def check_ranges(settings: Any) -> None:
    for key, (expected, holds) in RANGES.items():
        value = raw_value(settings, key, missing="${absent}")
        if not is_interpolation(value) and not holds(value):
            names = expected.removeprefix("one of: ").split(", ") if expected.startswith("one of") else []
            raise OverrideError(f"{key} is {expected}, not {value!r}{did_you_mean(str(value), names)}")


def raw_value(node: Any, key: str, missing: Any = None) -> Any:
    """The value at a dotted key of nested dicts, as it is written there."""
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return missing
        node = node[part]
    return node


def is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def flat_keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from flat_keys(value, f"{prefix}{key}.")

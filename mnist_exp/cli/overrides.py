"""Check overrides before torch is imported, and answer a mistake with one clear message.

Hydra composes the configuration. Where Hydra would refuse an override, this module says what was probably meant. It
also refuses what Hydra cannot judge: a value of another type than the one it replaces, or out of range.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mnist_exp.cli import resolvers  # noqa: F401  # registers what conf/ uses
from mnist_exp.cli.accelerators import too_many_processes
from mnist_exp.cli.folder_names import job_folder
from mnist_exp.cli.ranges import KNOWN_CLASSES, RANGES, REMOVABLE, out_of_range
from mnist_exp.suggestions import did_you_mean

PACKAGE = Path(__file__).parents[1]
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"  # in a wheel, in the repository
LAUNCHERS = {"joblib": "hydra-joblib-launcher", "submitit": "hydra-submitit-launcher"}  # the package of each
ABSENT = object()  # in place of a value, where a configuration does not have the key


class OverrideError(ValueError):
    """An override that is not valid: the message says what is wrong with it and what would be valid."""


def compose_checked(config_name: str, overrides: list[str]) -> DictConfig:
    """The configuration with Hydra's own node, composed once every override has been found valid.

    The overrides of a sweep, those of a `sweep/` file included, are checked value by value, so that a mistake in any of
    them is reported before the first job starts. This takes as many compositions as the longest list has values.

    Raises OverrideError.
    """
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        typed = [parse(text) for text in overrides]
        values_of_each = [single_overrides(override) for override in typed]
        first = compose_job(config_name, [values[0] for values in values_of_each])
        typed_keys = {override.key_or_group for override in typed}  # these win over the sweep file's
        swept = (first.hydra.sweeper.params or {}).items()
        from_file = [single_overrides(parse(f"{key}={values}")) for key, values in swept if key not in typed_keys]
        values_of_each += from_file
        for job in range(0 if from_file else 1, max(map(len, values_of_each), default=0)):
            compose_job(config_name, [values[job % len(values)] for values in values_of_each])
    return first


def parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        hint = "write key=value" if "=" not in text else "quote it for the shell and for Hydra: 'key=\"a b\"'"
        raise OverrideError(f"cannot read the override {text!r}: {hint}") from error


def single_overrides(override: Override) -> list[str]:
    """The overrides with one value each that a sweep's override stands for: `seed=0,1` gives seed=0 and seed=1."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    key = (override.input_line or "").split("=", 1)[0]
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def check_single_values(overrides: list[str]) -> None:
    """Refuses several values where no sweep is asked for."""
    for text in overrides:
        if parse(text).is_sweep_override():
            key, _, values = text.partition("=")
            raise OverrideError(f"{text} names several values: add -m for a run with each; a list is {key}=[{values}]")


def job_folders(cfg: DictConfig, overrides: list[str]) -> set[str]:
    """The names of the folders that a sweep's jobs have. Empty where they cannot be foreseen.

    cfg: the configuration of the sweep, with Hydra's own node.
    """
    foreseen = str(cfg.hydra.sweeper._target_).endswith(".BasicSweeper") and "hydra.sweep.subdir" not in str(overrides)
    from_file = [parse(f"{key}={values}") for key, values in (cfg.hydra.sweeper.params or {}).items()]
    values_of_each = {}  # what was typed replaces what the file says
    for override in [*from_file, *map(parse, overrides)]:
        if not override.is_hydra_override():
            values_of_each[override.get_key_element()] = as_jobs_have_it(override)
    return {job_folder(job) for job in product(*values_of_each.values())} if foreseen else set()


def as_jobs_have_it(override: Override) -> list[str]:
    """The overrides that Hydra's sweeper makes of one, a value each, in its own spelling: `true` becomes `True`."""
    key = override.get_key_element()
    is_sweep = override.is_sweep_override()
    values = override.sweep_string_iterator() if is_sweep else [override.get_value_element_as_str()]
    return [f"{key}={value}" for value in values]


def compose_job(config_name: str, overrides: list[str]) -> DictConfig:
    """One configuration. Its groups are composed first: they decide which keys exist, and of which type they are."""
    parsed = [parse(text) for text in overrides]
    groups = [override for override in parsed if is_group(override) and not override.is_delete()]
    for override in groups:
        check_group(override)
    base = compose(config_name, *(override.input_line or "" for override in groups))
    before = OmegaConf.to_container(base, resolve=False)
    keys = [override for override in parsed if override not in groups]
    for override in keys:
        if not override.is_add():
            check_key(override, before)
        if override.is_delete():
            check_removable(override.key_or_group)
    cfg = compose(config_name, *overrides) if keys else base
    after = OmegaConf.to_container(cfg, resolve=False)
    for override in keys:
        if override.type is OverrideType.CHANGE:
            check_type(override, before, after)
    check_ranges(after)
    return cfg


@cache  # the jobs of a sweep share their groups, and a composition takes a tenth of a second
def compose(config_name: str, *overrides: str) -> DictConfig:
    try:
        return hydra.compose(config_name, list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        message = " ".join(str(error).split())
        for name, package in LAUNCHERS.items():
            if f"Could not find 'hydra/launcher/{name}" in message:
                message = f"the launcher {name} is not installed: pip install {package}"
        raise OverrideError(message) from error


# --- groups ---


def group_options(group: str) -> list[str]:
    """The options of a group, sorted. `base` holds what the others share, and is not an option."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem != "base")


def is_group(override: Override) -> bool:
    """Whether an override chooses from a group of ours. Hydra's own groups come with its plugins: Hydra checks them."""
    ours = not override.key_or_group.startswith("hydra")
    return ours and (CONF / override.key_or_group).is_dir() and not isinstance(override.value(), dict)


def check_group(override: Override) -> None:
    group, chosen = override.key_or_group, override.value()
    known = group_options(group)
    for option in chosen if isinstance(chosen, list) else [chosen]:
        if str(option) not in known:
            raise OverrideError(
                f"{group} has no option {str(option)!r}{did_you_mean(str(option), known)} "
                f"({group} is one of: {', '.join(known)})"
            )


# --- keys and values ---


def check_key(override: Override, settings: Any) -> None:
    key = override.key_or_group
    known = list(dotted_keys(settings))
    if key.startswith("hydra") or key in known:
        return
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    node = key.rpartition(".")[0]
    is_typo = bool(difflib.get_close_matches(key, [name for name in known if name.startswith(f"{node}.")], cutoff=0.9))
    may_be_argument = f"{node}._target_" in known and not is_typo
    hint = f", +{override.input_line} gives the class of {node} another argument" if may_be_argument else ""
    raise OverrideError(
        f"there is no {key!r} in the configuration{did_you_mean(key, known + groups)} (see --help{hint})"
    )


def check_removable(key: str) -> None:
    if key.endswith("._target_") or not key.startswith(REMOVABLE):
        none = f", such as {key}=none" if "none" in group_options(key) else f": {key}=..."
        raise OverrideError(f"~{key}: {key} cannot be left out, only set to another value{none}")


def check_type(override: Override, before: Any, after: Any) -> None:
    """A value has the type of the one it replaces. Exceptions: an int may replace a float, and null anything.

    A key that has a range is judged by its range alone.
    """
    key = override.key_or_group
    if key.startswith("hydra") or key in RANGES:
        return
    old, new = raw_value(before, key), raw_value(after, key)
    if old is None or new is None or is_interpolation(old) or is_interpolation(new):
        return
    accepted = {bool: (bool,), int: (int,), float: (float, int), str: (str, int, float)}.get(type(old), (type(old),))
    if type(new) not in accepted:
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        expected = names.get(type(old), f"a {type(old).__name__}")
        raise OverrideError(f"{key} is {expected} (such as {old!r}), not {new!r}")


def check_ranges(settings: Any) -> None:
    for key in RANGES:
        value = raw_value(settings, key, default=ABSENT)
        if value is ABSENT or is_interpolation(value) or is_argument_of_own_class(key, settings):
            continue
        if problem := out_of_range(key, value):
            raise OverrideError(problem)
    if "trainer" in settings and (problem := contradiction(settings)):
        raise OverrideError(problem)


def contradiction(settings: Any) -> str | None:
    """What is wrong with the settings of a run taken together, in one sentence. None if nothing is."""
    trainer = settings["trainer"]
    if all(trainer.get(end) in (-1, None) for end in ("max_epochs", "max_steps", "max_time")):
        return "training would not end: set trainer.max_epochs, trainer.max_steps or trainer.max_time"
    least, most = trainer.get("min_epochs"), trainer.get("max_epochs")
    if type(least) is int and type(most) is int and least > most != -1:
        return f"trainer.min_epochs={least} is more than trainer.max_epochs={most}"
    has_validation = trainer.get("limit_val_batches") != 0 and raw_value(settings, "data.val_size") != 0
    if raw_value(settings, "callbacks.early_stopping") and not has_validation:
        return "callbacks=early_stopping needs validation: data.val_size and trainer.limit_val_batches must not be 0"
    return too_many_processes(trainer.get("accelerator"), trainer.get("devices"))


def is_argument_of_own_class(key: str, settings: Any) -> bool:
    """Whether a key belongs to a class of the user's own, of which this package knows no limits."""
    target = raw_value(settings, f"{key.rpartition('.')[0]}._target_")
    return target is not None and not str(target).startswith(KNOWN_CLASSES)


def raw_value(node: Any, key: str, default: Any = None) -> Any:
    """The value at a dotted key of nested dicts, its interpolations unresolved."""
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return default
        node = node[part]
    return node


def is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def dotted_keys(node: Any, prefix: str = "") -> Iterator[str]:
    """All keys of nested dicts, inner nodes included: `data`, `data.batch_size`, ..."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from dotted_keys(value, f"{prefix}{key}.")

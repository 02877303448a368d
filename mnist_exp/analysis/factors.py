"""What tells runs apart: the settings that differ between them, few and by the names a person would use."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from mnist_exp.recipe import is_part_of_recipe

Column = tuple[str, ...]  # a level for each run
Configs = Sequence[Mapping[str, Any]]

ABSENT = "(none)"  # the level of a setting that this run's configuration does not have


def find_factors(configs: Configs, overrides: Sequence[Sequence[str]]) -> dict[str, Column]:
    """Factors by name, with a level for each run: runs have the same levels exactly if they share a recipe.

    configs: the resolved configurations. overrides: what was typed to get them, such as `["data=csv", "seed=1"]`.

    A config group is one factor (`data=csv`) that stands for all of its settings that follow from it (`_target_`,
    `train_csv`, ...); copies that interpolation makes (`model.optimizer.lr`) count once. What was typed names a
    factor where it can; the configuration names the others.
    """
    typed = [dict(filter(None, map(_typed, each))) for each in overrides]
    varying = _varying(configs, preferred=set(chain(*typed)))
    factors = _name_factors(configs, typed, varying)
    if not _decide(factors.values(), of=varying.values()):  # the same recipe was typed in two ways
        factors = _name_factors(configs, [{} for _ in configs], varying)
    return factors


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as text."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", as_text(value)


def as_text(level: Any) -> str:
    """A level as one would type it on the command line."""
    return level if isinstance(level, str) else json.dumps(level, separators=(",", ":"), default=str)


def _typed(override: str) -> tuple[str, str] | None:
    key, equals, value = override.partition("=")
    key = key.lstrip("+").partition("@")[0]
    return (key, value.strip("\"'")) if equals and is_part_of_recipe(key) else None


def _varying(configs: Configs, *, preferred: set[str]) -> dict[str, Column]:
    """The settings that differ, without copies of each other and of the seed: one typed stays, else the shortest."""
    flat = [dict(flatten(config)) for config in configs]
    columns = {key: tuple(each.get(key, ABSENT) for each in flat) for key in dict.fromkeys(chain(*flat))}
    first: dict[Column, str] = {columns.get("seed", ()): "seed"}
    for key in sorted(columns, key=lambda key: (key not in preferred, key.count("."))):
        if is_part_of_recipe(key) and len(set(columns[key])) > 1:
            first.setdefault(columns[key], key)
    return {key: column for key, column in columns.items() if first.get(column) == key != "seed"}


def _name_factors(
    configs: Configs, typed: Sequence[Mapping[str, str]], varying: Mapping[str, Column]
) -> dict[str, Column]:
    groups = {key for config in configs for key, value in config.items() if isinstance(value, Mapping)}
    factors: dict[str, Column] = {}
    recipes: list[str] = []  # typed, and no setting: `experiment` may set anything
    for key in dict.fromkeys(chain(*typed)):
        column = varying.get(key, ())
        if key in groups:
            column = tuple(run.get(key) or _identity(config, key) for run, config in zip(typed, configs, strict=True))
        elif all(key in run for run in typed) and not any(key.partition(".")[0] in config for config in configs):
            column = tuple(run[key] for run in typed)
            recipes.append(key)
        if len(set(column)) > 1:
            factors[key] = column
    recipes = [key for key in recipes if key in factors]

    for key, column in varying.items():
        group = key.partition(".")[0]
        explained = [factors[recipe] for recipe in recipes]
        if group in groups and group not in factors and not _decide([column], of=explained):
            identity = tuple(_identity(config, group) for config in configs)
            if len(set(identity)) > 1:
                factors[group] = identity
        copied = [other for other in varying.values() if other != column and _copies(column, other)]
        if not _decide([column], of=[*explained, factors.get(group, ()), *copied]):
            factors[key] = column
    return factors


def _decide(columns: Iterable[Column], *, of: Iterable[Column]) -> bool:
    """Whether runs that are alike in the columns `of` are alike in `columns` too."""
    deciding = [column for column in of if column]
    decided = [*deciding, *(column for column in columns if column)]
    return len(set(zip(*decided, strict=True))) <= max(1, len(set(zip(*deciding, strict=True))))


def _copies(column: Column, other: Column) -> bool:
    """Whether a setting that only some options have is another one's copy there, as interpolation makes it."""
    return all(level in (ABSENT, original) for level, original in zip(column, other, strict=True))


def _identity(config: Mapping[str, Any], group: str) -> str:
    """What a config group's option calls itself: its `name`, or the last part of its `_target_`; `none` for null.

    `default` where that says nothing: the callbacks have neither, and every trainer is a Trainer.
    """
    node = config.get(group)
    if not isinstance(node, Mapping):
        return "none" if node is None else as_text(node)
    called = str(node.get("name") or str(node.get("_target_", "")).rpartition(".")[2].lower())
    return "default" if called in ("", group) else called

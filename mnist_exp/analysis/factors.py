"""Find the factors of a comparison: the few settings that tell its runs apart, by the names that a person would type.

An example. Three runs were started with

    A: data=image seed=0
    B: data=csv seed=0
    C: data=csv optimizer=sgd optimizer.lr=0.1 seed=1

Their resolved configurations differ in a dozen settings. A reader wants to see three of them:

    run  data   optimizer  optimizer.lr
    A    image  adam       0.001
    B    csv    adam       0.001
    C    csv    sgd        0.1

`find_factors` takes five steps:

1. List the settings that differ: `data._target_`, `data.name`, `data.train_csv`, `optimizer._target_`, `optimizer.lr`,
   `model.optimizer.lr`, ... Settings that belong to no recipe, such as `seed` and `run_dir`, are left out.
2. Drop copies. `model.optimizer.lr` has the value of `optimizer.lr` in every run, because the configuration refers to
   it. One of the two stays.
3. Take what was typed. `data` and `optimizer` are config groups: their levels are the options, such as `csv`. Run A
   did not type `optimizer`, so its level comes from its configuration: `adam`. `optimizer.lr` is a single setting.
4. Add what is still unexplained. `data.train_csv` is not added: it is the same in all runs with the same `data`. A
   setting that differs between runs whose factors so far are the same would be added.
5. Check. The same recipe can be typed in two ways: `experiment=solution1`, and all settings of solution 1 one by one.
   Only the first run has a level of `experiment`, so step 3 would tell the two apart. In that case steps 3 and 4 are
   done again as if nothing had been typed, with the configurations alone.

Afterwards two runs have the same level of every factor exactly if they share a recipe.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from mnist_exp.recipe import BEFORE_IT_WAS_ADDED, NOT_IN_FOLDER_NAMES, is_part_of_recipe

Levels = tuple[str, ...]  # the level of one factor in each run, in the order of the runs
Configs = Sequence[Mapping[str, Any]]
Typed = Mapping[str, str]  # what was typed to start one run: {"data": "csv"}

ABSENT = "(none)"  # the level of a run that does not have the setting


def find_factors(configs: Configs, overrides: Sequence[Sequence[str]]) -> dict[str, Levels]:
    """The factors by name, each with its level in every run. The module's docstring explains the five steps.

    configs: the runs' resolved configurations.
    overrides: what was typed to start each run, such as `["data=csv", "seed=1"]`.
    """
    typed = [typed_settings(each) for each in overrides]
    differing = drop_copies(differing_settings(configs), preferred=set(chain(*typed)))
    factors = name_factors(configs, typed, differing)
    if not all(determined(levels, by=list(differing.values())) for levels in factors.values()):
        factors = name_factors(configs, [{} for _ in configs], differing)
    return factors


# --- Steps 1 and 2: the settings that differ -------------------------------------------------------------------------


def differing_settings(configs: Configs) -> dict[str, Levels]:
    """Every setting of the recipe that does not have the same value in all runs, by its dotted key.

    Copies of the seed, such as `data.seed`, are no more part of the recipe than the seed.
    """
    flat = [all_settings(config) for config in configs]
    levels_of = {key: tuple(each.get(key, ABSENT) for each in flat) for key in dict.fromkeys(chain(*flat))}
    copies_of_seed = {key for key in levels_of if key.endswith(".seed") and levels_of[key] == levels_of.get("seed")}
    return {
        key: levels
        for key, levels in levels_of.items()
        if is_part_of_recipe(key) and key not in copies_of_seed and differs(levels)
    }


def drop_copies(differing: Mapping[str, Levels], *, preferred: set[str]) -> dict[str, Levels]:
    """Of settings with equal values in all runs one stays: a preferred one, else the one nearest to the top."""
    kept: dict[Levels, str] = {}
    for key in sorted(differing, key=lambda key: (key not in preferred, key.count("."))):
        kept.setdefault(differing[key], key)
    return {key: levels for key, levels in differing.items() if kept[levels] == key}


def all_settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Every setting by its dotted key, as text, also those that were added since the run of this configuration."""
    return BEFORE_IT_WAS_ADDED | dict(flatten(config))


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of a dotted key and its value as text."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", as_text(value)


def as_text(level: Any) -> str:
    """A level as a user would type it on the command line."""
    return level if isinstance(level, str) else json.dumps(level, separators=(",", ":"), default=str)


# --- Steps 3 and 4: names --------------------------------------------------------------------------------------------


def name_factors(configs: Configs, typed: Sequence[Typed], differing: Mapping[str, Levels]) -> dict[str, Levels]:
    """What was typed, and then what is still needed to tell all recipes apart."""
    return add_unexplained(configs, typed_factors(configs, typed, differing), differing)


def typed_settings(overrides: Sequence[str]) -> dict[str, str]:
    """`["data=csv", "+model.width=8", "seed=1"]` as {"data": "csv", "model.width": "8"}."""
    typed = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        key = key.lstrip("+").partition("@")[0]
        if key and equals and is_part_of_recipe(key) and key not in NOT_IN_FOLDER_NAMES:  # such as sweep=puzzle
            typed[key] = value.strip("\"'")
    return typed


def typed_factors(configs: Configs, typed: Sequence[Typed], differing: Mapping[str, Levels]) -> dict[str, Levels]:
    """Config groups, single settings and named recipes (`experiment=fast`) that were typed and differ."""
    groups, factors = config_groups(configs), {}
    for key in dict.fromkeys(chain(*typed)):
        if key in groups:
            options = [run.get(key) or option_name(config, key) for run, config in zip(typed, configs, strict=True)]
            factors[key] = tuple(options)
        elif names_a_recipe(key, configs):
            factors[key] = tuple(ABSENT if run.get(key, "null") == "null" else run[key] for run in typed)
        elif key in differing:
            factors[key] = differing[key]
    return {key: levels for key, levels in factors.items() if differs(levels)}


def add_unexplained(
    configs: Configs, factors: Mapping[str, Levels], differing: Mapping[str, Levels]
) -> dict[str, Levels]:
    """The factors, and after them the config groups and settings that these do not explain.

    A setting is explained by a named recipe, by the option of its config group, or by the setting that it copies.
    """
    groups = config_groups(configs)
    recipes = [levels for key, levels in factors.items() if names_a_recipe(key, configs)]
    factors = dict(factors)
    for key, levels in differing.items():
        if determined(levels, by=recipes):
            continue
        group = key.partition(".")[0]
        if group in groups and group not in factors:
            options = tuple(option_name(config, group) for config in configs)
            if not determined(options, by=recipes):
                factors[group] = options
        explaining = [*recipes, *(other for other in differing.values() if is_partial_copy(levels, other))]
        if group in factors:
            explaining.append(factors[group])
        if not determined(levels, by=explaining):
            factors[key] = levels
    return factors


def config_groups(configs: Configs) -> set[str]:
    """The parts of the configuration that are chosen as a whole, such as `data`; the others are single settings."""
    return {key for config in configs for key, value in config.items() if isinstance(value, Mapping)}


def names_a_recipe(key: str, configs: Configs) -> bool:
    """Whether an override chooses a file that may set anything, as `experiment` does: it is no setting itself."""
    return not any(key.partition(".")[0] in config for config in configs)


def option_name(config: Mapping[str, Any], group: str) -> str:
    """What the chosen option of a config group calls itself: its `name`, else the last part of its `_target_`.

    `none` for null, and `default` where the option has no name of its own: every `trainer` is a Trainer.
    """
    option = config.get(group)
    if not isinstance(option, Mapping):
        return "none" if option is None else as_text(option)
    name = str(option.get("name") or str(option.get("_target_", "")).rpartition(".")[2].lower())
    return "default" if name in ("", group) else name


# --- Questions about levels ------------------------------------------------------------------------------------------


def differs(levels: Levels) -> bool:
    return len(set(levels)) > 1


def determined(levels: Levels, *, by: Sequence[Levels]) -> bool:
    """Whether runs that are alike in all factors of `by` are alike in `levels`. Without any, all runs are alike."""
    alike = list(zip(*by, strict=True)) if by else [()] * len(levels)
    return len(set(zip(alike, levels, strict=True))) == len(set(alike))


def is_partial_copy(levels: Levels, other: Levels) -> bool:
    """Whether a setting that only some options have is a copy of another one wherever it is present.

    An example: `optimizer.batch_size`, which only `sgd_scaled` has, refers to `data.batch_size`.
    """
    return levels != other and all(level in (ABSENT, same) for level, same in zip(levels, other, strict=True))

"""Reuse equal runs: a run that was not made takes the accuracy of one that is known to equal it.

An example. All runs have the same pixels, from MNIST's images or from a CSV of them:

    run  data   seed  test accuracy
    A    image  0     0.9
    B    csv    0     0.9
    C    image  1     0.8

A and B show that the two sources of pixels lead to the same accuracy, to the last digit. So the missing run with
`data=csv seed=1` need not be made. `reuse_equal_runs` adds a row for it, with the accuracy of C:

    -    csv    1     0.8             borrowed from C
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pandas as pd

from mnist_exp.analysis.factors import all_settings
from mnist_exp.analysis.markdown import counted
from mnist_exp.recipe import PIXEL_SOURCE, is_part_of_recipe
from mnist_exp.result import RunResult

BORROWED = ["seed", "test/acc", "val/acc", "test/loss", "val/loss", "epoch", "fingerprint"]  # columns


def reuse_equal_runs(
    finished: pd.DataFrame, factor: str, others: Sequence[str], results: Mapping[str, RunResult]
) -> tuple[pd.DataFrame, list[str]]:
    """Rows for the runs that are missing at a level of `factor` and have an equal at another level.

    finished: the rows of the finished runs. others: all other factors. results: of the runs, by `run`.

    Returns the rows, with status `borrowed`, and a sentence for each pair of levels that says what was borrowed, or
    why nothing was. `why_not_equal` has the conditions.
    """
    recipe = [*others, "seed"]
    levels = finished[factor].unique()
    made = {level: set(recipes_of(finished[finished[factor] == level], recipe)) for level in levels}
    rows, sentences = [], []
    for source, level in permutations(sorted(levels), 2):
        equal = finished[finished[factor] == source]
        equal = equal[[each not in made[level] for each in recipes_of(equal, recipe)]]
        if equal.empty:
            continue
        both = finished[finished[factor].isin([source, level])]
        direction = f"`{factor}={level}` from `{factor}={source}`"
        if reason := why_not_equal(both, factor, recipe, results):
            sentences.append(f"Nothing was borrowed for {direction}: {reason}.")
            continue
        made[level] |= set(recipes_of(equal, recipe))
        borrowed = equal.reindex(columns=[*others, *BORROWED])
        rows.append(borrowed.assign(**{factor: level, "status": "borrowed", "borrowed_from": equal["run"]}))
        sentences.append(
            f"Borrowed for {direction}: {counted(len(borrowed), 'value')}, of runs with the same recipe, seed and data "
            f"fingerprint. Where runs were made both ways ({counted(len(pairs_of(both, factor, recipe)), 'pair')}), "
            "they agree in test accuracy to the last digit."
        )
    return (pd.concat(rows) if rows else pd.DataFrame()), sentences


def why_not_equal(
    runs: pd.DataFrame, factor: str, recipe: Sequence[str], results: Mapping[str, RunResult]
) -> str | None:
    """Why a run at one of two levels of `factor` cannot stand for one at the other. None where it can.

    It can if all `runs` have one data fingerprint, at least one pair of them was made at both levels, and all such
    pairs differ in nothing but where their pixels come from and have exactly the same test accuracy.
    """
    if runs["fingerprint"].isna().any():
        return "not all of them have a data fingerprint"
    if runs["fingerprint"].nunique() > 1:
        return "their data fingerprints differ"
    pairs = pairs_of(runs, factor, recipe)
    if not pairs:
        return "no run was made both ways to show that they agree"
    for pair in pairs:
        one, other = (set(all_settings(results[run].config).items()) for run in pair)
        keys = {key for key, _ in one ^ other if is_part_of_recipe(key)} - {*PIXEL_SOURCE}
        if keys:
            return f"they differ in more than where their pixels come from: {', '.join(sorted(keys))}"
    accuracies = runs.groupby(list(recipe), dropna=False)["test/acc"].nunique()
    if unequal := int((accuracies > 1).sum()):
        return f"{unequal} of {counted(len(pairs), 'pair')} made both ways differ in test accuracy"
    return None


def recipes_of(runs: pd.DataFrame, recipe: Sequence[str]) -> list[tuple[Any, ...]]:
    """The values of the columns in `recipe`, a tuple for each run."""
    return list(runs[list(recipe)].itertuples(index=False, name=None))


def pairs_of(runs: pd.DataFrame, factor: str, recipe: Sequence[str]) -> list[tuple[str, str]]:
    """The runs that were made at both levels of `factor`, all else equal."""
    one, other = (dict(zip(recipes_of(side, recipe), side["run"], strict=True)) for _, side in runs.groupby(factor))
    return [(run, other[each]) for each, run in one.items() if each in other]

"""A run that was not made may take the accuracy of one that is known to equal it: same pixels, recipe and seed."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pandas as pd

from mnist_exp.analysis.factors import flatten
from mnist_exp.analysis.markdown import counted
from mnist_exp.recipe import PIXEL_SOURCE, is_part_of_recipe

LENT = ["seed", "test/acc", "val/acc", "test/loss", "val/loss", "epoch", "fingerprint"]


def borrowed(
    finished: pd.DataFrame, factor: str, others: Sequence[str], results: Mapping[str, Mapping[str, Any]]
) -> tuple[pd.DataFrame, list[str]]:
    """A row for each run missing across `factor` that a finished one can stand for, and a sentence on each lending.

    finished: the measured rows. others: all further factors. results: of the runs, with their configurations.

    A run stands for the one with the same recipe and seed at another level if all runs at both levels carry one data
    fingerprint, and if those that were made at both levels (one pair at the least) differ in nothing but where their
    pixels come from, and agree in test accuracy to the last digit.
    """
    cell = [*others, "seed"]
    levels = finished[factor].unique()
    have = {level: set(cells_of(finished[finished[factor] == level], cell)) for level in levels}
    rows, said = [], []
    for lender, level in permutations(sorted(levels), 2):
        lenders = finished[finished[factor] == lender]
        lenders = lenders[[each not in have[level] for each in cells_of(lenders, cell)]]
        if lenders.empty:
            continue
        both = finished[finished[factor].isin([lender, level])]
        arrow = f"`{factor}={level}` from `{factor}={lender}`"
        if reason := why_not(both, factor, cell, results):
            said.append(f"Nothing was borrowed for {arrow}: {reason}.")
            continue
        have[level] |= set(cells_of(lenders, cell))
        lent = lenders.reindex(columns=[*others, *LENT])
        rows.append(lent.assign(**{factor: level, "status": "borrowed", "borrowed_from": lenders["run"]}))
        said.append(
            f"Borrowed for {arrow}: {counted(len(lent), 'value')}, of runs with the same recipe, seed and data "
            f"fingerprint. Where runs were made both ways ({counted(len(pairs_of(both, factor, cell)), 'pair')}), they "
            "agree in test accuracy to the last digit."
        )
    return (pd.concat(rows) if rows else pd.DataFrame()), said


def why_not(runs: pd.DataFrame, factor: str, cell: Sequence[str], results: Mapping[str, Mapping[str, Any]]) -> str:
    """What forbids to take a run at one of two levels for one at the other; empty where nothing does."""
    if runs["fingerprint"].nunique(dropna=False) > 1:
        return "their data fingerprints differ"
    pairs = pairs_of(runs, factor, cell)
    if not pairs:
        return "no run was made both ways to show that they agree"
    for run, other in pairs:
        a, b = (dict(flatten(results[each]["config"])) for each in (run, other))
        differing = {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)} - {*PIXEL_SOURCE}
        if differing := {key for key in differing if is_part_of_recipe(key)}:
            return f"they differ in more than where their pixels come from: {', '.join(sorted(differing))}"
    accuracies = runs.groupby(list(cell))["test/acc"].nunique()
    if unequal := int((accuracies > 1).sum()):
        return f"{unequal} of {counted(len(pairs), 'pair')} made both ways differ in test accuracy"
    return ""


def cells_of(runs: pd.DataFrame, cell: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(runs[list(cell)].itertuples(index=False, name=None))


def pairs_of(runs: pd.DataFrame, factor: str, cell: Sequence[str]) -> list[tuple[str, str]]:
    """The runs that were made at both levels of `factor`, all else equal."""
    sides = [dict(zip(cells_of(side, cell), side["run"], strict=True)) for _, side in runs.groupby(factor)]
    return [(sides[0][each], sides[1][each]) for each in sides[0] if each in sides[1]]

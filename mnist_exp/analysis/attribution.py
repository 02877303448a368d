"""Attribute the gap between two recipes to the factors in which they differ: a section of the report.

The two recipes are the corners of a full factorial: runs exist for every combination of the corners' levels.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mnist_exp.analysis import figures
from mnist_exp.analysis.factorial import Factorial
from mnist_exp.analysis.markdown import NOTHING, code, counted, interval, markdown_table, paragraphs, points
from mnist_exp.analysis.runs import Study, check_factor, check_level
from mnist_exp.analysis.statistics import Summary

Corners = tuple[dict[str, str], dict[str, str]]  # factor -> level, where the gap starts and where it ends

MOST_INTERACTIONS = 8  # rows of a table
EXPLAINED = (
    "A share (Shapley) is what switching the factor adds, averaged over all orders in which the factors can be "
    "switched: *first* of all, while the others are as in `from`, up to *last* of all. A main effect is what switching "
    "it adds, averaged over all settings of the others. An interaction of two factors is half the difference that one "
    "makes to the effect of the other, and one of three is half the difference that the third makes to it."
)
ABOUT_BORROWING = (
    "The same pixels in the same order, the same recipe and the same seed give the same weights, bit for bit, so such "
    "runs need not be made twice. Borrowed values count in this section only. They make the effect of that factor zero "
    "by construction. runs.csv says where each value is from (`borrowed_from`)."
)


def check_corners(study: Study, start: Mapping[str, Any] | None, end: Mapping[str, Any] | None) -> Corners | None:
    """The corners with their levels as text; None where none are asked for.

    Raises ValueError for a factor or level that the runs do not have, and for corners that do not match.
    """
    if not start and not end:
        return None
    if not start or not end:
        raise ValueError("compare.from and compare.to go together: the two corners, such as {data: image, model: mlp}")
    if unmatched := start.keys() ^ end.keys():
        raise ValueError(
            "compare.from and compare.to must name the same factors; only one of them has "
            f"{', '.join(sorted(unmatched))}"
        )
    for factor in start:
        check_factor(factor, study.factors)
    low, high = ({factor: check_level(factor, corner[factor], study) for factor in corner} for corner in (start, end))
    if same := [factor for factor in low if low[factor] == high[factor]]:
        raise ValueError(f"compare.from and compare.to have the same level of {', '.join(same)}: leave it out of both")
    return low, high


def corner_groups(study: Study, corners: Corners | None) -> list[str]:
    """The groups at the corners, the better one first. Empty where the corners leave a factor open.

    A corner that was not run has no group.
    """
    if corners is None or len(corners[0]) < len(study.factors):
        return []
    wanted = [tuple(corner[factor] for factor in study.factors) for corner in corners]
    return [group for group in study.groups if tuple(study.of(group)[study.factors].iloc[0]) in wanted]


def attribution(study: Study, corners: Corners | None, drawn: dict[str, figures.Plot]) -> str:
    """The section; empty without corners.

    drawn: gets the figure.

    Raises ValueError where no seed has runs for all combinations, or where runs differ in a factor that is not named.
    """
    if corners is None:
        return ""
    usable = study.frame[study.frame["status"].isin(["finished", "borrowed"])]
    try:
        factorial = Factorial.from_runs(usable, value="test/acc", start=corners[0], end=corners[1])
    except ValueError as error:
        raise ValueError(f"compare.from, compare.to: {error}") from error
    gap, shares = factorial.gap(), factorial.shapley()
    order = sorted(shares, key=lambda factor: -abs(shares[factor].mean))
    parts = ", ".join(f"{factor} {points(shares[factor].mean)}" for factor in order)
    start, end = (code(" ".join(f"{factor}={level}" for factor, level in corner.items())) for corner in corners)
    drawn["attribution"] = partial(figures.shares_of_the_gap, shares)
    left_out = f"; seeds {', '.join(map(str, factorial.left_out))} are left out, because they lack runs"
    return paragraphs(
        "## Which factor makes the difference",
        f"From {start} to {end} test accuracy changes by **{points(gap.mean)} percentage points**"
        f"{'' if gap.n == 1 else ', 95% interval ' + interval(gap)}. The factors' shares add up to this gap: {parts}."
        + largest_interaction(factorial),
        f"![Bar chart of each factor's share of the gap, the largest on top, in percentage points: {parts}.]"
        "(figures/attribution.png)",
        effects_table(factorial, corners, order),
        interactions_table(factorial),
        f"All {2 ** len(shares)} combinations of {counted(len(shares), 'factor')}, with {counted(gap.n, 'seed')} "
        f"({', '.join(map(str, factorial.seeds))}){left_out if factorial.left_out else ''}; intervals are over seeds. "
        + EXPLAINED,
        *study.borrowing,
        ABOUT_BORROWING if (study.frame["status"] == "borrowed").any() else "",
    )


def effects_table(factorial: Factorial, corners: Corners, order: Sequence[str]) -> str:
    """Each factor switched alone from one corner, as the last one to the other corner, and averaged in between."""
    gap, shares, effects = factorial.gap(), factorial.shapley(), factorial.main_effects()
    first, last = factorial.switched_first(), factorial.switched_last()
    rows = []
    for factor in order:
        part = f"{100 * shares[factor].mean / gap.mean:.0f}%".replace("-", "−") if gap.mean else NOTHING
        levels = [code(corner[factor]) for corner in corners]
        adds = [with_interval(each[factor]) for each in (first, last, shares)]
        rows.append([code(factor), *levels, *adds, part, with_interval(effects[factor])])
    rows.append(["the gap", "", "", "", "", with_interval(gap), "100%" if gap.mean else NOTHING, ""])
    header = ["factor", "from", "to", "switched first", "switched last", "share", "of the gap", "main effect"]
    return markdown_table("Effects on test accuracy, percentage points [95% interval]", header, rows)


def interactions_table(factorial: Factorial) -> str:
    """The largest interactions of two and of three factors."""
    found = sorted((factorial.interactions(2) | factorial.interactions(3)).items(), key=lambda item: -abs(item[1].mean))
    if not found:
        return ""
    rows = [[code(" × ".join(factors)), with_interval(effect)] for factors, effect in found[:MOST_INTERACTIONS]]
    less = f"; {len(found) - len(rows)} smaller ones are left out" if len(found) > len(rows) else ""
    caption = f"Interactions of two and three factors, percentage points [95% interval]{less}"
    return markdown_table(caption, ["factors", "interaction"], rows)


def largest_interaction(factorial: Factorial) -> str:
    pairs = factorial.interactions(2)
    if not pairs:
        return ""
    pair = max(pairs, key=lambda pair: abs(pairs[pair].mean))
    return f" The largest interaction of two factors is {' × '.join(pair)}: {with_interval(pairs[pair])}."


def with_interval(effect: Summary) -> str:
    return points(effect.mean) if effect.n == 1 else f"{points(effect.mean)} {interval(effect)}"

"""Compare groups in pairs, over seeds and over test images: a section of the report, and a warning before it."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mnist_exp.analysis.markdown import (
    NOTHING,
    code,
    corrected,
    counted,
    interval,
    markdown_table,
    number,
    p_value,
    paragraphs,
    points,
)
from mnist_exp.analysis.run_folders import Predictions, read_predictions_file
from mnist_exp.analysis.runs import Study, Tested
from mnist_exp.analysis.statistics import (
    ALPHA,
    Correlation,
    Difference,
    McNemar,
    holm,
    mcnemar,
    mcnemar_over_seeds,
    paired_difference,
    seed_correlation,
    welch_difference,
)

ALL_ROWS_UP_TO = 5  # groups; of more, the table shows the best against each
OVER_SEEDS = (
    "*n*: `3 + 3` are independent runs (Welch's t-test), `3 pairs` are runs with the same seed (paired t-test). Seeds "
    "are paired where that makes intervals narrower, where they agree exactly, and for epochs of the same run."
)
DETECTABLE = (
    "*could show*: the smallest true difference that as many runs would find in 80% of such studies (p < 0.05, "
    "uncorrected). What is smaller may well have been missed."
)
OVER_IMAGES = (
    "*p over images*: would other test images say the same of these very networks? McNemar's test (mid-p) on the "
    "images that only one of the two gets right (the counts are means over seeds), one test for each seed. For several "
    "seeds it is twice the median p of the same direction, which is valid however the tests depend on one another "
    "(Rüger 1978). It says nothing about the same recipes with other seeds."
)


class Pair(NamedTuple):
    """Group a against group b: over seeds, and over the test images of each seed that both have.

    The p-values are corrected for all pairs of groups (Holm). NaN where there is no test, or nothing to test.
    """

    a: str
    b: str
    equal: bool  # they have the same accuracy with each common seed, and get the same images right
    over_seeds: Difference
    over_images: list[McNemar]  # one for each common seed whose predictions are known and of the same test set
    margin: float  # a difference below it does not matter, a fraction
    p: float = np.nan  # that the means are equal
    equivalence_p: float = np.nan  # that they differ by the margin or more
    images_p: float = np.nan  # that both get images right equally often

    @property
    def differs(self) -> bool:
        return self.p < ALPHA

    @property
    def within_margin(self) -> bool:
        return self.equivalence_p < ALPHA

    @property
    def verdict(self) -> str:
        better = f"{'A' if self.over_seeds.mean > 0 else 'B'} is better"
        within = f"within {plus_minus(self.margin)}"
        said = [better] * self.differs + [within] * self.within_margin
        return "equal" if self.equal else NOTHING if np.isnan(self.p) else ", ".join(said) or "not settled"

    @property
    def contradicts_itself(self) -> bool:
        """Whether a is better with one seed and b with another, both beyond chance (p < 0.05)."""
        leads = [test.only_a - test.only_b for test in self.over_images if test.p < ALPHA]
        return bool(leads) and min(leads) < 0 < max(leads)


# --- Tests -----------------------------------------------------------------------------------------------------------


def compare_pairs(study: Study, predictions: Mapping[str, Predictions], *, margin: float = 0.005) -> list[Pair]:
    """All pairs of groups, those with the best group first.

    The p-values are corrected for all pairs, since the best group is found by looking at all.
    """
    correlation = correlation_of_seeds(study)
    groups = [study.best, *(group for group in study.groups if group != study.best)]
    pairs = [
        compare_pair(a, b, study, predictions, correlation=correlation, margin=margin)
        for a, b in combinations(groups, 2)
    ]
    tests = different_tests(pairs)
    p_values = zip(
        holm([pair.over_seeds.p for pair in tests.values()]),
        holm([pair.over_seeds.equivalence_p(margin) for pair in tests.values()]),
        holm([mcnemar_over_seeds(pair.over_images) for pair in tests.values()]),
        strict=True,
    )
    by_test = dict(zip(tests, p_values, strict=True))
    corrected_p = [by_test.get(key, (np.nan,) * 3) for key in keys_of_tests(pairs)]
    return [
        pair._replace(p=float(p), equivalence_p=float(equivalence_p), images_p=float(images_p))
        for pair, (p, equivalence_p, images_p) in zip(pairs, corrected_p, strict=True)
    ]


def different_tests(pairs: Sequence[Pair]) -> dict[Hashable, Pair]:
    """The pairs of groups that do not equal each other. Equal groups have the same tests, which count once."""
    return {key: pair for key, pair in zip(keys_of_tests(pairs), pairs, strict=True) if not pair.equal}


def keys_of_tests(pairs: Sequence[Pair]) -> list[Hashable]:
    """A name for the test of each pair: the same where equal groups make the same difference."""
    first: dict[str, str] = {}
    for pair in pairs:
        if pair.equal:
            first.setdefault(pair.b, pair.a)
    return [(first.get(pair.a, pair.a), first.get(pair.b, pair.b), pair.over_seeds) for pair in pairs]


def compare_pair(
    a: str,
    b: str,
    study: Study,
    predictions: Mapping[str, Predictions],
    *,
    correlation: Correlation,
    margin: float,
) -> Pair:
    """One pair, without the corrected p-values."""
    runs_a, runs_b = study.by_seed[a], study.by_seed[b]
    common = [(runs_a[seed], runs_b[seed]) for seed in runs_a if seed in runs_b]
    tests = [mcnemar(one.correct, other.correct) for one, other in common_predictions(runs_a, runs_b, predictions)]
    same_accuracy = bool(common) and all(one.accuracy == other.accuracy for one, other in common)
    equal = same_accuracy and not any(test.only_a or test.only_b for test in tests)
    same_runs = any(one.run == other.run for one, other in common)
    x, y = ({seed: run.accuracy for seed, run in runs.items()} for runs in (runs_a, runs_b))
    if equal or same_runs or correlation.favours_pairs(len(common)):
        difference = paired_difference(x, y)
    else:
        difference = welch_difference([*x.values()], [*y.values()])
    return Pair(a, b, equal, difference, tests, margin)


def correlation_of_seeds(study: Study) -> Correlation:
    """How alike the same seeds do in different groups. Of a run that has several epochs here, the last one counts."""
    rows = study.finished[["run", "group", "seed", "test/acc"]].itertuples(index=False, name=None)
    last = {run: (group, seed, acc) for run, group, seed, acc in rows}
    accuracies: dict[str, dict[int, float]] = {}
    for group, seed, acc in last.values():  # not by `pivot`: pandas 2 takes texts that are equal up to a NUL for equal
        accuracies.setdefault(group, {})[seed] = acc
    return seed_correlation(pd.DataFrame(accuracies))


def read_predictions(study: Study) -> dict[str, Predictions]:
    """The predictions of the finished runs that left any, by run."""
    found = {run: read_predictions_file(Path(run)) for run in study.finished["run"].unique()}
    return {run: predictions for run, predictions in found.items() if predictions}


def common_predictions(
    runs_a: Mapping[int, Tested], runs_b: Mapping[int, Tested], predictions: Mapping[str, Predictions]
) -> list[tuple[Predictions, Predictions]]:
    """The predictions of two groups (their runs by seed) for each common seed, where they are of the same test set."""
    both = [[predictions.get(runs[seed].run) for runs in (runs_a, runs_b)] for seed in runs_a if seed in runs_b]
    return [(x, y) for x, y in both if x and y and np.array_equal(x.labels, y.labels)]


# --- Sections --------------------------------------------------------------------------------------------------------


def different_images(study: Study, predictions: Mapping[str, Predictions]) -> str:
    """A warning where not all runs had the same images; empty where they had, as far as is known."""
    finished = study.finished
    if finished["fingerprint"].nunique() > 1:
        sets = finished.groupby("fingerprint", sort=False)["group"].unique()
        listed = "; ".join(
            f"{', '.join(map(code, groups))}: {code(str(key)[:19] + '…')}" for key, groups in sets.items()
        )
        return (
            "**The runs did not all have the same images.** A difference between groups with different data "
            f"fingerprints may come from the images. {listed}."
        )
    if len({run.labels.tobytes() for run in predictions.values()}) > 1:
        return (
            "**The runs were not all tested on the same images:** their predictions.npz hold different labels. A "
            "difference between groups may come from the images."
        )
    return ""


def paired_tests(study: Study, pairs: Sequence[Pair]) -> str:
    """The section with a row for each pair; empty without pairs."""
    if not pairs:
        return ""
    only_best, over_images = len(study.groups) > ALL_ROWS_UP_TO, ""
    tests = counted(len(different_tests(pairs)), "test")
    if any(pair.over_images for pair in pairs):
        over_images = OVER_IMAGES
    elif study.epochs:
        over_images = "Only the chosen epoch has predictions: there are no tests over images here."
    within = plus_minus(pairs[0].margin)
    header = ["A", "B", "A − B", "95% interval", "n", "verdict", "p", f"p, {within}", "could show"]
    header += ["only A / only B right", "p over images"]
    rows = [pair_row(pair) for pair in pairs if pair.a == study.best or not only_best]
    notes = [
        f"{OVER_SEEDS} {seeds_are_alike(correlation_of_seeds(study))}",
        f"*p*: would other seeds also find a difference? *p, {within}*: may the means differ by {within} points or "
        "more (two one-sided t-tests, TOST)? `compare.margin` sets these points.",
        DETECTABLE if any(pair.over_seeds.detectable > 0 for pair in pairs) else "",
        over_images,
        f"In brackets: corrected for {tests}, all pairs of groups (Holm). The verdict goes by these.",
    ]
    return paragraphs(
        "## Pair by pair",
        f"Of {len(study.groups)} groups the table shows only the best against each: A is {rows[0][0]}. The same runs "
        "chose it as the best, which makes its lead look a little larger than it is."
        if only_best
        else "",
        markdown_table(
            "Differences in test accuracy, percentage points", header[only_best:], [row[only_best:] for row in rows]
        ),
        "\n".join(f"- {note}" for note in notes if note),
    )


def seeds_are_alike(correlation: Correlation) -> str:
    if np.isnan(correlation.r):
        return ""
    return (
        f"In this study the accuracies of the same seed in two groups correlate by r = {correlation.r:.2f} "
        f"(mean of all pairs, p {equals(correlation.p)})."
    ).replace("-", "−")


def equals(p: float) -> str:
    """`= 0.012` or `< 0.001`"""
    return f"= {p_value(p)}".replace("= <", "<")


def plus_minus(margin: float) -> str:
    return f"±{100 * margin:g}"


def pair_row(pair: Pair) -> list[Any]:
    difference, only = pair.over_seeds, NOTHING
    n = f"{difference.n[0]} pairs" if len(difference.n) == 1 else " + ".join(map(str, difference.n))
    if tests := pair.over_images:
        means = sum(test.only_a for test in tests) / len(tests), sum(test.only_b for test in tests) / len(tests)
        only = " / ".join(number(each, 1).removesuffix(".0") for each in means)
    contradiction = ", seeds contradict each other" * pair.contradicts_itself
    row: list[Any] = [code(pair.a), code(pair.b), points(difference.mean), interval(difference.interval), n]
    row.append(pair.verdict)
    if pair.equal:
        return [*row, *[NOTHING] * 3, only, NOTHING]
    return [
        *row,
        corrected(difference.p, pair.p),
        corrected(difference.equivalence_p(pair.margin), pair.equivalence_p),
        number(100 * difference.detectable),
        only,
        corrected(mcnemar_over_seeds(pair.over_images), pair.images_p) + contradiction,
    ]

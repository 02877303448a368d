"""Compare groups in pairs, over seeds and over test images: two sections of the report, and a warning before them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_exp.analysis import figures
from mnist_exp.analysis.markdown import (
    NOTHING,
    code,
    corrected,
    counted,
    interval,
    markdown_table,
    number,
    paragraphs,
    points,
)
from mnist_exp.analysis.run_folders import Predictions, read_predictions_file
from mnist_exp.analysis.runs import Study
from mnist_exp.analysis.statistics import Difference, McNemar, holm, mcnemar, paired_difference

ALL_PAIRS_UP_TO = 8  # groups; of more, each is tested against the best
PICTURES_A_ROW = 10

OVER_SEEDS = (
    "*p over seeds*: would other seeds say the same? The paired t-test on the differences at common seeds. With two or "
    "three seeds it only finds differences that are large beside their spread."
)
OVER_IMAGES = (
    "*p over images*: would other test images say the same of these very networks? McNemar's test (mid-p) on the "
    "images that only one of the two gets right (the counts are means over seeds), one test for each seed. For several "
    "seeds twice the median p is shown, which is valid however the tests depend on one another (Rüschendorf 1982). It "
    "says nothing about the same recipes with other seeds."
)


class Pair(NamedTuple):
    """Group a against group b: over their common seeds, and over the test images of each of these seeds."""

    a: str
    b: str
    over_seeds: Difference | None  # None without a common seed
    over_images: list[McNemar]  # one for each common seed whose predictions are known and of the same test set
    t_holm: float = np.nan  # p over seeds, corrected for all pairs
    images_holm: float = np.nan  # p over images, corrected for all pairs

    @property
    def images_p(self) -> float:
        """The p-value over images; for several seeds twice the median of theirs, for none NaN."""
        p = [test.p for test in self.over_images]
        return np.nan if not p else p[0] if len(p) == 1 else min(1.0, 2 * float(np.median(p)))

    @property
    def equal(self) -> bool:
        """Whether the two have the same accuracy with each common seed, and get the same images right."""
        same_images = not any(test.only_a or test.only_b for test in self.over_images)
        same_accuracy = self.over_seeds is not None and self.over_seeds.mean == 0 and not self.over_seeds.std > 0
        return same_images and same_accuracy


# --- Tests -----------------------------------------------------------------------------------------------------------


def compare_pairs(study: Study, predictions: Mapping[str, Predictions]) -> list[Pair]:
    """All pairs of groups, the best group first. With many groups only the best against each.

    The p-values are corrected for the number of these pairs.
    """
    groups = [study.best, *(group for group in study.groups if group != study.best)]
    named = combinations(groups, 2) if len(groups) <= ALL_PAIRS_UP_TO else ((groups[0], each) for each in groups[1:])
    pairs = []
    for a, b in named:
        over_a, over_b = (study.of(group).set_index("seed")["test/acc"] for group in (a, b))
        difference = paired_difference(over_a, over_b) if len(over_a.index.intersection(over_b.index)) else None
        tests = [mcnemar(x.correct, y.correct) for x, y in common_predictions(study, predictions, a, b)]
        pairs.append(Pair(a, b, difference, tests))
    over_seeds = holm([pair.over_seeds.p if pair.over_seeds else np.nan for pair in pairs])
    over_images = holm([pair.images_p for pair in pairs])
    return [
        pair._replace(t_holm=float(t), images_holm=float(p))
        for pair, t, p in zip(pairs, over_seeds, over_images, strict=True)
    ]


def read_predictions(study: Study) -> dict[str, Predictions]:
    """The predictions of the finished runs that left any, by run."""
    found = {run: read_predictions_file(Path(run)) for run in study.finished["run"].unique()}
    return {run: predictions for run, predictions in found.items() if predictions}


def common_predictions(
    study: Study, predictions: Mapping[str, Predictions], a: str, b: str
) -> list[tuple[Predictions, Predictions]]:
    """The predictions of both groups for each common seed, as far as they are of the same test set."""
    runs = [study.of(group).set_index("seed")["run"] for group in (a, b)]
    both = [[predictions.get(each[seed]) for each in runs] for seed in runs[0].index.intersection(runs[1].index)]
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
    only_best, over_images = len(study.groups) > ALL_PAIRS_UP_TO, ""
    if any(pair.over_images for pair in pairs):
        over_images = f"- {OVER_IMAGES}"
    elif study.epochs:
        over_images = "- Only the chosen epoch has predictions: there are no tests over images here."
    header = ["A", "B", "A − B", "95% interval", "seeds", "p over seeds", "only A / only B right", "p over images"]
    rows = [pair_row(pair) for pair in pairs]
    return paragraphs(
        "## Pair by pair",
        f"With {len(study.groups)} groups only the best one is tested against each: A is {rows[0][0]}. The same runs "
        "chose it as the best, which makes its lead look a little larger than it is."
        if only_best
        else "",
        markdown_table(
            "Differences in test accuracy, percentage points", header[only_best:], [row[only_best:] for row in rows]
        ),
        f"- {OVER_SEEDS}\n{over_images}\n- In brackets: corrected for testing {counted(len(pairs), 'pair')} (Holm).",
    )


def pair_row(pair: Pair) -> list[Any]:
    row: list[Any] = [code(pair.a), code(pair.b)]
    if pair.over_seeds:
        row += [points(pair.over_seeds.mean), interval(pair.over_seeds), pair.over_seeds.n]
        row += [corrected(pair.over_seeds.p, pair.t_holm)]
    else:
        row += [NOTHING, NOTHING, 0, NOTHING]
    only = NOTHING
    if tests := pair.over_images:
        means = sum(test.only_a for test in tests) / len(tests), sum(test.only_b for test in tests) / len(tests)
        only = " / ".join(number(each, 1).removesuffix(".0") for each in means)
    return [*row, only, corrected(pair.images_p, pair.images_holm)]


def disagreements(
    study: Study,
    groups: Sequence[str],
    predictions: Mapping[str, Predictions],
    pictures: Callable[[str], NDArray[np.uint8] | None],
    drawn: dict[str, figures.Plot],
) -> str:
    """The section on the test images that only one of the two `groups` gets right; empty without predictions.

    pictures: gives the test images, uint8 (N, 28, 28), of the data with a fingerprint, or None.
    drawn: gets the figure, where there are pictures.
    """
    if len(groups) < 2:
        return ""
    a, b = groups
    both = common_predictions(study, predictions, a, b)
    if not both:
        return ""
    seeds_right_a, seeds_right_b = (np.sum([pair[side].correct for pair in both], axis=0) for side in (0, 1))  # (N,)
    lead = seeds_right_a - seeds_right_b
    only_a, only_b = int((lead == len(both)).sum()), int((lead == -len(both)).sum())
    rows = only_right("only A is right", lead, [pair[1] for pair in both])
    rows += only_right("only B is right", -lead, [pair[0] for pair in both])
    header = ["", "test image", "label", "the other says", "seeds ahead"]
    return paragraphs(
        "## Images they disagree on",
        f"A is {code(a)}, B is {code(b)}. With every common seed ({len(both)}), A alone gets "
        f"{counted(only_a, 'image')} right, and B alone gets {only_b}.",
        pictured(rows, pictures(study.of(a)["fingerprint"].iloc[0]), drawn) if rows else "",
        markdown_table("The clearest cases; images are counted from 0", header, rows) if rows else "",
    )


def only_right(side: str, lead: NDArray[np.int64], others: Sequence[Predictions]) -> list[list[Any]]:
    """Rows for the images with the largest leads above 0.

    Each has the side, the image's index, its label, the commonest wrong answer of `others`, and the lead in seeds.
    """
    order = np.argsort(-lead, kind="stable")[:PICTURES_A_ROW]
    rows: list[list[Any]] = []
    for index in order[lead[order] > 0].tolist():
        label = int(others[0].labels[index])
        mistakes = [int(each.preds[index]) for each in others if each.preds[index] != label]
        rows.append([side, index, label, int(np.bincount(mistakes).argmax()), int(lead[index])])
    return rows


def pictured(rows: Sequence[Sequence[Any]], images: NDArray[np.uint8] | None, drawn: dict[str, figures.Plot]) -> str:
    """The figure of the images in `rows`, or why there is none."""
    if images is None or max(index for _, index, *_ in rows) >= len(images):
        return "There are no pictures: only MNIST's own test images can be drawn, if they are in data_dir."
    sides: dict[str, list[figures.Mistake]] = {}
    for side, index, label, other, _ in rows:
        sides.setdefault(side, []).append(figures.Mistake(images[index], label, other))
    drawn["disagreements"] = partial(figures.mistakes, sides)
    return (
        "![The handwritten digits that the table below lists, each with its label and the other answer.]"
        "(figures/disagreements.png)\n\n*5 as 6: a 5 that the other group reads as 6.*"
    )

"""Groups against each other, over seeds and over test images: two sections of the report."""

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
from mnist_exp.analysis.runs import Study
from mnist_exp.analysis.statistics import Difference, McNemar, holm, mcnemar, paired_difference

ALL_PAIRS_UP_TO = 8  # groups; of more, each is tested against the best
PICTURES_A_ROW = 10

OVER_SEEDS = (
    "*p over seeds*: would other seeds say the same? The paired t-test on the differences at common seeds. With two or "
    "three seeds it finds only what is large beside their spread."
)
OVER_IMAGES = (
    "*p over images*: would other test images tell these very networks apart? McNemar's test (mid-p) on the images "
    "that only one of the two gets right (the counts are means over seeds), one test a seed. Of several seeds twice "
    "the median p is shown, which is valid however the tests depend on one another (Rüschendorf 1982). It says nothing "
    "about the same recipes with other seeds."
)


class Predictions(NamedTuple):
    labels: NDArray[np.int64]  # (N,)
    preds: NDArray[np.int64]  # (N,)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.labels == self.preds


class Pair(NamedTuple):
    """a against b: over their common seeds, and over the test images of each of these seeds."""

    a: str
    b: str
    over_seeds: Difference | None  # None without a common seed
    over_images: list[McNemar]  # one a seed; none where predictions are missing or test sets differ
    t_holm: float = np.nan
    images_holm: float = np.nan

    @property
    def images_p(self) -> float:
        """Of several p-values twice the median."""
        p = [test.p for test in self.over_images]
        return np.nan if not p else p[0] if len(p) == 1 else min(1.0, 2 * float(np.median(p)))

    @property
    def equal(self) -> bool:
        """Whether no common seed tells them apart, nor any image that only one gets right."""
        same_images = not any(test.only_a or test.only_b for test in self.over_images)
        return self.over_seeds is not None and not self.over_seeds.mean and not self.over_seeds.std > 0 and same_images


def read_predictions(study: Study) -> dict[str, Predictions]:
    """Of the finished runs that left any, by run."""
    predictions = {}
    for run in study.finished["run"].unique():
        path = Path(run) / "predictions.npz"
        try:
            with np.load(path) as arrays:
                predictions[run] = Predictions(arrays["labels"], arrays["preds"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"cannot read {path}: {error}. Run it again (overwrite=true), or move it away") from error
    return predictions


def shared(
    study: Study, predictions: Mapping[str, Predictions], a: str, b: str
) -> list[tuple[Predictions, Predictions]]:
    """The predictions of both groups for each common seed, where they are of the same test set."""
    runs = [study.of(group).set_index("seed")["run"] for group in (a, b)]
    known = [[predictions.get(each[seed]) for each in runs] for seed in runs[0].index.intersection(runs[1].index)]
    return [(x, y) for x, y in known if x and y and np.array_equal(x.labels, y.labels)]


def compare_pairs(study: Study, predictions: Mapping[str, Predictions]) -> list[Pair]:
    """All pairs of groups, the best one first, or with many groups all against the best; Holm over all of these."""
    groups = [study.best, *(group for group in study.groups if group != study.best)]
    named = combinations(groups, 2) if len(groups) <= ALL_PAIRS_UP_TO else ((groups[0], each) for each in groups[1:])
    pairs = []
    for a, b in named:
        over_a, over_b = (study.of(group).set_index("seed")["test/acc"] for group in (a, b))
        difference = paired_difference(over_a, over_b) if len(over_a.index.intersection(over_b.index)) else None
        tests = [mcnemar(x.correct, y.correct) for x, y in shared(study, predictions, a, b)]
        pairs.append(Pair(a, b, difference, tests))
    over_seeds = holm([pair.over_seeds.p if pair.over_seeds else np.nan for pair in pairs])
    over_images = holm([pair.images_p for pair in pairs])
    return [
        pair._replace(t_holm=float(t), images_holm=float(p))
        for pair, t, p in zip(pairs, over_seeds, over_images, strict=True)
    ]


def paired_tests(study: Study, pairs: Sequence[Pair]) -> str:
    if not pairs:
        return ""
    many, of_images = len(study.groups) > ALL_PAIRS_UP_TO, ""
    if any(pair.over_images for pair in pairs):
        of_images = f"- {OVER_IMAGES}"
    elif study.epochs:
        of_images = "- Predictions are kept of the chosen epoch alone: there are no tests over images here."
    header = ["A", "B", "A − B", "95% interval", "seeds", "p over seeds", "only A / only B right", "p over images"]
    rows = [pair_row(pair) for pair in pairs]
    return paragraphs(
        "## Pair by pair",
        f"With {len(study.groups)} groups only the best one is tested against each: A is {rows[0][0]}. These very runs "
        "chose it as the best, which flatters its lead a little."
        if many
        else "",
        markdown_table("Differences in test accuracy, percentage points", header[many:], [row[many:] for row in rows]),
        f"- {OVER_SEEDS}\n{of_images}\n- In brackets: corrected for all {counted(len(pairs), 'pair')} (Holm).",
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
    """The test images that divide the two `groups`, with their pictures where these can be had."""
    if len(groups) < 2:
        return ""
    a, b = groups
    known = shared(study, predictions, a, b)
    if not known:
        return ""
    right = [np.sum([pair[side].correct for pair in known], axis=0) for side in (0, 1)]  # (N,) with how many seeds
    margin = right[0] - right[1]
    always = [int((sign * margin == len(known)).sum()) for sign in (1, -1)]
    said = (
        f"A is {code(a)}, B is {code(b)}. {counted(always[0], 'image')} {'is' if always[0] == 1 else 'are'} right by A "
        f"alone with every common seed ({len(known)}), {always[1]} by B alone."
    )
    rows = only_right("only A is right", margin, [pair[1] for pair in known])
    rows += only_right("only B is right", -margin, [pair[0] for pair in known])
    header = ["", "test image", "label", "the other says", "seeds ahead"]
    return paragraphs(
        "## Images they disagree on",
        said,
        pictured(rows, pictures(study.of(a)["fingerprint"].iloc[0]), drawn) if rows else "",
        markdown_table("The clearest cases; images are counted from 0", header, rows) if rows else "",
    )


def only_right(side: str, margin: NDArray[np.int64], others: Sequence[Predictions]) -> list[list[Any]]:
    """The images with the largest margins above 0: side, index, label, the others' commonest mistake, margin."""
    order = np.argsort(-margin, kind="stable")[:PICTURES_A_ROW]
    rows: list[list[Any]] = []
    for index in order[margin[order] > 0].tolist():
        label = int(others[0].labels[index])
        mistakes = [int(each.preds[index]) for each in others if each.preds[index] != label]
        rows.append([side, index, label, int(np.bincount(mistakes).argmax()), int(margin[index])])
    return rows


def pictured(rows: Sequence[Sequence[Any]], images: NDArray[np.uint8] | None, drawn: dict[str, figures.Plot]) -> str:
    """The figure of the images in `rows`."""
    if images is None:
        return "There are no pictures: only MNIST's own test images can be drawn, where they lie in data_dir."
    sides: dict[str, list[figures.Mistake]] = {}
    for side, index, label, other, _ in rows:
        sides.setdefault(side, []).append(figures.Mistake(images[index], label, other))
    drawn["disagreements"] = partial(figures.mistakes, sides)
    return (
        "![The handwritten digits that the table below lists, each with its label and the other answer.]"
        "(figures/disagreements.png)\n\n*5 as 6: a 5 that the other group reads as 6.*"
    )

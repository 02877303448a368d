"""The test images that only one of two groups gets right: a section of the report."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_exp.analysis import figures
from mnist_exp.analysis.markdown import code, counted, markdown_table, paragraphs
from mnist_exp.analysis.pairs import common_predictions
from mnist_exp.analysis.run_folders import Predictions
from mnist_exp.analysis.runs import Study

PICTURES_A_ROW = 10


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
    both = common_predictions(study.by_seed[a], study.by_seed[b], predictions)
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

"""Every figure that the project draws: data in, a matplotlib `Figure` out, rendered as PNG, SVG or pixels. No pyplot.

The first part holds the figures of reports, the second those of the docs, the third those of a single run's test, and
the last part renders. A figure is drawn for a width in points, so that a report shows a narrow one on a phone.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any, NamedTuple, Protocol

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mnist_exp.analysis.markdown import plain_text, points
from mnist_exp.analysis.statistics import Summary, confusion_counts, expected_calibration_error, wilson_interval
from mnist_exp.data.named_sets import DIGITS

WIDE, NARROW = 684, 320  # points: a figure on a desktop and in docs, and one on a phone
DPI = 150  # of a PNG, which is shown at about two thirds of its pixels: sharp on dense screens

INK, QUIET, GRID = "#1d2329", "#57606a", "#d8dee4"  # text and bars' ends, ticks, lines behind the data
# Okabe and Ito 2008, told apart with any kind of colour vision; their yellow is too light for a line on white,
# and black is left out of an SVG, so that it could not be turned to white in dark mode.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1a1a1a", "#7f7f7f")
REST = "#c8c8c8"  # groups beyond those that have a line of their own
# The page that shows a figure as SVG sets these in CSS, for light and dark.
CSS_COLOURS = {INK: "--ink", QUIET: "--quiet", GRID: "--line", REST: "--rest"} | {
    colour: f"--series-{number}" for number, colour in enumerate(PALETTE, start=1)
}
MARKERS = "os^Dv<>P"
# Neighbours in the ranking are often equal. The better one is drawn last, and its gaps let the other one be seen.
DASHES = [(0, (4, 4)), "-", (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5))]
DISTINCT = 2 * len(PALETTE)  # groups with a colour, marker and dashes of their own
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold $
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "mnist_exp",  # the same ids every time
}


class Plot(Protocol):
    """Draws a figure for a width in points. A report holds these, and renders each as often as it needs."""

    def __call__(self, *, width: float) -> Figure: ...


@dataclass(frozen=True)
class GroupStyles:
    """How each group is drawn, the same in every figure of a report.

    groups: all of them, numbered from 1 in this order. distinct: those with a line of their own; the rest is grey.
    """

    groups: Sequence[str]
    distinct: Sequence[str]

    @classmethod
    def of(cls, groups: Sequence[str], *, important: Sequence[str] = ()) -> "GroupStyles":
        """A line for each group where `DISTINCT` are enough, otherwise for the important and the first ones."""
        chosen = set(list(dict.fromkeys([*important, *groups]))[:DISTINCT])
        return cls(groups, [group for group in groups if group in chosen])

    def style(self, group: str) -> dict[str, Any]:
        if group not in self.distinct:
            return {"color": REST, "marker": ".", "linestyle": "-", "zorder": 1.5}
        round_, index = divmod(self.distinct.index(group), len(PALETTE))
        return {
            "color": PALETTE[index],
            "marker": MARKERS[(index + 3 * round_) % len(MARKERS)],
            "linestyle": DASHES[2 * round_ + index % 2] if len(self.distinct) > 1 else "-",
            "zorder": 2.5,
        }

    def number(self, group: str) -> str:
        return str(self.groups.index(group) + 1)

    def legend(self, figure: Figure, shown: Collection[str] | None = None, *, numbered: bool = False) -> None:
        """Adds a legend below the panels, and makes the figure higher by its height.

        shown: the groups in the figure, None for all. numbered: whether the lines have the groups' numbers.
        """
        shown = self.groups if shown is None else shown
        named = [group for group in self.distinct if group in shown]
        title, labels = short_names(named)
        width = figure.get_figwidth() * 72
        letters = int(width / LETTER) - 8  # of a label in a single column, beside its marker
        handles = []
        for group, label in zip(named, labels, strict=True):
            label = f"{self.number(group)} " * numbered + label
            label = label if len(label) <= letters else f"{label[: letters - 1]}…"
            label = f" {label}" if label.startswith("_") else label  # matplotlib leaves out labels with an underscore
            handles.append(Line2D([], [], label=label, **self.style(group)))
        if rest := len(shown) - len(named):
            handles.append(Line2D([], [], label=f"{rest} other groups", color=REST, marker="."))
        longest = max(len(str(handle.get_label())) for handle in handles)
        rows = ceil(len(handles) / max(1, (letters + 8) // (longest + 8)))
        figure.set_figheight(figure.get_figheight() + LEGEND_ROW * (rows + bool(title)) / 72)
        figure.legend(handles=handles, title=title, loc="outside lower left", ncols=ceil(len(handles) / rows),
                      markerscale=0.8, handlelength=2.6, alignment="left", title_fontsize=9.5)  # fmt: skip


LETTER, LEGEND_ROW = 6.2, 14.5  # points: the mean width of a letter and the height of a row in a legend


def short_names(groups: Sequence[str]) -> tuple[str, list[str]]:
    """A legend's title and labels: for `model=mlp data=csv` and `model=cnn data=csv`, `model, data` and `mlp, csv` ...

    Where the names are not all made of the same factors, the labels are the names, and the title is empty.
    """
    parts = [[each.partition("=") for each in group.split(" ")] for group in groups]
    factors = {tuple(factor for factor, _, _ in each) for each in parts}
    if len(factors) != 1 or not all(equals for each in parts for _, equals, _ in each):
        return "", [plain_text(group) for group in groups]
    return plain_text(", ".join(*factors)), [plain_text(", ".join(level for _, _, level in each)) for each in parts]


# --- reports ---------------------------------------------------------------------------------------------------------


def learning_curves(history: pd.DataFrame, styles: GroupStyles, *, width: float = WIDE) -> Figure:
    """Validation accuracy and training loss by epoch: the mean over a group's runs, in a band from lowest to highest.

    history: a row per run and epoch, with `group`, `epoch`, `val/acc` and `train/loss` (NaN where not measured).
    """
    shown = [group for group in styles.groups if group in set(history["group"])]
    panels = (1, 2) if width >= WIDE else (2, 1)
    with drawing(width=width, height=250 * panels[0]) as figure:
        left, right = figure.subplots(*panels).flat
        for axes, metric, title in ((left, "val/acc", "Validation accuracy"), (right, "train/loss", "Training loss")):
            means = {}
            for group in reversed(shown):
                runs = history[history["group"] == group].dropna(subset=[metric])
                curve = runs.groupby("epoch")[metric].agg(["mean", "min", "max"])
                draw_curve(axes, curve, styles.style(group))
                if group in styles.distinct and len(curve):
                    means[group] = curve["mean"]
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if metric == "val/acc":
                accuracy_axis(axes, history[metric])
            else:
                loss_axis(axes, history[metric])
            number_lines(axes, means, styles)
        styles.legend(figure, shown, numbered=True)
    return figure


def draw_curve(axes: Axes, epochs: pd.DataFrame, style: dict[str, Any]) -> None:
    """A line through `mean`, with markers where there is room, in a band from `min` to `max`."""
    if len(epochs) > 12:
        style = style | {"marker": ""}
    axes.plot(epochs.index, epochs["mean"], markersize=4, **style)
    if style["color"] != REST:
        axes.fill_between(epochs.index, epochs["min"], epochs["max"], color=style["color"], alpha=0.15, lw=0)


def number_lines(axes: Axes, lines: Mapping[str, "pd.Series[float]"], styles: GroupStyles) -> None:
    """Writes each group's number at the end of its line; lines that end at the same height share one place."""
    to_fraction = axes.transScale + axes.transLimits  # of the axes' height, whatever height the layout gives it
    axes.set_ylim(axes.get_ylim())  # what follows must not move the limits
    ends: dict[float, list[str]] = {}
    for group in sorted(lines, key=styles.groups.index):
        _, height = to_fraction.transform((lines[group].index[-1], lines[group].iloc[-1]))
        ends.setdefault(round(float(height), 3), []).append(group)
    places = spread(sorted(ends), gap=0.055)
    for height, place in zip(sorted(ends), places, strict=True):
        groups = ends[height]
        color = styles.style(groups[0])["color"]
        axes.annotate(
            " ".join(map(styles.number, groups)),
            xy=(1.0, height),
            xytext=(1.04, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=color,
            fontsize=9,
            fontweight="bold",
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


def spread(heights: Sequence[float], *, gap: float) -> list[float]:
    """Rising heights, moved so that neighbours are at least `gap` apart and none is above 1."""
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + gap) if places else height)
    top = 1.0
    for index in reversed(range(len(places))):
        places[index] = min(places[index], top)
        top = places[index] - gap
    return places


STRETCH = 4  # times the smallest error


def accuracy_axis(axes: Axes, accuracies: ArrayLike) -> None:
    """Fits the y axis to accuracies, and labels it in per cent.

    Where the largest error is more than `STRETCH` times the smallest, equal distances are equal ratios of errors: from
    90% to 99% it is as far as from 99% to 99.9%. Groups that fail then leave room to tell the good ones apart.
    """
    errors = 1 - np.asarray(accuracies, dtype=float)
    errors = errors[~np.isnan(errors)]
    above_0 = errors[errors > 0]
    if not above_0.size or errors.max() <= STRETCH * above_0.min():
        axes.yaxis.set_major_formatter(percent(axes))
        return
    low, high = -np.log10([errors.max(), above_0.min()])
    margin = 0.05 * (high - low)
    bottom, top = low - margin, high + margin + (0.3 if above_0.size < errors.size else 0)  # 100% is drawn at the top

    def from_accuracy(accuracy: ArrayLike) -> NDArray[np.float64]:
        return -np.log10(np.clip(1 - np.asarray(accuracy, dtype=float), 10.0**-top, None))

    def to_accuracy(height: ArrayLike) -> NDArray[np.float64]:
        return 1 - 10.0 ** -np.asarray(height, dtype=float)

    axes.set_yscale("function", functions=(from_accuracy, to_accuracy))
    axes.set_ylim(*to_accuracy([bottom, top]).tolist())
    ticks = [1 - error * 10.0**-decade for decade in range(7) for error in (10, 5, 2)]
    axes.set_yticks([tick for tick in ticks if bottom <= from_accuracy(tick) < top])
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.6g}%")


def loss_axis(axes: Axes, losses: "pd.Series[float]") -> None:
    """Makes the y axis logarithmic where there is a loss above 0, with plain numbers for labels."""
    if not (losses > 0).any():
        return
    axes.set_yscale("log", subs=[])
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if high > 5 * low else range(1, 10)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def accuracy_against_time(runs: pd.DataFrame, styles: GroupStyles, *, width: float = WIDE) -> Figure:
    """A point per run: `test/acc` against `fit_seconds`. The best run of each group has the group's number."""
    with drawing(width=width, height=250) as figure:
        axes = figure.subplots()
        shown = [group for group in styles.groups if group in set(runs["group"])]
        for group in reversed(shown):
            here = runs[runs["group"] == group].sort_values("test/acc")
            style = styles.style(group) | {"linestyle": "", "markersize": 7, "alpha": 0.85}
            axes.plot(here["fit_seconds"], here["test/acc"], **style)
            if group in styles.distinct:
                at = here["fit_seconds"].iloc[-1], here["test/acc"].iloc[-1]
                axes.annotate(styles.number(group), at, xytext=(0, 5), textcoords="offset points", ha="center",
                              color=style["color"], fontsize=9, fontweight="bold")  # fmt: skip
        seconds = runs["fit_seconds"]
        if seconds.min() > 0 and seconds.max() > 10 * seconds.min():
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        axes.set(title="Test accuracy", xlabel="seconds of training (fit, validation included)")
        accuracy_axis(axes, runs["test/acc"])
        styles.legend(figure, shown, numbered=True)
    return figure


def shares_of_the_gap(shares: Mapping[str, Summary], *, width: float = WIDE) -> Figure:
    """A bar per factor, the largest on top: its share of the gap in percentage points, with its interval over seeds."""
    names = sorted(shares, key=lambda name: abs(shares[name].mean))
    with drawing(width=width, height=70 + 30 * len(names)) as figure:
        axes = figure.subplots()
        for row, name in enumerate(names):
            share = shares[name]
            length, low, high = (100 * each for each in (share.mean, share.low, share.high))
            axes.barh(row, length, height=0.6, color=PALETTE[0] if length >= 0 else PALETTE[1])
            if not np.isnan(low):
                axes.plot([low, high], [row, row], color=INK, linewidth=1.5, marker="|", markersize=8)
            end = np.nanmax([length, high, 0.0])
            axes.annotate(points(share.mean), (end, row), xytext=(6, 0), textcoords="offset points", va="center")
        axes.axvline(0, color=QUIET, linewidth=1)
        axes.set_yticks(range(len(names)), map(plain_text, names))
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12)
        axes.set(title="Share of the gap in test accuracy", xlabel="percentage points")
    return figure


class Mistake(NamedTuple):
    """image: uint8 (28, 28). label: what it is. answer: what was said instead. note: a second line below it."""

    image: NDArray[np.uint8]
    label: int
    answer: int
    note: str = ""


def mistakes(rows: Mapping[str, Sequence[Mistake]], *, width: float = WIDE, classes: Sequence[str] = DIGITS) -> Figure:
    """The gallery of mistakes: rows of images, each row under its title, each image over `5 as 6` and its note.

    classes: what the labels mean.
    """
    space = " " if classes == DIGITS else "\n"  # names take two lines
    captioned = {
        title: [
            (each.image, f"{classes[each.label]}{space}as {classes[each.answer]}\n{each.note}".strip()) for each in row
        ]
        for title, row in rows.items()
    }
    return gallery(captioned, width=width)


WORST = 20  # of the most confident mistakes of a test are shown
TILE = 64  # points: the width of an image in a gallery, with its margin


def gallery(rows: Mapping[str, Sequence[tuple[NDArray[np.uint8], str]]], *, width: float = WIDE) -> Figure:
    """Images (28, 28) under titles, as many side by side as fit, each with a caption below it."""
    fit = int(width // TILE)
    columns = max(1, min(fit, max(len(images) for images in rows.values())))
    lines = [max(1, ceil(len(images) / columns)) for images in rows.values()]
    captions = [caption for images in rows.values() for _, caption in images]
    line_height = TILE + 2 + 12 * max((caption.count("\n") for caption in captions), default=0)
    heights = [22 + line_height * count for count in lines]  # 22: the title
    with drawing(width=max(290, width * columns / fit), height=sum(heights)) as figure:  # 290: room for a title
        bands = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)
        for band, count, (title, images) in zip(bands[:, 0], lines, rows.items(), strict=True):
            band.suptitle(plain_text(title), x=0.01, ha="left", fontsize=10, fontweight="bold")
            panels = band.subplots(count, columns, squeeze=False)
            for axes in panels.flat:
                axes.axis("off")
            for axes, (image, caption) in zip(panels.flat, images, strict=False):
                axes.imshow(ink(image), interpolation="none")
                axes.set_title(caption, y=-0.06, pad=0, va="top", loc="center", fontsize=9, fontweight="normal")
    return figure


def ink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A digit as black ink on nothing, RGBA (28, 28, 4): it shows on paper of any colour."""
    rgba = np.zeros((*image.shape, 4), np.uint8)
    rgba[..., 3] = image
    return rgba


# --- docs ------------------------------------------------------------------------------------------------------------


def accuracy_by_severity(accuracies: pd.DataFrame, styles: GroupStyles, *, width: float = WIDE) -> Figure:
    """A panel per family of corruptions: its mean accuracy by severity, and behind it, thin, each of its corruptions.

    accuracies: a row per group, corruption and severity, with `group`, `family`, `corruption`, `severity` and `acc`.
    """
    families = list(dict.fromkeys(accuracies["family"]))
    with drawing(width=width, height=56 + 187 * ceil(len(families) / 2)) as figure:
        panels = figure.subplots(ceil(len(families) / 2), 2, sharex=True, sharey=True, squeeze=False).flat
        for axes, family in zip(panels, families, strict=False):
            for group in reversed(styles.groups):
                here = accuracies[(accuracies["family"] == family) & (accuracies["group"] == group)]
                lines, style = here.pivot(index="severity", columns="corruption", values="acc"), styles.style(group)
                axes.plot(lines, color=style["color"], linewidth=0.8, alpha=0.35)
                axes.plot(lines.mean(axis=1), markersize=5, **style)
            axes.set(title=family)
            axes.yaxis.set_major_formatter(percent(axes))
        for axes in figure.axes[len(families) :]:
            axes.remove()
        for axes in figure.axes[-2:]:
            axes.xaxis.set_tick_params(labelbottom=True)
            axes.set(xlabel="severity")
        styles.legend(figure)
    return figure


def accuracy_by_suite(accuracies: pd.DataFrame, styles: GroupStyles, *, width: float = WIDE) -> Figure:
    """A cluster of bars per suite, a bar per group: `group`, `suite` and `acc` in each row, the suites in its order."""
    suites = list(dict.fromkeys(accuracies["suite"]))
    with drawing(width=width, height=290) as figure:
        axes = figure.subplots()
        bar = 0.84 / len(styles.groups)
        for index, group in enumerate(styles.groups):
            acc = accuracies[accuracies["group"] == group].set_index("suite")["acc"].reindex(suites)
            at = np.arange(len(suites)) + (index - (len(styles.groups) - 1) / 2) * bar
            drawn = axes.bar(at, acc, 0.9 * bar, color=styles.style(group)["color"], label=plain_text(group))
            axes.bar_label(drawn, [f"{100 * each:.1f}" for each in acc], rotation=90, padding=3, fontsize=8)
        axes.set_xticks(range(len(suites)), [suite.replace("_", "\n") for suite in suites])
        axes.grid(axis="x", visible=False)
        axes.set(title="Accuracy by suite, %", ylim=(0, 1.12), yticks=np.linspace(0, 1, 6))
        axes.yaxis.set_major_formatter(percent(axes))
        figure.legend(loc="outside lower left", ncols=len(styles.groups))
    return figure


def risk_coverage(curves: pd.DataFrame, styles: GroupStyles, *, width: float = WIDE) -> Figure:
    """A panel for each suite: the error rate of the answers against the share answered, a line for each group.

    curves: rows with `group`, `suite`, `min_confidence`, `answered` and `error`. The dot is at a confidence of 0.9.
    """
    suites = list(dict.fromkeys(curves["suite"]))
    with drawing(width=width, height=56 + 187 * ceil(len(suites) / 3)) as figure:
        panels = figure.subplots(ceil(len(suites) / 3), 3, squeeze=False).flat
        for axes, suite in zip(panels, suites, strict=False):
            for group in reversed(styles.groups):
                here = curves[(curves["suite"] == suite) & (curves["group"] == group)]
                means = here.groupby("min_confidence")[["answered", "error"]].mean()
                style = styles.style(group) | {"markevery": list(np.flatnonzero(means.index == 0.9))}
                axes.plot(means["answered"], means["error"], markersize=5, **style)
            axes.set(title=suite, ylim=(0, None))
            axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
            axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        for axes in figure.axes[len(suites) :]:
            axes.remove()
        figure.supxlabel("share answered", fontsize=10)
        figure.supylabel("errors among the answers", fontsize=10)
        styles.legend(figure)
    return figure


# --- the test of a single run ----------------------------------------------------------------------------------------
# probs: float (N, 10). labels: int (N,). images: uint8 (N, 28, 28). classes: what the labels 0 to 9 mean.


def panels_of_a_test(
    probs: NDArray[Any], labels: NDArray[Any], images: NDArray[np.uint8], *, classes: Sequence[str] = DIGITS
) -> dict[str, Figure]:
    """Four figures that show what a test found: confusion, by_class, worst_mistakes and calibration."""
    worst = most_confident_mistakes(probs, labels, images, count=WORST)
    return {
        "confusion": confusion_matrix(probs, labels, classes=classes),
        "by_class": accuracy_by_class(probs, labels, classes=classes),
        "worst_mistakes": mistakes({"Most confident mistakes" if worst else "No mistakes": worst}, classes=classes),
        "calibration": reliability_diagram(probs, labels),
    }


def confusion_matrix(probs: NDArray[Any], labels: NDArray[Any], *, classes: Sequence[str] = DIGITS) -> Figure:
    """Counts, rows true and columns predicted; the colour leaves the diagonal out, where all the counts would be."""
    counts = confusion_counts(probs.argmax(axis=1), labels)
    confused = np.where(np.eye(10, dtype=bool), 0, counts)
    with drawing(height=360, width=360) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.imshow(confused, cmap="Oranges")
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = confused[row, column] > 0.6 * confused.max()
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color="w" if dark else "k")
        axes.set(title="Confusion", xlabel="predicted", ylabel="true")
        axes.set_yticks(range(10), classes)
        name_classes(axes, classes)
    return figure


def name_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Ticks of the x axis for the labels 0 to 9. Names are turned, since they would run into each other."""
    axes.set_xticks(range(10), classes, rotation=0 if classes == DIGITS else 90)


def accuracy_by_class(probs: NDArray[Any], labels: NDArray[Any], *, classes: Sequence[str] = DIGITS) -> Figure:
    """A point per class, with its 95% interval over images (Wilson)."""
    correct = probs.argmax(axis=1) == labels
    digits = np.unique(labels)
    acc = np.array([correct[labels == digit].mean() for digit in digits])
    bounds = np.array([wilson_interval(int(correct[labels == d].sum()), int((labels == d).sum())) for d in digits])
    with drawing(height=288, width=360) as figure:
        axes = figure.subplots()
        axes.errorbar(digits, acc, yerr=np.abs(bounds.T - acc), fmt="o", color=PALETTE[0], capsize=3)
        what = "digit" if classes == DIGITS else "class"
        axes.set(title="Accuracy by class, with 95% intervals", xlabel=f"true {what}")
        name_classes(axes, classes)
        axes.yaxis.set_major_formatter(percent(axes))
    return figure


def most_confident_mistakes(
    probs: NDArray[Any], labels: NDArray[Any], images: NDArray[np.uint8], *, count: int
) -> list[Mistake]:
    """The `count` mistakes made with most confidence, the worst first, with their confidence and index as note."""
    preds, confidence = probs.argmax(axis=1), probs.max(axis=1)
    wrong = np.flatnonzero(preds != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [Mistake(images[i], int(labels[i]), int(preds[i]), f"{confidence[i]:.0%} #{i}") for i in worst]


def reliability_diagram(probs: NDArray[Any], labels: NDArray[Any]) -> Figure:
    """Accuracy against confidence (Guo et al. 2017): on the diagonal, 90% sure means right nine times in ten."""
    error, bins = expected_calibration_error(probs, labels)
    filled = bins[bins["count"] > 0]
    with drawing(height=324, width=360) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":")
        axes.plot(filled["confidence"], filled["accuracy"], marker="o", color=PALETTE[0])
        for _, each in filled.iterrows():
            axes.annotate(f"{int(each['count'])}", (each["confidence"], each["accuracy"]), fontsize=7,
                          textcoords="offset points", xytext=(4, -9))  # fmt: skip
        axes.set(title=f"Calibration: expected error {100 * error:.2f} points", xlabel="confidence", ylabel="accuracy")
    return figure


# --- drawing and rendering -------------------------------------------------------------------------------------------


def percent(axes: Axes) -> PercentFormatter:
    """Per cent with as many decimals as the axis needs."""
    low, high = axes.get_ylim()
    return PercentFormatter(xmax=1, decimals=0 if high - low > 0.05 else 1 if high - low > 0.005 else 2)


@contextmanager
def drawing(*, width: float, height: float) -> Iterator[Figure]:
    """An empty figure of this size in points, and our style while it is filled."""
    with mpl.rc_context(STYLE):
        yield Figure(figsize=(width / 72, height / 72), layout="constrained")


@contextmanager
def rendering() -> Iterator[None]:
    """Our style; a sign that the font lacks is drawn as a box, without a warning."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def png(figure: Figure) -> bytes:
    """On white, with a palette of 128 colours: fewer bytes, and no difference to the eye.

    With 64, a line with few points could lose its colour to the tints of the others.
    """
    buffer, small = BytesIO(), BytesIO()
    with rendering():
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    Image.open(buffer).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    return small.getvalue()


def svg(figure: Figure) -> bytes:
    """On nothing, with text as text and the same bytes for the same figure."""
    buffer = BytesIO()
    with rendering():
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    return buffer.getvalue()


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """uint8 (height, width, 3), on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_facecolor("white")
    canvas = FigureCanvasAgg(figure)
    with rendering():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]

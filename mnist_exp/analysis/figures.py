"""The figures of comparisons and docs: data in, a matplotlib `Figure` out, a small PNG at the end. No pyplot."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from mnist_exp.analysis.markdown import points
from mnist_exp.analysis.statistics import Summary

# Okabe and Ito 2008, told apart with any kind of colour vision; their yellow is too light for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = "os^Dv<>P"
REST = "#C8C8C8"  # groups beyond the palette
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.labelcolor": "#333333",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}
WIDTH = 8.0  # inches; at 150 dots each 1200 pixels, shown at two thirds of that: sharp on dense screens
DPI = 150


@dataclass(frozen=True)
class Look:
    """How each group is drawn, the same in every figure. The first ones get colours, the rest one grey."""

    groups: Sequence[str]  # as the legend lists them
    coloured: Sequence[str]

    @classmethod
    def of(cls, groups: Sequence[str], important: Sequence[str] = ()) -> "Look":
        """Colours for all groups where there are enough, otherwise for the important ones and the first few."""
        if len(groups) <= len(PALETTE):
            return cls(groups, groups)
        return cls(groups, list(dict.fromkeys([*important, *groups[:3]]))[: len(PALETTE)])

    def among(self, groups: Collection[str]) -> "Look":
        """The look of some of the groups by themselves."""
        return Look(*([group for group in each if group in groups] for each in (self.groups, self.coloured)))

    def style(self, group: str) -> dict[str, Any]:
        if group not in self.coloured:
            return {"color": REST, "marker": ".", "linestyle": "-", "zorder": 1.5}
        index = list(self.coloured).index(group)
        # Equal groups are neighbours, and the better one is drawn last: its dashes let the other one be seen.
        line = (0, (4, 4)) if index % 2 == 0 and len(self.coloured) > 1 else "-"
        return {"color": PALETTE[index], "marker": MARKERS[index], "linestyle": line, "zorder": 2.5}

    def legend(self, figure: Figure) -> None:
        handles = [Line2D([], [], label=group, **self.style(group)) for group in self.groups if group in self.coloured]
        if rest := len(self.groups) - len(self.coloured):
            handles.append(Line2D([], [], label=f"{rest} other groups", color=REST, marker="."))
        fit = max(1, 110 // (max(len(str(handle.get_label())) for handle in handles) + 8))
        columns = ceil(len(handles) / ceil(len(handles) / fit))
        figure.legend(handles=handles, loc="outside lower left", ncols=columns, markerscale=0.8)


def learning_curves(history: pd.DataFrame, look: Look) -> Figure:
    """Validation accuracy and training loss by epoch: the mean over a group's runs, in a band from lowest to highest.

    history: a row per run and epoch, with `group`, `epoch`, `val/acc` and `train/loss` (NaN where not measured).
    """
    with drawing(height=3.6 + 0.18 * len(look.coloured)) as figure:
        left, right = figure.subplots(1, 2)
        for axes, metric, title in ((left, "val/acc", "Validation accuracy"), (right, "train/loss", "Training loss")):
            for group in reversed(look.groups):
                runs = history[history["group"] == group].dropna(subset=[metric])
                curve(axes, runs.groupby("epoch")[metric].agg(["mean", "min", "max"]), look.style(group))
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.yaxis.set_major_formatter(percent(left))
        if (history["train/loss"] > 0).any():
            right.set_yscale("log", subs=[])
            right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            right.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        look.legend(figure)
    return figure


def curve(axes: Axes, epochs: pd.DataFrame, style: dict[str, Any]) -> None:
    """A line through `mean`, with markers where there is room, in a band from `min` to `max`."""
    if len(epochs) > 12:
        style = style | {"marker": ""}
    axes.plot(epochs.index, epochs["mean"], markersize=4, **style)
    if style["color"] != REST:
        axes.fill_between(epochs.index, epochs["min"], epochs["max"], color=style["color"], alpha=0.15, lw=0)


def accuracy_against_time(runs: pd.DataFrame, look: Look) -> Figure:
    """A point per run: `test/acc` against `fit_seconds`."""
    with drawing(height=3.6 + 0.18 * len(look.coloured)) as figure:
        axes = figure.subplots()
        for group in reversed(look.groups):
            here = runs[runs["group"] == group]
            style = look.style(group) | {"linestyle": "", "markersize": 7, "alpha": 0.85}
            axes.plot(here["fit_seconds"], here["test/acc"], **style)
        seconds = runs["fit_seconds"]
        if seconds.min() > 0 and seconds.max() > 10 * seconds.min():
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        axes.set(title="Test accuracy", xlabel="seconds of training (fit, validation included)")
        axes.yaxis.set_major_formatter(percent(axes))
        look.legend(figure)
    return figure


def shares(effects: Mapping[str, Summary]) -> Figure:
    """A bar per factor, the largest on top: its share of the gap in percentage points, with its interval over seeds."""
    names = sorted(effects, key=lambda name: abs(effects[name].mean))
    with drawing(height=1.0 + 0.42 * len(names)) as figure:
        axes = figure.subplots()
        for row, name in enumerate(names):
            share = effects[name]
            length, low, high = (100 * each for each in (share.mean, share.low, share.high))
            axes.barh(row, length, height=0.6, color=PALETTE[0] if length >= 0 else PALETTE[1])
            if not np.isnan(low):
                axes.plot([low, high], [row, row], color="#222222", linewidth=1.5, marker="|", markersize=8)
            end = np.nanmax([length, high, 0.0])
            axes.annotate(points(share.mean), (end, row), xytext=(6, 0), textcoords="offset points", va="center")
        axes.axvline(0, color="#666666", linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12)
        axes.set(title="Share of the gap in test accuracy", xlabel="percentage points")
    return figure


def gallery(rows: Mapping[str, Sequence[tuple[NDArray[np.uint8], str]]]) -> Figure:
    """Images (28, 28) in titled rows, each with a caption below it."""
    columns = max(1, *(len(images) for images in rows.values()))
    with drawing(height=1.3 * len(rows), width=max(4.0, 0.8 * columns)) as figure:
        bands = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
        for band, (title, images) in zip(bands, rows.items(), strict=True):
            band.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
            panels = band.subplots(1, columns, squeeze=False)[0]
            for axes in panels:
                axes.axis("off")
            for axes, (image, caption) in zip(panels, images, strict=False):
                axes.imshow(255 - image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_title(caption, y=-0.06, pad=0, va="top", loc="center", fontsize=9, fontweight="normal")
    return figure


def severities(accuracies: pd.DataFrame, look: Look) -> Figure:
    """Accuracy against severity, a panel per family: the family's mean, and thin behind it each of its corruptions.

    accuracies: a row per group, corruption and severity, with `group`, `family`, `corruption`, `severity` and `acc`.
    """
    families = list(dict.fromkeys(accuracies["family"]))
    with drawing(height=1.2 + 2.6 * ceil(len(families) / 2)) as figure:
        panels = figure.subplots(ceil(len(families) / 2), 2, sharex=True, sharey=True, squeeze=False).flat
        for axes, family in zip(panels, families, strict=False):
            for group in reversed(look.groups):
                here = accuracies[(accuracies["family"] == family) & (accuracies["group"] == group)]
                lines, style = here.pivot(index="severity", columns="corruption", values="acc"), look.style(group)
                axes.plot(lines, color=style["color"], linewidth=0.8, alpha=0.35)
                axes.plot(lines.mean(axis=1), markersize=5, **style)
            axes.set(title=family)
            axes.yaxis.set_major_formatter(percent(axes))
        for axes in figure.axes[-2:]:
            axes.set(xlabel="severity")
        look.legend(figure)
    return figure


def bars(accuracies: pd.DataFrame, look: Look) -> Figure:
    """A cluster of bars per suite, a bar per group: `group`, `suite` and `acc` in each row, the suites in its order."""
    suites = list(dict.fromkeys(accuracies["suite"]))
    with drawing(height=4.2) as figure:
        axes = figure.subplots()
        width = 0.84 / len(look.groups)
        for index, group in enumerate(look.groups):
            acc = accuracies[accuracies["group"] == group].set_index("suite")["acc"].reindex(suites)
            at = np.arange(len(suites)) + (index - (len(look.groups) - 1) / 2) * width
            drawn = axes.bar(at, acc, 0.9 * width, color=look.style(group)["color"], label=group)
            axes.bar_label(drawn, [f"{100 * each:.1f}" for each in acc], rotation=90, padding=3, fontsize=8)
        axes.set_xticks(range(len(suites)), [suite.replace("_", "\n") for suite in suites])
        axes.grid(axis="x", visible=False)
        axes.set(title="Accuracy by suite, %", ylim=(0, 1.12), yticks=np.linspace(0, 1, 6))
        axes.yaxis.set_major_formatter(percent(axes))
        figure.legend(loc="outside lower left", ncols=len(look.groups))
    return figure


def percent(axes: Axes) -> PercentFormatter:
    """Per cent with as many decimals as the axis needs."""
    low, high = axes.get_ylim()
    return PercentFormatter(xmax=1, decimals=0 if high - low > 0.05 else 1 if high - low > 0.005 else 2)


@contextmanager
def drawing(*, height: float, width: float = WIDTH) -> Iterator[Figure]:
    with mpl.rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained", facecolor="white")


def png(figure: Figure) -> bytes:
    """The figure as a PNG with a palette of 64 colours: a third of the bytes, and no difference to the eye."""
    buffer, small = BytesIO(), BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=DPI)
    Image.open(buffer).convert("RGB").quantize(64).save(small, format="png", optimize=True)
    return small.getvalue()

"""Figures: small, complete, and the same whatever was drawn before.

python -m pytest tests/test_figures.py -v
"""

import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mnist_exp.analysis.figures import (
    PALETTE,
    REST,
    Look,
    accuracy_against_time,
    bars,
    gallery,
    learning_curves,
    png,
    severities,
    shares,
)
from mnist_exp.analysis.statistics import Summary

GROUPS = [f"model=net{index}" for index in range(8)]


def history(groups=GROUPS, epochs=20, seeds=3):
    rng = np.random.default_rng(0)
    rows = [
        (group, f"{group}{seed}", epoch, 1 - rng.random() / epoch, rng.random() / epoch)
        for group in groups
        for seed in range(seeds)
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows, columns=["group", "run", "epoch", "val/acc", "train/loss"])


def runs(groups=GROUPS, seconds=(1.0, 2.0)):
    rows = [(group, each, 0.9) for group in groups for each in seconds]
    return pd.DataFrame(rows, columns=["group", "fit_seconds", "test/acc"])


def by_severity(groups=GROUPS[:2], families=("hand", "pen", "camera")):
    rows = [
        (group, family, corruption, severity, 1 - severity / 10 - index / 100)
        for index, group in enumerate(groups)
        for family in families
        for corruption in (f"{family}_1", f"{family}_2")
        for severity in range(6)
    ]
    return pd.DataFrame(rows, columns=["group", "family", "corruption", "severity", "acc"])


def by_suite(groups=GROUPS[:4]):
    rows = [(group, suite, 0.9) for group in groups for suite in ("test", "pen", "hand")]
    return pd.DataFrame(rows, columns=["group", "suite", "acc"])


SHARE = Summary(0.02, 0.01, 3, -0.01, 0.05)
IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
FIGURES = {
    "curves": lambda: learning_curves(history(), Look.of(GROUPS)),
    "time": lambda: accuracy_against_time(runs(), Look.of(GROUPS)),
    "shares": lambda: shares({f"factor{index}": SHARE for index in range(6)}),
    "gallery": lambda: gallery({side: [(IMAGE, "5, not 6")] * 10 for side in ("only A is right", "only B is right")}),
    "severities": lambda: severities(by_severity(), Look.of(GROUPS[:2])),
    "bars": lambda: bars(by_suite(), Look.of(GROUPS[:4])),
}


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_a_small_png(name):
    content = png(FIGURES[name]())
    assert Image.open(BytesIO(content)).format == "PNG"
    assert len(content) <= 60_000


def test_no_pyplot_is_imported_or_configured():
    for draw in FIGURES.values():
        draw()
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_the_same_data_give_the_same_bytes():
    first, again = (png(learning_curves(history(), Look.of(GROUPS))) for _ in range(2))
    assert first == again


def test_the_curve_is_the_mean_over_seeds_and_the_band_their_range():
    data = pd.DataFrame(
        [("a", "x", 1, 0.8, 0.5), ("a", "y", 1, 0.9, 0.7), ("a", "x", 2, 0.9, 0.3), ("a", "y", 2, 1.0, 0.5)],
        columns=["group", "run", "epoch", "val/acc", "train/loss"],
    )
    axes = learning_curves(data, Look.of(["a"])).axes[0]
    assert axes.lines[0].get_ydata() == pytest.approx([0.85, 0.95])
    vertices = axes.collections[0].get_paths()[0].vertices
    assert (vertices[:, 1].min(), vertices[:, 1].max()) == (0.8, 1.0)


def test_colours_are_distinct_and_beyond_the_palette_only_what_matters_has_one():
    few, many = Look.of(GROUPS), Look.of([*GROUPS, "a", "b"], important=["b"])
    assert len({few.style(group)["color"] for group in GROUPS}) == len(GROUPS) == len(PALETTE)
    assert many.style("b")["color"] == PALETTE[0]
    assert many.style("a")["color"] == REST


def test_times_of_different_size_get_a_log_axis():
    assert accuracy_against_time(runs(seconds=(1.0, 100.0)), Look.of(GROUPS)).axes[0].get_xscale() == "log"
    assert accuracy_against_time(runs(), Look.of(GROUPS)).axes[0].get_xlim()[0] == 0


def test_a_share_of_one_seed_has_no_interval():
    axes = shares({"model": Summary(0.02, np.nan, 1, np.nan, np.nan)}).axes[0]
    assert axes.patches[0].get_width() == pytest.approx(2)
    assert len(axes.lines) == 1  # the zero line


def test_a_family_of_corruptions_is_drawn_as_their_mean_before_each_of_them():
    data = pd.DataFrame(
        [
            ("a", "pen", name, severity, acc - severity / 10)
            for name, acc in {"x": 1.0, "y": 0.8}.items()
            for severity in (0, 1)
        ],
        columns=["group", "family", "corruption", "severity", "acc"],
    )
    lines = severities(data, Look.of(["a"])).axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [
        [1.0, 0.9],
        [0.8, pytest.approx(0.7)],
        pytest.approx([0.9, 0.8]),
    ]


def test_bars_stand_at_their_suites_also_where_rows_come_in_another_order():
    data = by_suite(["a", "b"]).assign(acc=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).iloc[[0, 1, 2, 5, 4, 3]]
    axes = bars(data, Look.of(["a", "b"])).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["test", "pen", "hand"]
    assert [[bar.get_height() for bar in group] for group in axes.containers] == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]

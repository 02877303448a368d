"""Figures: small, complete, and the same whatever was drawn before.

python -m pytest tests/analysis/test_figures.py -v
"""

import sys
from functools import partial
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from mnist_exp.analysis import figures
from mnist_exp.analysis.figures import (
    CSS_COLOURS,
    DISTINCT,
    NARROW,
    PALETTE,
    REST,
    WIDE,
    GroupStyles,
    Mistake,
    accuracy_against_time,
    accuracy_axis,
    accuracy_by_suite,
    gallery,
    learning_curves,
    most_confident_mistakes,
    png,
    shares_of_the_gap,
    short_names,
    spread,
    svg,
)
from mnist_exp.analysis.statistics import Summary, wilson_interval
from mnist_exp.data.named_sets import CLOTHES

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
PROBS = np.random.default_rng(0).dirichlet(np.ones(10), 300)
LABELS = np.arange(300) % 10
IMAGES = np.broadcast_to(IMAGE, (300, 28, 28))
MISTAKES = {side: [Mistake(IMAGE, 5, 6)] * 6 for side in ("only A is right", "only B is right")}
REPORT_PLOTS = {
    "curves": partial(learning_curves, history(GROUPS[:3], epochs=4), GroupStyles.of(GROUPS)),
    "time": partial(accuracy_against_time, runs(), GroupStyles.of(GROUPS)),
    "shares": partial(shares_of_the_gap, {f"factor{index}": SHARE for index in range(6)}),
    "mistakes": partial(figures.mistakes, MISTAKES),
}
OTHER_PLOTS = {
    "severities": lambda: figures.accuracy_by_severity(by_severity(families=["pen"]), GroupStyles.of(GROUPS[:2])),
    "suites": lambda: accuracy_by_suite(by_suite(), GroupStyles.of(GROUPS[:4])),
    "confusion": lambda: figures.confusion_matrix(PROBS, LABELS),
    "classes": lambda: figures.accuracy_by_class(PROBS, LABELS),
    "calibration": lambda: figures.reliability_diagram(PROBS, LABELS),
}


@pytest.mark.parametrize("name", [*REPORT_PLOTS, *OTHER_PLOTS])
def test_each_figure_is_a_small_png(name):
    content = png((REPORT_PLOTS | OTHER_PLOTS)[name]())
    assert Image.open(BytesIO(content)).format == "PNG"
    assert len(content) <= 70_000
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("name", REPORT_PLOTS)
def test_each_figure_of_a_report_fits_a_phone(name):
    figure = REPORT_PLOTS[name](width=NARROW)
    figure.draw_without_rendering()
    assert figure.get_figwidth() * 72 <= NARROW
    drawn = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert drawn.x0 >= -0.02
    assert drawn.x1 <= figure.get_figwidth() + 0.02
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 9


@pytest.mark.parametrize("render", [png, svg])
def test_the_same_data_give_the_same_bytes(render):
    first, again = (render(shares_of_the_gap({"model": SHARE})) for _ in range(2))
    assert first == again


def test_names_may_hold_what_matplotlib_would_read_as_a_formula_or_leave_out():
    groups = ["$\\frac{", "_hidden", "😀", "数字"]
    text = svg(accuracy_against_time(runs(groups), GroupStyles.of(groups))).decode()
    assert all(name in text for name in groups)


def test_the_curve_is_the_mean_over_seeds_and_the_band_their_range():
    data = pd.DataFrame(
        [("a", "x", 1, 0.8, 0.5), ("a", "y", 1, 0.9, 0.7), ("a", "x", 2, 0.9, 0.3), ("a", "y", 2, 1.0, 0.5)],
        columns=["group", "run", "epoch", "val/acc", "train/loss"],
    )
    axes = learning_curves(data, GroupStyles.of(["a"])).axes[0]
    assert axes.lines[0].get_ydata() == pytest.approx([0.85, 0.95])
    vertices = axes.collections[0].get_paths()[0].vertices
    assert (vertices[:, 1].min(), vertices[:, 1].max()) == (0.8, 1.0)


def test_each_group_has_a_line_of_its_own_and_beyond_that_only_what_matters_has_one():
    groups = [f"lr={index}" for index in range(DISTINCT + 3)]
    some, many = GroupStyles.of(groups[:DISTINCT]), GroupStyles.of(groups, important=[groups[-1]])
    lines = {(style["color"], style["marker"], style["linestyle"]) for style in map(some.style, some.groups)}
    assert len(lines) == DISTINCT
    assert {style["color"] for style in map(some.style, groups[: len(PALETTE)])} == set(PALETTE)
    assert many.style(groups[-1])["color"] != REST
    assert many.style(groups[DISTINCT - 1])["color"] == REST
    assert many.number(groups[-1]) == str(DISTINCT + 3)
    assert GroupStyles.of(["alone"]).style("alone")["linestyle"] == "-"
    assert some.style(groups[0])["linestyle"] != some.style(groups[1])["linestyle"]  # the lower one shows in the gaps


def test_every_colour_has_a_name_on_the_page():
    assert {*PALETTE, REST} <= CSS_COLOURS.keys()
    assert len(set(CSS_COLOURS.values())) == len(CSS_COLOURS)


def test_a_legend_names_what_differs_once():
    assert short_names(["model=mlp data=csv", "model=cnn data=csv"]) == ("model, data", ["mlp, csv", "cnn, csv"])
    assert short_names(["model=mlp", "data=csv"]) == ("", ["model=mlp", "data=csv"])
    assert short_names(["solution1 lr=1", "solution2 lr=1"]) == ("", ["solution1 lr=1", "solution2 lr=1"])


def test_a_legend_has_the_numbers_of_the_lines_where_lines_have_them():
    def legend(figure):
        return [text.get_text() for text in figure.legends[0].get_texts()]

    assert legend(accuracy_against_time(runs(["m=a", "m=b"]), GroupStyles.of(["m=b", "m=a"]))) == ["1 b", "2 a"]
    assert legend(figures.accuracy_by_severity(by_severity(["m=a", "m=b"]), GroupStyles.of(["m=a", "m=b"]))) == [
        "a",
        "b",
    ]
    some = accuracy_against_time(runs(["m=b"]), GroupStyles.of(["m=a", "m=b"]))
    assert legend(some) == ["2 b"]
    many = [f"m={index}" for index in range(DISTINCT + 2)]
    assert legend(accuracy_against_time(runs(many), GroupStyles.of(many)))[-1] == "2 other groups"


def test_a_figure_grows_by_the_rows_of_its_legend():
    heights = [
        accuracy_against_time(runs(groups), GroupStyles.of(groups), width=NARROW).get_figheight() * 72
        for groups in (["a"], ["a", "b"], [f"{'long' * 9}{index}" for index in range(3)])
    ]
    assert heights == pytest.approx([250 + 14.5, 250 + 14.5, 250 + 3 * 14.5])


def test_a_label_that_is_too_long_is_cut():
    groups = ["x" * 200]
    figure = accuracy_against_time(runs(groups), GroupStyles.of(groups), width=NARROW)
    assert figure.legends[0].get_texts()[0].get_text() == f"1 {'x' * 40}…"


def test_numbers_stand_at_the_ends_of_their_lines_and_equal_lines_share_a_place():
    data = pd.DataFrame(
        [(group, group, epoch, acc + epoch / 1000, 0.5) for group, acc in {"a": 0.9, "b": 0.9, "c": 0.8}.items()
         for epoch in (1, 2)],
        columns=["group", "run", "epoch", "val/acc", "train/loss"],
    )  # fmt: skip
    left, right = learning_curves(data, GroupStyles.of(["a", "b", "c"])).axes
    heights = {text.get_text(): text.xy[1] for text in left.texts}
    assert heights.keys() == {"1 2", "3"}
    assert heights["3"] < heights["1 2"] < 1
    assert [text.get_text() for text in right.texts] == ["1 2 3"]


def test_places_are_moved_apart_as_little_as_needed():
    assert spread([0.1, 0.5], gap=0.1) == [0.1, 0.5]
    assert spread([0.1, 0.12, 0.5], gap=0.1) == pytest.approx([0.1, 0.2, 0.5])
    assert spread([0.95, 0.97, 1.0], gap=0.1) == pytest.approx([0.8, 0.9, 1.0])


@pytest.mark.parametrize(
    ("accuracies", "stretched"),
    [([0.9, 0.975], False), ([0.9, 0.976], True), ([0.1, 0.99, np.nan], True), ([1.0, 1.0], False), ([], False)],
)
def test_an_axis_is_stretched_where_errors_differ_more_than_fourfold(accuracies, stretched):
    axes = Figure().subplots()
    axes.plot(accuracies)
    accuracy_axis(axes, accuracies)
    assert (axes.get_yscale() == "function") == stretched


def test_a_stretched_axis_gives_every_ninth_the_same_room():
    axes = Figure().subplots()
    accuracies = [0.1, 0.9, 0.99, 0.999]
    axes.plot(accuracies)
    accuracy_axis(axes, accuracies)
    ninety, two, three = (axes.transData.transform((0, acc))[1] for acc in accuracies[1:])
    assert two - ninety == pytest.approx(three - two)
    assert axes.get_ylim()[0] < 0.1
    assert axes.get_ylim()[1] > 0.999
    axes.figure.draw_without_rendering()
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert ticks == ["0%", "50%", "80%", "90%", "95%", "98%", "99%", "99.5%", "99.8%", "99.9%"]


def test_an_accuracy_of_all_is_drawn_at_the_top_of_a_stretched_axis():
    axes = Figure().subplots()
    axes.plot([0.5, 0.99, 1.0])
    accuracy_axis(axes, [0.5, 0.99, 1.0])
    top = axes.transAxes.transform((0, 1))[1]
    best, all_right = (axes.transData.transform((0, acc))[1] for acc in (0.99, 1.0))
    assert best < all_right == pytest.approx(top)


def test_times_of_different_size_get_a_log_axis():
    assert accuracy_against_time(runs(seconds=(1.0, 100.0)), GroupStyles.of(GROUPS)).axes[0].get_xscale() == "log"
    assert accuracy_against_time(runs(), GroupStyles.of(GROUPS)).axes[0].get_xlim()[0] == 0


def test_a_share_of_one_seed_has_no_interval():
    axes = shares_of_the_gap({"model": Summary(0.02, np.nan, 1, np.nan, np.nan)}).axes[0]
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
    lines = figures.accuracy_by_severity(data, GroupStyles.of(["a"])).axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [
        [1.0, 0.9],
        [0.8, pytest.approx(0.7)],
        pytest.approx([0.9, 0.8]),
    ]


def test_there_is_a_panel_for_each_family_and_none_beside():
    figure = figures.accuracy_by_severity(by_severity(), GroupStyles.of(GROUPS[:2]))
    assert [(axes.get_title(loc="left"), axes.get_xlabel()) for axes in figure.axes] == [
        ("hand", ""),
        ("pen", "severity"),
        ("camera", "severity"),
    ]


def test_bars_stand_at_their_suites_also_where_rows_come_in_another_order():
    data = by_suite(["a", "b"]).assign(acc=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).iloc[[0, 1, 2, 5, 4, 3]]
    axes = accuracy_by_suite(data, GroupStyles.of(["a", "b"])).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["test", "pen", "hand"]
    assert [[bar.get_height() for bar in group] for group in axes.containers] == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]


def test_the_largest_share_is_on_top_whatever_its_sign():
    shares = {name: Summary(mean, 0.01, 3, mean - 0.01, mean + 0.01) for name, mean in {"a": 0.02, "b": -0.05}.items()}
    axes = shares_of_the_gap(shares).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([2, -5])
    assert [text.get_text() for text in axes.texts] == ["+2.00", "−5.00"]
    assert axes.lines[1].get_xdata() == pytest.approx([-6, -4])


def test_mistakes_are_the_most_confident_ones_worst_first():
    probs = np.full((4, 10), 0.01)
    probs[[0, 1, 2, 3], [1, 1, 3, 5]] = [0.6, 0.9, 0.8, 0.7]
    images = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((4, 28, 28), np.uint8)
    found = most_confident_mistakes(probs, np.array([0, 1, 2, 4]), images, count=2)
    assert [(each.label, each.answer, each.note, each.image[0, 0]) for each in found] == [
        (2, 3, "80% #2", 2),
        (4, 5, "70% #3", 3),
    ]


def test_a_gallery_breaks_its_rows_where_the_width_ends():
    rows = {"first": [(IMAGE, "5 as 6")] * 7, "second": [(IMAGE, "1 as 7")] * 2}
    for width, columns, lines in ((WIDE, 7, 1 + 1), (NARROW, 5, 2 + 1), (128, 2, 4 + 1)):
        figure = gallery(rows, width=width)
        assert len(figure.axes) == columns * lines
        shown = [axes.get_title() for axes in figure.axes if axes.images]
        assert shown == ["5 as 6"] * 7 + ["1 as 7"] * 2
    drawn = figure.axes[0].images[0].get_array()
    assert np.array_equal(drawn[..., 3], IMAGE)  # ink where the digit is
    assert not drawn[..., :3].any()


def test_no_mistakes_can_be_drawn():
    assert gallery({"No mistakes": []}).axes


def test_the_confusion_matrix_counts_true_by_row_and_colours_mistakes_alone():
    probs = np.eye(10)[[0, 1, 1, 7, 7]]
    axes = figures.confusion_matrix(probs, np.array([0, 1, 2, 2, 2])).axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "1", (1, 1): "1", (1, 2): "1", (7, 2): "2"}  # (predicted, true)
    colours = axes.images[0].get_array()
    assert (colours[0, 0], colours[2, 1], colours[2, 7]) == (0, 1, 2)


def test_the_panels_of_a_test_name_the_classes():
    probs = np.eye(10)[[0, 6, 1, 7, 7]]
    panels = figures.panels_of_a_test(
        probs, np.array([0, 0, 1, 7, 9]), np.zeros((5, 28, 28), np.uint8), classes=CLOTHES
    )
    confusion, by_class = panels["confusion"].axes[0], panels["by_class"].axes[0]
    for ticks in (confusion.get_xticklabels(), confusion.get_yticklabels(), by_class.get_xticklabels()):
        assert tuple(tick.get_text() for tick in ticks) == CLOTHES
    titles = [axes.get_title().splitlines()[:2] for axes in panels["worst_mistakes"].axes]
    assert titles == [["T-shirt/top", "as Shirt"], ["Ankle boot", "as Sneaker"]]


def test_accuracy_by_class_has_its_wilson_interval():
    probs = np.eye(10)[[3] * 8 + [4] * 2]
    axes = figures.accuracy_by_class(probs, np.full(10, 3)).axes[0]
    line, _, (bars,) = axes.containers[0]
    low, high = wilson_interval(8, 10)
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([3], [0.8])
    assert bars.get_segments()[0][:, 1] == pytest.approx([low, high])


def test_calibration_shows_accuracy_by_confidence_and_each_bins_count():
    probs = np.full((4, 10), 0.1 / 9)
    probs[:, 2] = 0.9
    axes = figures.reliability_diagram(probs, np.array([2, 2, 2, 3])).axes[0]
    assert (axes.lines[1].get_xdata()[0], axes.lines[1].get_ydata()[0]) == pytest.approx((0.9, 0.75))
    assert [text.get_text() for text in axes.texts] == ["4"]
    assert axes.get_title(loc="left") == "Calibration: expected error 15.00 points"

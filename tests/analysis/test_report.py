"""The report against numbers recomputed by hand.

python -m pytest tests/analysis/test_report.py -v
"""

import re

import numpy as np
import pytest
import scipy.stats
from made_runs import TEST_IMAGES, make_run, write_result

from mnist_exp.analysis.pairs import ALL_PAIRS_UP_TO, Pair, compare_pairs, read_predictions
from mnist_exp.analysis.report import write_report
from mnist_exp.analysis.runs import collect
from mnist_exp.analysis.statistics import McNemar

ACCURACIES = {"image": [0.90, 0.92, 0.91], "csv": [0.93, 0.96, 0.94]}


@pytest.fixture
def study(tmp_path):
    for data, accuracies in ACCURACIES.items():
        for seed, acc in enumerate(accuracies):
            make_run(tmp_path / f"{data}{seed}", f"data={data}", acc=acc, seed=seed)
    return collect([tmp_path])


def table(markdown, caption):
    """Rows of the table under a caption, cell by cell."""
    lines = markdown.split(f"*{caption}")[1].split("\n\n")[1].splitlines()
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines if not line.startswith("| :")]


def numbers(cell):
    return [float(each) for each in re.findall(r"[-+]?\d+\.?\d*", cell.replace("−", "-"))]


# --- the groups ---


def test_the_verdict_is_the_mean_spread_and_interval_of_each_group(study):
    header, first, second = table(write_report(study, name="t").markdown, "Groups")
    assert (header[0], first[0], second[0]) == ("data", "csv", "image")
    for row in (first, second):
        values = 100 * np.array(ACCURACIES[row[0]])
        assert numbers(" ".join(row[1:4])) == pytest.approx([3, values.mean(), values.std(ddof=1)], abs=0.006)
        interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert numbers(row[4]) == pytest.approx([interval.low, min(interval.high, 100)], abs=0.006)
        assert numbers(row[6]) == [11.0]  # seconds of fit: 10, 11, 12


def test_the_verdict_agrees_with_the_table_of_runs(study):
    means = 100 * study.frame.groupby("data")[["test/acc", "val/acc"]].mean()
    for row in table(write_report(study, name="t").markdown, "Groups")[1:]:
        assert [float(row[2]), float(row[5])] == pytest.approx(means.loc[row[0]].tolist(), abs=0.006)


def test_the_headline_names_the_best_its_lead_and_how_sure_it_is(study):
    headline = write_report(study, name="t").markdown.split("\n\n")[1]
    lead = 100 * (np.mean(ACCURACIES["csv"]) - np.mean(ACCURACIES["image"]))
    assert headline.startswith("`data=csv` has the highest mean test accuracy: **94.33%** (n = 3).")
    assert f"**+{lead:.2f} percentage points**" in headline
    p = scipy.stats.ttest_rel(ACCURACIES["csv"], ACCURACIES["image"]).pvalue
    assert f"p = {p:.3f} after Holm" in headline


def test_a_single_run_has_its_interval_over_images(tmp_path):
    make_run(tmp_path / "a", acc=0.9)
    row = table(write_report(collect([tmp_path]), name="t").markdown, "Groups")[1]
    interval = scipy.stats.binomtest(900, 1000).proportion_ci(method="wilson")
    assert numbers(" ".join(row))[:2] == [1, 90]
    assert any(numbers(cell) == pytest.approx([100 * interval.low, 100 * interval.high], abs=0.006) for cell in row)
    assert any("†" in cell for cell in row)


def test_equal_groups_are_called_equal_and_the_next_one_is_tested(tmp_path):
    for seed in (0, 1, 2):
        make_run(tmp_path / f"image{seed}", "data=image", acc=0.95 + seed / 1000, seed=seed)
        make_run(tmp_path / f"csv{seed}", "data=csv", acc=0.95 + seed / 1000, seed=seed)
        make_run(tmp_path / f"mlp{seed}", "model=mlp", acc=0.9, seed=seed)
    headline = write_report(collect([tmp_path]), name="t").markdown.split("\n\n")[1]
    assert re.search("`data=(image|csv) model=cnn` equals it with each common seed", headline)
    assert "The lead over the next, `data=image model=mlp`" in headline


# --- pairs ---


def test_pairs_are_tested_over_seeds_and_over_images(study):
    row = table(write_report(study, name="t").markdown, "Differences")[1]
    a, b = (np.array(ACCURACIES[data]) for data in ("csv", "image"))
    over_seeds = scipy.stats.ttest_rel(a, b)
    interval = over_seeds.confidence_interval(0.95)
    assert row[:2] == ["data=csv", "data=image"]
    assert numbers(row[2]) == pytest.approx([100 * (a - b).mean()], abs=0.006)
    assert numbers(row[3]) == pytest.approx([100 * interval.low, 100 * interval.high], abs=0.006)
    assert numbers(row[5])[0] == pytest.approx(over_seeds.pvalue, abs=0.0006)
    # The runs' mistakes are nested, so that one side alone is ever right: (30 + 40 + 30) / 3 images.
    assert numbers(row[6]) == pytest.approx([33.3, 0])


def test_several_seeds_show_twice_the_median_p_and_one_shows_its_own():
    tests = [McNemar(1, 0, p) for p in (0.01, 0.3, 0.02)]
    assert Pair("a", "b", None, tests).images_p == 0.04
    assert Pair("a", "b", None, tests[:1]).images_p == 0.01
    assert Pair("a", "b", None, [McNemar(1, 1, 0.9)] * 2).images_p == 1


def test_p_values_are_corrected_over_all_pairs(tmp_path):
    rng = np.random.default_rng(0)
    for seed in range(4):
        for index, model in enumerate(("mlp", "cnn", "fast")):
            make_run(tmp_path / f"{model}{seed}", f"model={model}", acc=0.9 + index / 50 + rng.random() / 50, seed=seed)
    study = collect([tmp_path])
    pairs = compare_pairs(study, read_predictions(study))
    raw = sorted(pair.over_seeds.p for pair in pairs)
    assert len(pairs) == 3
    assert min(pair.t_holm for pair in pairs) == pytest.approx(3 * raw[0])


def test_of_many_groups_only_the_best_is_tested_against_each(tmp_path):
    sizes = range(1, ALL_PAIRS_UP_TO + 2)
    for size in sizes:
        make_run(tmp_path / str(size), f"data.batch_size={size}", acc=0.9 - size / 100)
    markdown = write_report(collect([tmp_path]), name="t").markdown
    assert len(table(markdown, "Differences")) == len(sizes)  # a header, and all but the best
    assert "A is `data.batch_size=1`" in markdown


def test_different_test_sets_are_not_compared_image_by_image(study, tmp_path):
    for seed in range(3):
        np.savez(tmp_path / f"csv{seed}" / "predictions.npz", labels=np.zeros(5, int), preds=np.zeros(5, int))
    report = write_report(study, name="t")
    assert "p over images" not in report.markdown
    assert "disagree" not in report.markdown


def test_groups_without_a_common_seed_are_not_tested(tmp_path):
    make_run(tmp_path / "a", "data=csv", acc=0.95)
    make_run(tmp_path / "b", "data=image", seed=1)
    assert "They have no seed in common" in write_report(collect([tmp_path]), name="t").markdown


def test_broken_predictions_are_named(study, tmp_path):
    (tmp_path / "csv0" / "predictions.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"cannot read .*csv0/predictions\.npz"):
        write_report(study, name="t")


def test_images_that_divide_the_groups_are_listed_and_drawn_where_there_are_pictures(study):
    rows = table(write_report(study, name="t").markdown, "The clearest cases")[1:]
    assert len(rows) == 10
    for side, index, label, other, ahead in rows:
        assert (side, int(label), int(other), ahead) == ("only A is right", int(index) % 10, (int(index) + 1) % 10, "1")
    assert "There are no pictures" in write_report(study, name="t").markdown
    images = np.zeros((TEST_IMAGES, 28, 28), np.uint8)
    assert "disagreements" in write_report(study, name="t", pictures=lambda _: images).plots


# --- attribution ---


@pytest.fixture
def factorial(tmp_path):
    """model adds 0.06, data nothing, both together 0.02 more; a little noise by seed."""
    for seed in (0, 1, 2):
        for data in (0, 1):
            for model in (0, 1):
                acc = 0.8 + 0.06 * model + 0.02 * data * model + 0.001 * seed * model
                names = f"data={('image', 'csv')[data]}", f"model={('mlp', 'cnn')[model]}"
                make_run(tmp_path / f"{names}{seed}", *names, acc=acc, seed=seed)
    return collect([tmp_path])


CORNERS = {"start": {"data": "image", "model": "mlp"}, "end": {"data": "csv", "model": "cnn"}}


def test_shares_are_exact_and_add_up_to_the_gap(factorial):
    report = write_report(factorial, name="t", **CORNERS)
    rows = {row[0]: row for row in table(report.markdown, "Effects")}
    assert numbers(rows["model"][3]) == [7.1]
    assert numbers(rows["data"][3]) == [1.0]
    assert numbers(rows["the gap"][3]) == [8.1]
    assert numbers(rows["model"][5]) == [88]  # per cent of the gap
    interaction = table(report.markdown, "Interactions")[1]
    assert (interaction[0], *numbers(interaction[1])) == ("data × model", 1.0)
    assert "attribution" in report.plots


@pytest.mark.usefixtures("factorial")
def test_a_seed_that_lacks_a_cell_is_left_out_by_name(tmp_path):
    lost = next(path for path in tmp_path.iterdir() if "csv" in path.name and path.name.endswith("2"))
    write_result(lost, {"status": "failed", "seed": 2, "overrides": [], "config": {}, "error": "out of memory"})
    markdown = write_report(collect([tmp_path]), name="t", **CORNERS).markdown
    assert "seeds 2 are left out" in markdown
    assert "out of memory" in markdown


def test_borrowed_cells_complete_the_factorial(tmp_path):
    for seed in (0, 1):
        for model, acc in (("mlp", 0.8), ("cnn", 0.9)):
            for data in ("image", "csv") if seed == 0 else ("image",):
                make_run(tmp_path / f"{data}{model}{seed}", f"data={data}", f"model={model}", acc=acc, seed=seed)
    report = write_report(collect([tmp_path], borrow=["data"]), name="t", **CORNERS)
    assert "with 2 seeds (0, 1)" in report.markdown
    assert "Borrowed for `data=csv` from `data=image`: 2 values" in report.markdown
    measured = {tuple(row[:2]): row[2] for row in table(report.markdown, "Groups")[1:]}
    assert measured == {("image", "cnn"): "2", ("csv", "cnn"): "1", ("image", "mlp"): "2", ("csv", "mlp"): "1"}


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ({"modle": "mlp"}, {"modle": "cnn"}, "do not differ in 'modle': did you mean 'model'"),
        ({"model": "mpl"}, {"model": "cnn"}, "no run has model=mpl: did you mean 'mlp'"),
        ({"model": "mlp"}, None, "go together"),
        ({"model": "mlp"}, {"data": "csv"}, "only one of them has data, model"),
        ({"model": "mlp"}, {"model": "mlp"}, "same level of model"),
        ({"model": "mlp"}, {"model": "cnn"}, "name the factor in which they differ"),
    ],
)
def test_corners_that_are_not_there_are_an_error(factorial, start, end, message):
    with pytest.raises(ValueError, match=message):
        write_report(factorial, name="t", start=start, end=end)


# --- the rest ---


@pytest.mark.usefixtures("study")
def test_runs_left_out_are_listed_and_their_errors_are_harmless(tmp_path):
    error = "ValueError: a | b\n<script>alert(1)</script> `x`"
    write_result(tmp_path / "bad", {"status": "failed", "seed": 0, "overrides": [], "config": {}, "error": error})
    row = table(write_report(collect([tmp_path]), name="t").markdown, "Runs that")[1]
    assert row == [str(tmp_path / "bad"), "failed", "ValueError: a ¦ b <script>alert(1)</script> 'x'"]


def test_milestones_have_curves_and_no_tests_over_images(tmp_path):
    tested = [{"epoch": 1, "test/acc": 0.5}, {"epoch": 3, "test/acc": 0.6}]
    for seed in (0, 1):
        make_run(tmp_path / str(seed), seed=seed, milestones=tested)
    report = write_report(collect([tmp_path], epochs=[1, 3]), name="t")
    assert [row[0] for row in table(report.markdown, "Groups")] == ["epochs", "3", "1"]
    assert "no tests over images" in report.markdown
    assert set(report.plots) == {"learning_curves"}

"""The report against numbers recomputed by hand.

python -m pytest tests/analysis/test_report.py -v
"""

import re

import numpy as np
import pytest
import scipy.stats
from made_runs import TEST_IMAGES, change_result, make_factorial, make_run, write_result

from mnist_exp.analysis.report import write_report
from mnist_exp.analysis.runs import collect
from mnist_exp.analysis.statistics import welch_difference

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
        of_images = 100 * np.sqrt(np.mean(values / 100 * (1 - values / 100)) / TEST_IMAGES)
        expected = [3, values.mean(), values.std(ddof=1), of_images]
        assert numbers(" ".join(row[1:5])) == pytest.approx(expected, abs=0.006)
        interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert numbers(row[5]) == pytest.approx([interval.low, min(interval.high, 100)], abs=0.006)
        assert numbers(row[7]) == [11.0]  # seconds of fit: 10, 11, 12


def test_the_verdict_agrees_with_the_table_of_runs(study):
    means = 100 * study.frame.groupby("data")[["test/acc", "val/acc"]].mean()
    for row in table(write_report(study, name="t").markdown, "Groups")[1:]:
        assert [float(row[2]), float(row[6])] == pytest.approx(means.loc[row[0]].tolist(), abs=0.006)


def test_the_headline_names_the_best_its_lead_and_how_sure_it_is(study):
    headline = write_report(study, name="t").markdown.split("\n\n")[1]
    lead = 100 * (np.mean(ACCURACIES["csv"]) - np.mean(ACCURACIES["image"]))
    assert headline.startswith("`data=csv` has the highest mean test accuracy: **94.33%** (n = 3).")
    assert f"**+{lead:.2f} percentage points**" in headline
    p = scipy.stats.ttest_ind(ACCURACIES["csv"], ACCURACIES["image"], equal_var=False).pvalue
    assert f"(Welch's t-test, p = {p:.3f} after Holm)" in headline


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
    over_seeds = scipy.stats.ttest_ind(a, b, equal_var=False)
    interval = over_seeds.confidence_interval(0.95)
    assert row[:2] == ["data=csv", "data=image"]
    assert numbers(row[2]) == pytest.approx([100 * (a - b).mean()], abs=0.006)
    assert numbers(row[3]) == pytest.approx([100 * interval.low, 100 * interval.high], abs=0.006)
    assert row[4:6] == ["3 + 3", "A is better"]
    assert numbers(row[6])[0] == pytest.approx(over_seeds.pvalue, abs=0.0006)
    # The runs' mistakes are nested, so that one side alone is ever right: (30 + 40 + 30) / 3 images.
    assert numbers(row[9]) == pytest.approx([33.3, 0])


def test_different_test_sets_are_not_compared_image_by_image(study, tmp_path):
    for seed in range(3):
        np.savez(tmp_path / f"csv{seed}" / "predictions.npz", labels=np.zeros(5, int), preds=np.zeros(5, int))
    report = write_report(study, name="t")
    assert "p over images" not in report.markdown
    assert "disagree" not in report.markdown


def test_groups_without_a_common_seed_are_compared_as_independent_runs(tmp_path):
    for seed, acc in enumerate((0.95, 0.96, 0.90, 0.91)):
        make_run(tmp_path / str(seed), f"data={'csv' if seed < 2 else 'image'}", acc=acc, seed=seed)
    row = table(write_report(collect([tmp_path]), name="t").markdown, "Differences")[1]
    assert row[2:5:2] == ["+5.00", "2 + 2"]


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
    make_factorial(tmp_path)
    return collect([tmp_path])


CORNERS = {"start": {"data": "image", "model": "mlp"}, "end": {"data": "csv", "model": "cnn"}}


def test_shares_are_exact_and_add_up_to_the_gap(factorial):
    report = write_report(factorial, name="t", **CORNERS)
    rows = {row[0]: row for row in table(report.markdown, "Effects")}
    assert numbers(rows["model"][5])[0] == 7.1
    assert numbers(rows["data"][5])[0] == 1.0
    assert numbers(rows["the gap"][5])[0] == 8.1
    assert numbers(rows["model"][6]) == [88]  # per cent of the gap
    interaction = table(report.markdown, "Interactions")[1]
    assert (interaction[0], numbers(interaction[1])[0]) == ("data × model", 1.0)
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


# --- the sentences ---


def text(tmp_path, *runs, **settings):
    """The report of runs, each given as (overrides, accuracies by seed, changes to result.json)."""
    for overrides, accuracies, changes in runs:
        for seed, acc in accuracies.items():
            make_run(tmp_path / f"{'_'.join(overrides)}{seed}", *overrides, acc=acc, seed=seed, **changes)
    return write_report(collect([tmp_path]), name="t", **settings).markdown


def test_the_title_names_the_report_and_counts_its_runs(study):
    report = write_report(study, name="a <b> `c`")
    assert report.markdown.startswith("# `a <b> 'c'`: 6 runs compared\n")
    assert report.title == "a <b> `c`: 6 runs compared"


def test_a_single_group_is_no_highest(tmp_path):
    answer = text(tmp_path, ([], {0: 0.9}, {})).split("\n\n")[1]
    assert answer == "`image-cnn` has a mean test accuracy: **90.00%** (n = 1)."


def test_a_lucky_seed_is_not_best_where_others_have_several(tmp_path):
    runs = [(["model=mlp"], {0: 0.99}, {}), (["model=cnn"], {0: 0.9, 1: 0.91}, {})]
    answer = text(tmp_path, *runs).split("\n\n")[1]
    assert answer.startswith(
        "`model=cnn` has the highest mean test accuracy of the groups with several seeds: **90.50%**"
    )


def test_two_equal_groups_are_both_named(tmp_path):
    runs = [([f"data.batch_size={size}"], {0: 0.9, 1: 0.91}, {}) for size in (1, 2, 3)]
    answer = text(tmp_path, *runs).split("\n\n")[1]
    assert answer.endswith("`data.batch_size=2` and `data.batch_size=3` equal it with each common seed.")


def test_one_seed_is_too_little_and_images_are_tested_where_there_are_predictions(tmp_path):
    runs = [(["model=mlp"], {0: 0.9}, {}), (["model=cnn"], {0: 0.95}, {})]
    answer = text(tmp_path, *runs).split("\n\n")[1]
    assert answer.endswith(
        "The lead over the next, `model=mlp`, is **+5.00 percentage points**: too few runs to say whether other seeds "
        "would agree. Over the test images McNemar's p is < 0.001 after Holm. Validation accuracy, by which to choose "
        "a recipe, ranks it first, too."
    )
    for path in tmp_path.glob("*/predictions.npz"):
        path.unlink()
    markdown = write_report(collect([tmp_path]), name="t").markdown
    assert "McNemar" not in markdown
    assert "†" not in markdown


def test_a_lead_has_its_interval_its_test_and_what_the_seeds_could_have_shown(tmp_path):
    best, other = [0.95, 0.961, 0.97], [0.94, 0.962, 0.959]
    runs = [([f"model={model}"], dict(enumerate(accs)), {}) for model, accs in (("cnn", best), ("mlp", other))]
    answer = text(tmp_path, *runs, margin=3).split("\n\n")[1]
    difference = welch_difference(best, other)
    welch = scipy.stats.ttest_ind(best, other, equal_var=False)
    low, high = (f"{100 * each:+.2f}".replace("-", "−") for each in welch.confidence_interval(0.95))
    assert f"interval [{low}, {high}] (Welch's t-test, p = {welch.pvalue:.3f} after Holm)." in answer
    assert f"could have shown is {100 * difference.detectable:.2f} points." in answer
    p = difference.equivalence_p(0.03)
    assert f"The means are equal within ±3 points (TOST, p = {p:.3f} after Holm)." in answer
    assert "These seeds do not settle it" not in answer  # what matters is settled


def test_validation_says_which_recipe_to_choose(tmp_path):
    def validated(acc):
        return {"metrics": {"test/acc": acc, "val/acc": acc + 0.001}}

    runs = [(["model=cnn"], {0: 0.9, 1: 0.91}, validated(0.9)), (["model=mlp"], {0: 0.8, 1: 0.81}, validated(0.8))]
    assert "Validation accuracy, by which to choose a recipe, ranks it first, too." in text(tmp_path / "same", *runs)
    runs += [(["model=fast"], {0: 0.89, 1: 0.89}, {"metrics": {"test/acc": 0.89, "val/acc": 0.95}})]
    other = text(tmp_path / "other", *runs).split("\n\n")[1]
    assert other.endswith("by which to choose a recipe, ranks `model=fast` first (test accuracy 89.00%).")
    runs += [(["model=scratch"], {0: 0.7, 1: 0.7}, {"metrics": {"test/acc": 0.7}})]
    assert "by which to choose" not in text(tmp_path / "unknown", *runs).split("\n\n")[1]


def test_the_next_group_is_one_that_can_be_tested(tmp_path):
    runs = [
        (["model=cnn"], {0: 0.95, 1: 0.96}, {}),
        (["model=fast"], {5: 0.94}, {}),
        (["model=scratch"], {1: 0.92}, {}),
        (["model=mlp"], {0: 0.9, 1: 0.92}, {}),
    ]
    assert "The lead over the next, `model=mlp`" in text(tmp_path, *runs).split("\n\n")[1]


@pytest.mark.parametrize(
    ("accuracies", "low_high"),
    [
        ({0: 0.99, 1: 0.999}, [100 * (0.9945 - 12.7062 * 0.0045), 100]),
        ({0: 0.01, 1: 0.001}, [0, 100 * (0.0055 + 12.7062 * 0.0045)]),
    ],
)
def test_an_interval_ends_where_accuracies_end(tmp_path, accuracies, low_high):
    row = table(text(tmp_path, ([], accuracies, {})), "Groups")[1]
    assert numbers(row[5]) == pytest.approx(low_high, abs=0.01)


def test_notes_tell_what_the_numbers_are(tmp_path):
    one, several = {0: 0.9}, {0: 0.9, 1: 0.91}
    unvalidated = {"metrics": {"test/acc": 0.9}, "history": []}
    last_weights = {"config": {"seed": 0, "callbacks": {"best": {"monitor": None}}}}
    cases = {
        "† One run: its interval is over test images": ([([], one, {})], True),
        "† One run": ([([], several, {})], False),
        "No images were held out for validation": ([([], several, unvalidated)], True),
        "the weights that validation chose: always the last. The order": ([([], several, {})], True),
        "validation chose: not of the last epoch in 2 of 2 runs": ([([], several, {"epoch": 1})], True),
        "Each run was tested with its last weights. The order": ([([], several, last_weights)], True),
    }
    for number, (note, (runs, expected)) in enumerate(cases.items()):
        assert (note in text(tmp_path / str(number), *runs)) == expected, note


def test_curves_need_two_epochs_and_means_a_validation(tmp_path):
    epochs = [{"epoch": 1, "train/loss": 0.5}, {"epoch": 2, "train/loss": 0.4}]
    assert "## Learning curves" not in text(tmp_path / "one", ([], {0: 0.9}, {"history": epochs[:1]}))
    markdown = text(tmp_path / "two", ([], {0: 0.9}, {"history": epochs}))
    assert "a line for each group.](figures/learning_curves.png)" in markdown
    validated = [epoch | {"val/acc": 0.8 + epoch["epoch"] / 100} for epoch in epochs]
    runs = [(["model=cnn"], {0: 0.9}, {"history": validated}), (["model=mlp"], {0: 0.9}, {"history": validated[:1]})]
    assert "Means end between 81.00% and 82.00%.]" in text(tmp_path / "three", *runs)


def test_times_of_different_devices_do_not_compare(tmp_path):
    def on(device, fit):
        return {"environment": {"device": device}, "seconds": {"fit": fit}}

    same = text(
        tmp_path / "same", (["model=cnn"], {0: 0.9}, on("cpu", 3.14)), (["model=mlp"], {0: 0.9}, on("cpu", 2.0))
    )
    assert "a point for each of 2 runs, which took 2.0 to 3.1 seconds.](figures/time.png)" in same
    assert "*A point is a run, on `cpu`. The best run" in same
    other = text(tmp_path / "other", (["model=cnn"], {0: 0.9}, on("cpu", 3)), (["model=mlp"], {0: 0.9}, on("GPU", 2)))
    assert "on `GPU`, `cpu`. Times of different devices do not compare. The best run" in other
    assert "on an unknown device." in text(tmp_path / "none", ([], {0: 0.9}, {"environment": {}}))
    assert "## Accuracy against time" not in text(tmp_path / "no", ([], {0: 0.9}, {"seconds": {}}))


def test_the_origin_names_settings_data_machine_and_source(tmp_path):
    environment = {"torch": "2", "lightning": "3", "device": "cpu", "commit": "d" * 40, "dirty": True}
    changes = {"environment": environment}
    runs = [(["model=cnn", "optimizer.lr=0.1", 'name="1"'], {0: 0.9, 3: 0.9}, changes)]
    runs += [(["model=mlp", "optimizer.lr=0.1", 'name="1"'], {0: 0.8}, changes)]
    origin = text(tmp_path, *runs, command="python x").split("## Where the numbers come from\n\n")[1].splitlines()
    assert origin[:-1] == [
        "- 3 finished runs, seeds 0, 3.",
        "- The same in all: `optimizer.lr=0.1`.",
        "- Data: the same in all, fingerprint `sha256:aaaaaaaaaaaa…`.",
        "- Device: `cpu`; `torch 2, Lightning 3`.",
        f"- Source: commit `{'d' * 12}+changes`.",
        "- Every run with its settings and numbers: runs.csv.",
    ]
    assert re.fullmatch(r"- Written \d{4}-\d\d-\d\d \d\d:\d\d UTC by `python x`\.", origin[-1])


def test_the_origin_tells_different_data_and_leaves_out_what_is_unknown(tmp_path):
    runs = [
        ([f"model={model}"], {0: 0.9}, {"data": {"fingerprint": f"sha256:{model * 8}"}, "environment": {}})
        for model in ("mlp", "cnn")
    ]
    markdown = text(tmp_path, *runs)
    assert "Data: **2 different sets**, fingerprint `sha256:cnncnncnncnn…`, `sha256:mlpmlpmlpmlp…`." in markdown
    for unknown in ("Source:", "The same in all", "Written"):
        assert unknown not in markdown


@pytest.mark.usefixtures("study")
def test_runs_left_out_are_listed_and_their_errors_are_harmless(tmp_path):
    error = "ValueError: a | b\n<script>alert(1)</script> `x`"
    write_result(tmp_path / "bad", {"status": "failed", "seed": 0, "overrides": [], "config": {}, "error": error})
    row = table(write_report(collect([tmp_path]), name="t").markdown, "Runs that")[1]
    assert row == [str(tmp_path / "bad"), "failed", "ValueError: a ¦ b <script>alert(1)</script> 'x'"]


# --- failed runs ---


def diverge(folder, *overrides, seeds, error="NonFiniteLossError: the train loss is not finite at batch 6 of epoch 1"):
    for seed in seeds:
        run = make_run(folder / f"{'_'.join(overrides)}{seed}", *overrides, seed=seed)
        change_result(run, status="failed", error=error)


def test_groups_count_their_failures_and_keep_their_row_where_all_failed(tmp_path):
    for seed in range(3):
        make_run(tmp_path / str(seed), "optimizer.lr=0.1", acc=0.9, seed=seed)
    make_run(tmp_path / "survivor", "optimizer.lr=1", acc=0.95, seed=0)
    make_run(tmp_path / "another", "optimizer.lr=1", acc=0.96, seed=3)
    diverge(tmp_path, "optimizer.lr=1", seeds=[1, 2])
    diverge(tmp_path, "optimizer.lr=50", seeds=[0, 1, 2])
    diverge(tmp_path, "optimizer.lr=9", seeds=[0], error="OSError: the disk is full")
    markdown = write_report(collect([tmp_path]), name="t").markdown
    header, *rows = table(markdown, "Groups")
    assert header[:4] == ["optimizer.lr", "n", "failed", "test/acc, %"]
    assert [row[:4] for row in rows] == [
        ["1", "2", "2 of 4 diverged", "95.50 ‡"],
        ["0.1", "3", "", "90.00"],
        ["50", "0", "3 of 3 diverged", ""],
        ["9", "0", "1 of 1 failed", ""],
    ]
    assert markdown.split("\n\n")[1].startswith(
        "`optimizer.lr=1` has the highest mean test accuracy: **95.50%** (n = 2; 2 of 4 diverged)."
    )
    assert "‡ The mean of the runs that finished." in markdown
    assert len(table(markdown, "Runs that")) == 1 + 6
    assert "optimizer.lr=50" not in markdown.split("## Pair by pair")[1].split("##")[0]


def test_a_failed_run_counts_no_longer_once_it_is_run_again_and_finishes(tmp_path):
    diverge(tmp_path / "first", "optimizer.lr=1", seeds=[0, 1])
    make_run(tmp_path / "again", "optimizer.lr=1", seed=0)
    make_run(tmp_path / "other", "optimizer.lr=0.1", seed=0)
    rows = table(write_report(collect([tmp_path]), name="t").markdown, "Groups")[1:]
    assert sorted(row[:3] for row in rows) == [["0.1", "1", ""], ["1", "1", "1 of 2 diverged"]]


def test_settings_and_milestones_have_a_column_and_a_row_for_groups_that_failed(tmp_path):
    tested = [{"epoch": 1, "test/acc": 0.5}, {"epoch": 3, "test/acc": 0.6}]
    for seed in (0, 1):
        make_run(tmp_path / str(seed), "experiment=fast", seed=seed, milestones=tested)
    diverge(tmp_path, "experiment=fast", "optimizer.lr=50", seeds=[0, 1])
    markdown = write_report(collect([tmp_path]), name="t").markdown
    assert table(markdown, "Settings that")[0] == ["group", "optimizer.lr"]
    assert [row[:3] for row in table(markdown, "Groups")[1:]][-1][1:] == ["0", "2 of 2 diverged"]
    markdown = write_report(collect([tmp_path], epochs=[1, 3]), name="t").markdown
    assert [row[1:3] for row in table(markdown, "Groups")[1:]] == [["2", ""]] * 2 + [["0", "2 of 2 diverged"]] * 2
    assert len(table(markdown, "Runs that")) == 1 + 2  # each run once


def test_milestones_have_curves_and_no_tests_over_images(tmp_path):
    tested = [{"epoch": 1, "test/acc": 0.5}, {"epoch": 3, "test/acc": 0.6}]
    for seed in (0, 1):
        make_run(tmp_path / str(seed), seed=seed, milestones=tested)
    report = write_report(collect([tmp_path], epochs=[1, 3]), name="t")
    assert [row[0] for row in table(report.markdown, "Groups")] == ["epochs", "3", "1"]
    assert "no tests over images" in report.markdown
    assert set(report.plots) == {"learning_curves"}


def test_each_curve_has_a_line_of_its_own_also_where_milestones_double_the_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("mnist_exp.analysis.figures.DISTINCT", 4)
    tested = [{"epoch": 1, "test/acc": 0.7}, {"epoch": 3, "test/acc": 0.6}]
    for size in range(1, 5):
        make_run(tmp_path / str(size), f"data.batch_size={size}", milestones=tested)
    _, styles = write_report(collect([tmp_path], epochs=[1, 3]), name="t").plots["learning_curves"].args
    assert len(styles.groups) == 8
    assert styles.distinct == [group for group in styles.groups if "epochs=3" in group]

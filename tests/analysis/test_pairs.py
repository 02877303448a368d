"""Pairs of groups, over seeds and over test images, against numbers by hand and from scipy.

python -m pytest tests/analysis/test_pairs.py -v
"""

import numpy as np
import pytest
import scipy.stats
from made_runs import make_run

from mnist_exp.analysis.pairs import (
    ALL_PAIRS_UP_TO,
    PICTURES_A_ROW,
    Pair,
    compare_pairs,
    different_images,
    disagreements,
    only_right,
    pair_row,
    paired_tests,
    pictured,
    read_predictions,
)
from mnist_exp.analysis.report import write_report
from mnist_exp.analysis.run_folders import Predictions
from mnist_exp.analysis.runs import collect
from mnist_exp.analysis.statistics import Difference, McNemar


def over_seeds(mean=0.0, std=0.0):
    return Difference(mean, std, 3, mean - std, mean + std, 0.5)


def predictions_of(labels, preds):
    return Predictions(np.array(labels), np.array(preds))


def write_answers(folder, labels, preds):
    np.savez(folder / "predictions.npz", labels=np.array(labels), preds=np.array(preds))


@pytest.fixture
def two(tmp_path):
    """Two groups of two seeds; of 6 images labelled 3, `csv` reads 5 and 4, `image` 3 and 3."""
    answers = {
        ("csv", 0): [3, 3, 3, 3, 3, 8],
        ("csv", 1): [3, 3, 3, 3, 5, 8],
        ("image", 0): [3, 3, 9, 8, 8, 3],
        ("image", 1): [3, 9, 9, 3, 8, 3],
    }
    for (data, seed), preds in answers.items():
        folder = make_run(tmp_path / f"{data}{seed}", f"data={data}", acc=preds.count(3) / 6, seed=seed)
        write_answers(folder, [3] * 6, preds)
    return collect([tmp_path])


# --- tests ---


def test_a_pair_is_tested_over_seeds_and_over_the_images_of_each_seed(two):
    [pair] = compare_pairs(two, read_predictions(two))
    assert (pair.a, pair.b) == ("data=csv", "data=image")
    assert pair.over_seeds.mean == pytest.approx((2 / 6 + 1 / 6) / 2)
    assert [test[:2] for test in pair.over_images] == [(3, 1), (2, 1)]
    mid_p = [scipy.stats.binomtest(1, n).pvalue - scipy.stats.binom.pmf(1, n, 0.5) for n in (4, 3)]
    assert [test.p for test in pair.over_images] == pytest.approx(mid_p)
    assert pair.images_p == pytest.approx(sum(mid_p))  # twice the median of two
    assert (pair.t_holm, pair.images_holm) == (pytest.approx(pair.over_seeds.p), pair.images_p)


def test_several_seeds_show_twice_the_median_p_and_one_shows_its_own():
    tests = [McNemar(1, 0, p) for p in (0.01, 0.3, 0.02)]
    assert Pair("a", "b", None, tests).images_p == 0.04
    assert Pair("a", "b", None, tests[:1]).images_p == 0.01
    assert Pair("a", "b", None, [McNemar(1, 1, 0.9)] * 2).images_p == 1
    assert np.isnan(Pair("a", "b", None, []).images_p)


@pytest.mark.parametrize(
    ("difference", "images", "equal"),
    [
        (over_seeds(), [], True),
        (over_seeds(std=np.nan), [], True),  # of one seed
        (over_seeds(), [McNemar(0, 0, 1.0)], True),
        (over_seeds(), [McNemar(1, 0, 1.0)], False),
        (over_seeds(), [McNemar(0, 1, 1.0)], False),
        (over_seeds(mean=0.01), [], False),
        (over_seeds(std=0.01), [], False),
        (None, [], False),
        (None, [McNemar(0, 0, 1.0)], False),
    ],
)
def test_a_pair_is_equal_if_no_seed_and_no_image_tells_it_apart(difference, images, equal):
    assert Pair("a", "b", difference, images).equal is equal


def test_p_values_are_corrected_for_the_number_of_pairs(tmp_path):
    rng = np.random.default_rng(0)
    for seed in range(4):
        for index, model in enumerate(("mlp", "cnn", "fast")):
            make_run(tmp_path / f"{model}{seed}", f"model={model}", acc=0.9 + index / 50 + rng.random() / 50, seed=seed)
    study = collect([tmp_path])
    pairs = compare_pairs(study, read_predictions(study))
    by_p = sorted(pairs, key=lambda pair: pair.over_seeds.p)
    factors = [pair.t_holm / pair.over_seeds.p for pair in by_p]
    assert factors[0] == pytest.approx(3)
    assert all(pair.t_holm >= pair.over_seeds.p for pair in pairs)
    assert all(pair.images_holm >= pair.images_p for pair in pairs)


@pytest.mark.parametrize(("groups", "pairs"), [(3, 3), (ALL_PAIRS_UP_TO, 28), (ALL_PAIRS_UP_TO + 1, 8)])
def test_of_many_groups_only_the_best_is_tested_against_each(tmp_path, groups, pairs):
    for size in range(1, groups + 1):
        make_run(tmp_path / str(size), f"data.batch_size={size}", acc=0.9 - size / 100)
    study = collect([tmp_path])
    found = compare_pairs(study, {})
    assert len(found) == pairs
    assert (found[0].a, found[0].b) == ("data.batch_size=1", "data.batch_size=2")
    section = paired_tests(study, found)
    assert ("A is `data.batch_size=1`" in section) == ("| A | B |" not in section) == (groups > ALL_PAIRS_UP_TO)
    assert f"corrected for testing {pairs} pairs (Holm)" in section


def test_the_best_is_the_first_of_each_pair_also_where_a_lucky_seed_is_ahead(tmp_path):
    make_run(tmp_path / "lucky", "data=csv", acc=0.95)
    for seed in (0, 1):
        make_run(tmp_path / str(seed), acc=0.9, seed=seed)
    study = collect([tmp_path])
    assert [(pair.a, pair.b) for pair in compare_pairs(study, {})] == [("data=image", "data=csv")]


def test_only_predictions_of_common_seeds_and_the_same_test_set_are_compared(two, tmp_path):
    write_answers(tmp_path / "csv1", [4] * 6, [4] * 6)
    [pair] = compare_pairs(two, read_predictions(two))
    assert [test[:2] for test in pair.over_images] == [(3, 1)]
    (tmp_path / "image0" / "predictions.npz").unlink()
    [pair] = compare_pairs(two, read_predictions(two))
    assert pair.over_images == []


def test_predictions_that_break_after_they_were_checked_are_named(two, tmp_path):
    (tmp_path / "csv0" / "predictions.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"cannot read .*csv0/predictions\.npz"):
        read_predictions(two)


# --- what the sections say ---


def test_a_row_has_the_difference_and_both_tests():
    pair = Pair("a", "b", Difference(0.01, 0.002, 3, 0.005, 0.015, 0.012), [McNemar(4, 1, 0.2), McNemar(5, 1, 0.1)])
    assert pair_row(pair._replace(t_holm=0.024, images_holm=0.3)) == [
        "`a`", "`b`", "+1.00", "[+0.50, +1.50]", 3, "0.012 (0.024)", "4.5 / 1", "0.300 (0.300)"
    ]  # fmt: skip
    assert pair_row(Pair("a", "b", None, [])) == ["`a`", "`b`", "–", "–", 0, "–", "–", "–"]


def test_the_section_says_what_was_tested_and_what_was_not(two):
    pairs = compare_pairs(two, read_predictions(two))
    assert "McNemar" in paired_tests(two, pairs)
    without = paired_tests(two, compare_pairs(two, {}))
    assert "McNemar" not in without
    assert "Only the chosen epoch has predictions" not in without
    assert paired_tests(two, []) == ""


def test_milestones_have_no_tests_over_images(tmp_path):
    for seed in (0, 1):
        tested = [{"epoch": 1, "test/acc": 0.5}, {"epoch": 3, "test/acc": 0.6}]
        make_run(tmp_path / str(seed), seed=seed, milestones=tested)
    study = collect([tmp_path], epochs=[1, 3])
    assert "Only the chosen epoch has predictions" in paired_tests(study, compare_pairs(study, {}))


@pytest.mark.parametrize(
    ("image", "csv", "expected"),
    [
        ([0.90, 0.91, 0.92], [0.93, 0.941, 0.949], "other seeds can be expected to agree"),
        ([0.90, 0.94, 0.92], [0.93, 0.92, 0.95], "these seeds do not settle it"),
        ([0.90], [0.93], "too little to say whether other seeds would agree"),
    ],
)
def test_the_headline_claims_no_more_than_the_paired_test(tmp_path, image, csv, expected):
    for data, accuracies in {"image": image, "csv": csv}.items():
        for seed, acc in enumerate(accuracies):
            make_run(tmp_path / f"{data}{seed}", f"data={data}", acc=acc, seed=seed)
    study = collect([tmp_path])
    if len(image) > 1:
        p = scipy.stats.ttest_rel(csv, image).pvalue
        assert (p < 0.05) == (expected == "other seeds can be expected to agree")
    sentences = [
        "other seeds can be expected to agree",
        "these seeds do not settle it",
        "too little to say whether other seeds would agree",
    ]
    text = write_report(study, name="t").markdown
    assert [each for each in sentences if each in text] == [expected]


def test_runs_on_different_images_are_told(tmp_path):
    make_run(tmp_path / "a", "data=csv", data={"fingerprint": "sha256:" + "b" * 64})
    make_run(tmp_path / "b", "data=image")
    make_run(tmp_path / "c", "data=image", seed=1)
    study = collect([tmp_path])
    warning = different_images(study, read_predictions(study))
    assert warning.startswith("**The runs did not all have the same images.**")
    assert "`data=csv`: `sha256:bbbbbbbbbbbb…`; `data=image`: `sha256:aaaaaaaaaaaa…`." in warning
    text = write_report(study, name="t").markdown
    assert text.index("# `t`") < text.index(warning) < text.index("## Verdict")  # the terminal shows it, too


def test_test_sets_with_other_labels_are_told(two, tmp_path):
    assert different_images(two, read_predictions(two)) == ""
    write_answers(tmp_path / "csv1", [4] * 6, [4] * 6)
    assert "were not all tested on the same images" in different_images(two, read_predictions(two))


def test_runs_with_the_same_images_or_none_recorded_are_not_warned_about(tmp_path):
    make_run(tmp_path / "a", "data=csv", data={})
    make_run(tmp_path / "b", "data=image")
    study = collect([tmp_path])
    assert different_images(study, read_predictions(study)) == ""


# --- images they disagree on ---


def test_the_images_that_one_side_alone_gets_right_are_counted_and_listed(two):
    drawn = {}
    text = disagreements(two, ["data=csv", "data=image"], read_predictions(two), lambda _: None, drawn)
    assert "A is `data=csv`, B is `data=image`." in text
    assert "With every common seed (2), A alone gets 1 image right, and B alone gets 1." in text
    assert [line for line in text.splitlines() if line.startswith("| only")] == [
        "| only A is right | 2 | 3 | 9 | 2 |",
        "| only A is right | 1 | 3 | 9 | 1 |",
        "| only A is right | 3 | 3 | 8 | 1 |",
        "| only A is right | 4 | 3 | 8 | 1 |",
        "| only B is right | 5 | 3 | 8 | 2 |",
    ]
    assert "There are no pictures" in text
    assert drawn == {}


def test_nothing_is_said_of_one_group_or_without_predictions(two):
    predictions = read_predictions(two)
    assert disagreements(two, ["data=csv"], predictions, lambda _: None, {}) == ""
    assert disagreements(two, ["data=csv", "data=image"], {}, lambda _: None, {}) == ""


def test_groups_that_agree_on_all_images_have_no_table(two):
    predictions = dict.fromkeys(two.results, predictions_of([3] * 6, [3] * 6))
    text = disagreements(two, ["data=csv", "data=image"], predictions, lambda _: 1 / 0, {})
    assert "A alone gets 0 images right, and B alone gets 0." in text
    assert "| only" not in text


def test_the_clearest_cases_come_first_with_the_commonest_mistake():
    labels = [1] * 12
    others = [predictions_of(labels, [7] * 12), predictions_of(labels, [4] * 12), predictions_of(labels, [4] * 12)]
    lead = np.array([0, 3, 1, 2, -1, 1, 1, 1, 1, 1, 1, 1])
    rows = only_right("side", lead, others)
    assert rows[0] == ["side", 1, 1, 4, 3]
    assert [row[1] for row in rows] == [1, 3, 2, 5, 6, 7, 8, 9, 10, 11][:PICTURES_A_ROW]


def test_pictures_are_drawn_as_far_as_there_are_images():
    images = np.arange(2, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    drawn = {}
    assert "(figures/disagreements.png)" in pictured([["A", 1, 3, 9, 2], ["B", 0, 4, 8, 1]], images, drawn)
    (rows,) = drawn["disagreements"].args
    assert {side: (each.label, each.answer) for side, [each] in rows.items()} == {"A": (3, 9), "B": (4, 8)}
    assert np.array_equal(rows["A"][0].image, images[1])
    drawn.clear()
    assert "There are no pictures" in pictured([["A", 2, 3, 9, 2]], images, drawn)  # an image that is not there
    assert "There are no pictures" in pictured([["A", 0, 3, 9, 2]], None, drawn)
    assert drawn == {}

"""Pairs of groups, over seeds and over test images, against numbers by hand and from scipy.

python -m pytest tests/analysis/test_pairs.py -v
"""

import numpy as np
import pytest
import scipy.stats
from made_runs import make_run, make_two_groups, write_answers
from statsmodels.stats.multitest import multipletests

from mnist_exp.analysis.pairs import (
    ALL_ROWS_UP_TO,
    Pair,
    compare_pairs,
    correlation_of_seeds,
    different_images,
    pair_row,
    paired_tests,
    read_predictions,
)
from mnist_exp.analysis.report import write_report
from mnist_exp.analysis.runs import collect
from mnist_exp.analysis.statistics import Difference, McNemar, mcnemar_over_seeds


def difference_of(mean, error, *, n=(3, 3), df=4.0):
    return Difference(mean, n, error, df, 2 * error, df)


def pair_of(*, tests=(), difference=None, equal=False, **p_values):
    return Pair("a", "b", equal, difference or difference_of(0.01, 0.002), list(tests), 0.005, **p_values)


@pytest.fixture
def two(tmp_path):
    make_two_groups(tmp_path)
    return collect([tmp_path])


# --- tests ---


def test_a_pair_is_tested_over_seeds_and_over_the_images_of_each_seed(two):
    [pair] = compare_pairs(two, read_predictions(two))
    assert (pair.a, pair.b, pair.equal) == ("data=csv", "data=image", False)
    std = np.std([5 / 6, 4 / 6], ddof=1)  # image has 3 right with each seed
    welch = scipy.stats.ttest_ind_from_stats(4.5 / 6, std, 2, 3 / 6, 0, 2, equal_var=False)
    assert (pair.over_seeds.mean, pair.over_seeds.p) == pytest.approx((1.5 / 6, welch.pvalue))
    assert [test[:2] for test in pair.over_images] == [(3, 1), (2, 1)]
    mid_p = [scipy.stats.binomtest(1, n).pvalue - scipy.stats.binom.pmf(1, n, 0.5) for n in (4, 3)]
    assert [test.p for test in pair.over_images] == pytest.approx(mid_p)
    assert pair.images_p == pytest.approx(sum(mid_p))  # twice the median of two
    assert (pair.p, pair.equivalence_p) == (pair.over_seeds.p, pair.over_seeds.equivalence_p(0.005))


def noisy_study(folder, *, models=("mlp", "cnn", "fast"), seeds=6, alike=0.0, noise=0.01):
    """Groups a point apart. alike: the share of the noise that a seed brings to all groups."""
    rng = np.random.default_rng(0)
    for seed in range(seeds):
        common = rng.normal()
        for index, model in enumerate(models):
            acc = 0.9 + index / 100 + noise * (alike * common + (1 - alike) * rng.normal())
            make_run(folder / f"{model}{seed}", f"model={model}", acc=round(acc, 4), seed=seed)
    return collect([folder])


@pytest.mark.parametrize(("alike", "n"), [(0.0, [(6, 6)] * 3), (0.9, [(6,)] * 3)])
def test_seeds_are_paired_where_the_same_seeds_do_alike(tmp_path, alike, n):
    study = noisy_study(tmp_path, alike=alike)
    pairs = compare_pairs(study, {})
    assert [pair.over_seeds.n for pair in pairs] == n
    section = paired_tests(study, pairs)
    assert ("| 6 pairs |" if alike else "| 6 + 6 |") in section
    r = correlation_of_seeds(study).r
    assert f"correlate by r = {r:.2f}".replace("-", "−") in section
    assert (r > 0.8) == (alike > 0.5)


def test_epochs_of_a_run_are_paired_whatever_the_seeds_do(tmp_path):
    for seed, (third, first) in enumerate([(0.6, 0.5), (0.7, 0.4), (0.65, 0.55)]):
        milestones = [{"epoch": 1, "test/acc": first}, {"epoch": 3, "test/acc": third}]
        make_run(tmp_path / str(seed), seed=seed, milestones=milestones)
    study = collect([tmp_path], epochs=[1, 3])
    [pair] = compare_pairs(study, {})
    assert pair.over_seeds.n == (3,)
    assert pair.over_seeds.p == pytest.approx(scipy.stats.ttest_rel([0.6, 0.7, 0.65], [0.5, 0.4, 0.55]).pvalue)


def test_groups_are_equal_if_no_seed_and_no_image_tells_them_apart(tmp_path):
    for seed in (0, 1):
        for data in ("csv", "image"):
            make_run(tmp_path / f"{data}{seed}", f"data={data}", acc=0.9 + seed / 100, seed=seed)
    study = collect([tmp_path])
    [pair] = compare_pairs(study, read_predictions(study))
    assert (pair.equal, pair.verdict, pair.over_seeds.interval) == (True, "equal", (0, 0))
    assert pair_row(pair)[2:] == ["0.00", "[0.00, 0.00]", "2 pairs", "equal", "–", "–", "–", "0 / 0", "–"]
    labels = np.arange(1000) % 10
    preds = labels.copy()
    preds[-100:] = (preds[-100:] + 1) % 10  # other mistakes, as many
    write_answers(tmp_path / "csv0", labels, preds)
    [pair] = compare_pairs(study, read_predictions(study))
    assert (pair.equal, pair.verdict) == (False, "not settled")
    make_run(tmp_path / "csv0", "data=csv", acc=0.91)
    [pair] = compare_pairs(collect([tmp_path]), {})
    assert not pair.equal


def test_p_values_are_corrected_for_all_pairs_and_equal_groups_count_once(tmp_path):
    study = noisy_study(tmp_path)
    pairs = compare_pairs(study, read_predictions(study))
    for corrected, raw in (
        ([pair.p for pair in pairs], [pair.over_seeds.p for pair in pairs]),
        ([pair.equivalence_p for pair in pairs], [pair.over_seeds.equivalence_p(0.005) for pair in pairs]),
        ([pair.images_p for pair in pairs], [mcnemar_over_seeds(pair.over_images) for pair in pairs]),
    ):
        assert corrected == pytest.approx(multipletests(raw, method="holm")[1])
    for folder in sorted(tmp_path.glob("mlp*")):  # the same runs, from a CSV
        acc, seed = study.frame.set_index("run").loc[str(folder), ["test/acc", "seed"]]
        make_run(tmp_path / f"csv{folder.name}", "model=mlp", "data=csv", acc=acc, seed=int(seed))
    again = collect([tmp_path])
    assert sorted({pair.p for pair in compare_pairs(again, {}) if not pair.equal}) == pytest.approx(
        sorted(pair.p for pair in pairs)
    )
    assert "corrected for 3 tests" in paired_tests(again, compare_pairs(again, {}))


@pytest.mark.parametrize(("groups", "rows"), [(3, 3), (ALL_ROWS_UP_TO, 10), (ALL_ROWS_UP_TO + 1, 5)])
def test_of_many_groups_only_the_best_is_shown_against_each_but_all_pairs_count(tmp_path, groups, rows):
    for size in range(1, groups + 1):
        make_run(tmp_path / str(size), f"data.batch_size={size}", acc=0.9 - size / 100)
    study = collect([tmp_path])
    found = compare_pairs(study, {})
    assert len(found) == groups * (groups - 1) / 2
    assert (found[0].a, found[0].b) == ("data.batch_size=1", "data.batch_size=2")
    section = paired_tests(study, found)
    assert ("A is `data.batch_size=1`" in section) == ("| A | B |" not in section) == (groups > ALL_ROWS_UP_TO)
    assert sum(line.startswith("| `") for line in section.splitlines()) == rows
    assert f"corrected for {len(found)} tests, all pairs of groups (Holm)" in section


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


def test_a_row_has_the_difference_and_all_tests():
    tests = [McNemar(4, 1, 0.2), McNemar(5, 1, 0.1)]
    pair = pair_of(tests=tests, p=0.024, equivalence_p=0.9, images_p=0.35)
    low, high = (100 * each for each in pair.over_seeds.interval)
    raw, margin = pair.over_seeds.p, pair.over_seeds.equivalence_p(0.005)
    assert pair_row(pair) == [
        "`a`", "`b`", "+1.00", f"[{low:+.2f}, {high:+.2f}]", "3 + 3", "A is better", f"{raw:.3f} (0.024)",
        f"{margin:.3f} (0.900)", f"{100 * pair.over_seeds.detectable:.2f}", "4.5 / 1", "0.300 (0.350)",
    ]  # fmt: skip
    one_run = pair_of(difference=Difference(0.01, (1, 3), *[np.nan] * 4))
    assert pair_row(one_run) == ["`a`", "`b`", "+1.00", "–", "1 + 3", "–", "–", "–", "–", "–", "–"]


@pytest.mark.parametrize(
    ("mean", "p", "equivalence_p", "verdict"),
    [
        (0.01, 0.01, 0.9, "A is better"),
        (-0.01, 0.01, 0.9, "B is better"),
        (0.001, 0.01, 0.04, "A is better, within ±0.5"),
        (0.001, 0.2, 0.04, "within ±0.5"),
        (0.001, 0.05, 0.05, "not settled"),
        (0.001, np.nan, np.nan, "–"),
    ],
)
def test_the_verdict_goes_by_the_corrected_tests(mean, p, equivalence_p, verdict):
    assert pair_of(difference=difference_of(mean, 0.001), p=p, equivalence_p=equivalence_p).verdict == verdict


def test_seeds_that_contradict_each_other_are_flagged():
    a_better, b_better, neither = McNemar(20, 2, 0.001), McNemar(1, 15, 0.002), McNemar(1, 4, 0.3)
    assert pair_of(tests=[a_better, b_better, a_better]).contradicts_itself
    assert (
        pair_row(pair_of(tests=[a_better, b_better], images_p=1.0))[-1] == "1.000 (1.000), seeds contradict each other"
    )
    for tests in ([a_better, neither], [a_better] * 3, [neither], []):
        assert not pair_of(tests=tests).contradicts_itself


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

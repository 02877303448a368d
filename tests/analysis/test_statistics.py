"""The statistics against scipy, statsmodels, torchmetrics, published examples and simulations.

python -m pytest tests/analysis/test_statistics.py -v
"""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_ind, ttost_paired
from torchmetrics.functional.classification import multiclass_calibration_error

from mnist_exp.analysis.statistics import (
    Correlation,
    Difference,
    McNemar,
    confusion_counts,
    expected_calibration_error,
    holm,
    mcnemar,
    mcnemar_over_seeds,
    paired_difference,
    seed_correlation,
    summarise,
    welch_difference,
    wilson_interval,
)

# --- over seeds ---


def test_summary_agrees_with_scipy():
    values = [0.98, 0.99, 0.97, 0.985]
    summary = summarise(values)
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (summary.low, summary.high) == pytest.approx(interval)
    assert summary[:3] == pytest.approx((np.mean(values), scipy.stats.tstd(values), 4))


def test_one_value_has_a_mean_and_no_interval():
    mean, std, n, low, high = summarise([0.98])
    assert (mean, n) == (0.98, 1)
    assert np.isnan([std, low, high]).all()


def test_no_value_cannot_be_summarised():
    with pytest.raises(ValueError, match="no value"):
        summarise([])


A, B = [0.981, 0.974, 0.985, 0.979, 0.99], [0.972, 0.965, 0.961]
SEEDS = dict(enumerate(A))


def test_paired_difference_agrees_with_scipy_on_the_seeds_in_common():
    a, b = {0: 0.98, 1: 0.97, 2: 0.99, 7: 0.1}, {2: 0.96, 1: 0.965, 0: 0.96, 8: 0.2, 7: np.nan}
    difference = paired_difference(a, pd.Series(b))
    expected = scipy.stats.ttest_rel([0.98, 0.97, 0.99], [0.96, 0.965, 0.96])
    assert difference.p == pytest.approx(expected.pvalue)
    assert difference.interval == pytest.approx(expected.confidence_interval(0.95))
    assert (difference.mean, difference.n) == (pytest.approx(0.055 / 3), (3,))


def test_welch_difference_agrees_with_scipy():
    difference = welch_difference(A, B)
    expected = scipy.stats.ttest_ind(A, B, equal_var=False)
    assert (difference.p, difference.df) == pytest.approx((expected.pvalue, expected.df))
    assert difference.interval == pytest.approx(expected.confidence_interval(0.95))
    assert (difference.mean, difference.n) == (pytest.approx(np.mean(A) - np.mean(B)), (5, 3))


@pytest.mark.parametrize("margin", [0.01, 0.02, 0.05])
def test_equivalence_agrees_with_statsmodels(margin):
    p, *_ = ttost_ind(np.array(A), np.array(B), -margin, margin, usevar="unequal")
    assert welch_difference(A, B).equivalence_p(margin) == pytest.approx(p)
    assert welch_difference(B, A).equivalence_p(margin) == pytest.approx(p)
    p, *_ = ttost_paired(np.array(A[:3]), np.array(B), -margin, margin)
    assert paired_difference(SEEDS, dict(enumerate(B))).equivalence_p(margin) == pytest.approx(p)


@pytest.mark.parametrize("n", [3, 5, 20])
def test_the_detectable_difference_has_the_power_that_statsmodels_computes(n):
    a = dict(enumerate(np.random.default_rng(n).normal(0.98, 0.001, n)))
    difference = paired_difference(a, dict.fromkeys(range(n), 0.9))
    std = difference.error * np.sqrt(n)
    assert TTestPower().power(difference.detectable / std, n, alpha=0.05) == pytest.approx(0.8, abs=1e-4)
    welch = welch_difference(A, B)
    upper = scipy.stats.t.ppf(0.975, welch.df)
    assert scipy.stats.nct.sf(upper, welch.df, welch.detectable / welch.error) == pytest.approx(0.8)


def test_the_prediction_interval_agrees_with_statsmodels():
    fit = OLS(np.array(A) - 0.9, np.ones(5)).fit()
    expected = fit.get_prediction([1.0]).conf_int(obs=True)[0]
    assert paired_difference(SEEDS, dict.fromkeys(SEEDS, 0.9)).prediction == pytest.approx(expected)
    # By hand, for independent runs: each of the two new runs varies, and so does each mean.
    variances = np.array([np.var(A, ddof=1) * (1 + 1 / 5), np.var(B, ddof=1) * (1 + 1 / 3)])
    df = variances.sum() ** 2 / (variances**2 / [4, 2]).sum()
    half_width = scipy.stats.t.ppf(0.975, df) * np.sqrt(variances.sum())
    mean = np.mean(A) - np.mean(B)
    assert welch_difference(A, B).prediction == pytest.approx((mean - half_width, mean + half_width))


def test_equal_runs_differ_by_zero_with_p_one():
    a = {0: 0.98, 1: 0.97}
    difference = paired_difference(a, a)
    assert (difference.mean, difference.error, difference.p, difference.equivalence_p(0.001)) == (0, 0, 1, 0)
    assert difference.interval == difference.prediction == (0, 0)


@pytest.mark.parametrize(
    "difference",
    [
        paired_difference({0: 0.98, 1: 0.99}, {0: 0.97}),
        paired_difference({0: 0.98, 1: 0.99}, {0: 0.97, 1: 0.98}),
        welch_difference([0.98, 0.99], [0.975]),
        welch_difference([0.98, 0.98], [0.97, 0.97]),
    ],
    ids=["one pair", "constant difference", "one run", "runs that agree"],
)
def test_a_difference_whose_spread_is_unknown_has_only_a_mean(difference):
    assert difference.mean == pytest.approx(0.01)
    rest = [difference.p, difference.equivalence_p(0.005), difference.detectable]
    assert np.isnan([*rest, *difference.interval, *difference.prediction]).all()


def test_a_difference_that_is_constant_but_for_rounding_has_no_p_value():
    a = {seed: 0.1 * seed + 0.3 for seed in range(1, 8)}
    b = {seed: 0.1 * seed for seed in range(1, 8)}
    differences = np.array([a[seed] - b[seed] for seed in a])
    assert 0 < np.ptp(differences) < 1e-15
    assert np.isnan(paired_difference(a, b).p)
    assert paired_difference(a, b | {3: 0.3001}).p < 1e-6


def test_without_a_value_there_is_no_difference():
    with pytest.raises(ValueError, match="a finished run in each group"):
        welch_difference([], [0.9])


def test_the_correlation_of_seeds_is_the_mean_over_pairs_of_groups():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 3)), columns=["a", "b", "c"])
    values.loc[[0, 1], "c"] = np.nan
    r = [scipy.stats.pearsonr(*values[[x, y]].dropna().to_numpy().T)[0] for x, y in ("ab", "ac", "bc")]
    correlation = seed_correlation(values)
    assert correlation.r == pytest.approx(np.mean(r))
    assert correlation.p == pytest.approx(scipy.stats.norm.sf(np.mean(r) / (np.sqrt(1 / 5 + 2 / 3) / 3)))
    assert seed_correlation(values.assign(d=values["a"])) == correlation  # the same runs once more
    assert np.isnan(seed_correlation(values[["a"]])).all()
    assert np.isnan(seed_correlation(values.head(1))).all()


@pytest.mark.parametrize(("r", "p", "n", "pairs"), [
    (0.9, 0.01, 3, True), (0.5, 0.01, 3, False), (0.5, 0.01, 5, True), (0.9, 0.06, 5, False),
    (0.9, 0.01, 1, False), (np.nan, np.nan, 5, False),
])  # fmt: skip
def test_pairs_pay_where_the_correlation_outweighs_the_lost_degrees_of_freedom(r, p, n, pairs):
    assert Correlation(r, p).favours_pairs(n) is pairs


def test_groups_without_a_common_seed_are_refused():
    with pytest.raises(ValueError, match=r"one group has \[0, 1\], the other \[2\]"):
        paired_difference({0: 0.98, 1: 0.97}, {2: 0.98})


def test_a_seed_that_occurs_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        paired_difference(pd.Series([0.98, 0.97], index=[0, 0]), {0: 0.98})


def test_holm_on_a_worked_example_leaves_nan_out():
    corrected = holm([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.06, 0.06, 0.02])


def test_holm_agrees_with_statsmodels():
    p = np.random.default_rng(0).random(7) / 20
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    assert p.max() < 0.05  # the input is left as it was


def test_holm_never_exceeds_one_and_takes_an_empty_list():
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []


# --- over test images ---


@pytest.mark.parametrize(("correct", "n"), [(9_912, 10_000), (0, 10), (10, 10), (3, 7)])
def test_wilson_interval_agrees_with_scipy(correct, n):
    expected = scipy.stats.binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (11, 10), (-1, 10)])
def test_wilson_interval_refuses_impossible_counts(correct, n):
    with pytest.raises(ValueError, match="cannot be correct"):
        wilson_interval(correct, n)


def test_mcnemar_gives_the_published_mid_p():
    """Fagerland et al. 2013, table 1: 21 children, 1 discordant pair one way and 7 the other, p = 0.039."""
    before = [True] * 2 + [False] * 19
    after = [True, False] + [True] * 7 + [False] * 12
    assert mcnemar(before, after) == (1, 7, pytest.approx(10 / 256))


def test_mcnemar_is_the_exact_test_less_the_probability_of_the_outcome():
    a, b = np.repeat([[1, 0], [0, 1]], [40, 65], axis=1)
    exact = scipy.stats.binomtest(40, 105).pvalue
    assert mcnemar(a, b).p == pytest.approx(exact - scipy.stats.binom.pmf(40, 105, 0.5))
    assert mcnemar(b, a) == (65, 40, mcnemar(a, b).p)


@pytest.mark.parametrize(("only_a", "only_b", "p"), [(0, 0, 1), (3, 3, 1), (0, 4, 1 / 16)])
def test_mcnemar_by_hand(only_a, only_b, p):
    a = [True] * 5 + [True] * only_a + [False] * only_b
    b = [True] * 5 + [False] * only_a + [True] * only_b
    assert mcnemar(a, b) == (only_a, only_b, pytest.approx(p))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (1, 1), (2, 3), (1, 5), (4, 2), (0, 7)])
def test_mcnemar_counts_tosses_of_a_coin(only_a, only_b):
    """Of all ways in which the n images could fall: those that are further from a tie, and half of those as far."""
    n, distance = only_a + only_b, abs(only_a - only_b)
    distances = [abs(2 * sum(tosses) - n) for tosses in product((0, 1), repeat=n)]
    further, as_far = (sum(each > distance for each in distances), sum(each == distance for each in distances))
    p = (further + (as_far / 2 if distance else as_far)) / 2**n  # a tie is no evidence at all: p = 1
    a = [True] * only_a + [False] * only_b
    assert mcnemar(a, np.logical_not(a)) == (only_a, only_b, pytest.approx(p))


def test_mcnemar_agrees_with_statsmodels():
    a, b = np.repeat([[1, 0], [0, 1]], [40, 65], axis=1)
    exact = statsmodels_mcnemar([[0, 40], [65, 0]], exact=True).pvalue
    assert mcnemar(a, b).p == pytest.approx(exact - scipy.stats.binom.pmf(40, 105, 0.5))


@pytest.mark.parametrize(("only_a", "only_b"), [(40, 65), (65, 40), (3, 3), (0, 0)])
def test_the_one_sided_test_is_half_of_the_mid_p_on_its_own_side(only_a, only_b):
    a = np.repeat([1, 0], [only_a, only_b])
    at_most_b = scipy.stats.binom.cdf(only_b, only_a + only_b, 0.5)
    expected = at_most_b - scipy.stats.binom.pmf(only_b, only_a + only_b, 0.5) / 2
    assert mcnemar(a, 1 - a).p_a_better == pytest.approx(expected)


def test_the_tests_of_several_seeds_are_combined_in_one_direction():
    ahead = [McNemar(9, 1, p) for p in (0.01, 0.3, 0.02)]
    assert mcnemar_over_seeds(ahead) == pytest.approx(0.04)  # twice the median
    assert mcnemar_over_seeds(ahead[:1]) == 0.01
    assert mcnemar_over_seeds([McNemar(1, 1, 0.9)] * 2) == 1
    assert mcnemar_over_seeds([McNemar(9, 1, 0.02), McNemar(1, 9, 0.02)]) == 1  # twice their median would be 0.04
    assert np.isnan(mcnemar_over_seeds([]))


def test_mcnemar_refuses_different_images():
    with pytest.raises(ValueError, match="same images"):
        mcnemar([True, False], [True])


# --- simulations: intervals cover what they say, and tests err as rarely as they say ---


def groups_of_runs(*, groups, seeds, alike, stds, trials=1000):
    """Accuracies whose means are all equal, (trials, groups, seeds). alike: the correlation of a seed's runs."""
    rng = np.random.default_rng(0)
    of_seed, of_run = rng.normal(size=(trials, 1, seeds)), rng.normal(size=(trials, groups, seeds))
    noise = np.sqrt(alike) * of_seed + np.sqrt(1 - alike) * of_run
    return 0.9 + 0.001 * noise * np.resize(stds, groups)[:, None]


def chosen_difference(values, a=0, b=1):
    """As `compare` takes it: in pairs, where the seeds' correlation favours that. values: (groups, seeds)."""
    n = values.shape[1]
    if seed_correlation(pd.DataFrame(values.T)).favours_pairs(n):
        return paired_difference(dict(enumerate(values[a])), dict(enumerate(values[b])))
    return welch_difference(values[a], values[b])


@pytest.mark.parametrize("alike", [0.0, 0.9])
@pytest.mark.parametrize(("groups", "seeds"), [(2, 3), (2, 6), (6, 4)])
def test_intervals_cover_the_difference_whether_seeds_are_alike_or_not(groups, seeds, alike):
    trials = groups_of_runs(groups=groups, seeds=seeds, alike=alike, stds=[1.0, 2.0], trials=500)
    low, high = np.transpose([chosen_difference(values).interval for values in trials])
    assert np.mean((low <= 0) & (high >= 0)) > 0.92  # 0.95 less three standard errors of the simulation


@pytest.mark.parametrize("stds", [[1.0], [1.0, 5.0]])
def test_the_next_runs_fall_into_the_prediction_interval(stds):
    trials = groups_of_runs(groups=2, seeds=6, alike=0.0, stds=stds)
    hits = []
    for values in trials:
        low, high = welch_difference(*values[:, :5]).prediction
        hits.append(low <= values[0, 5] - values[1, 5] <= high)
    assert 0.93 < np.mean(hits) < 0.975


def test_means_that_differ_by_the_margin_are_rarely_called_equal():
    trials = groups_of_runs(groups=2, seeds=5, alike=0.0, stds=[1.0, 2.0], trials=2000)
    found = np.mean([welch_difference(a + 0.005, b).equivalence_p(0.005) < 0.05 for a, b in trials])
    assert 0.035 < found < 0.065


def test_the_detectable_difference_is_found_in_four_of_five_studies():
    trials = groups_of_runs(groups=2, seeds=5, alike=0.0, stds=[1.0], trials=2000)
    std = np.sqrt(2 / 5) * 0.001
    detectable = Difference(0.0, (5, 5), std, 8, np.nan, np.nan).detectable
    assert np.mean([welch_difference(a + detectable, b).p < 0.05 for a, b in trials]) == pytest.approx(0.8, abs=0.04)


def test_with_many_equal_groups_one_is_rarely_called_better():
    trials = groups_of_runs(groups=9, seeds=5, alike=0.0, stds=[1.0, 2.0, 3.0], trials=200)
    wrong = [holm([welch_difference(a, b).p for a, b in combinations(values, 2)]).min() < 0.05 for values in trials]
    assert np.mean(wrong) < 0.08


@pytest.mark.parametrize("seeds", [3, 4])
def test_networks_that_are_equally_good_on_the_images_are_rarely_told_apart(seeds):
    """The seeds' networks share images that are hard for a, and others that are hard for b, equally many."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        hard = rng.choice(3, size=500, p=[0.9, 0.05, 0.05])
        tests = []
        for _ in range(seeds):
            miss = rng.random(500) < 0.8
            tests.append(mcnemar(~((hard == 1) & miss), ~((hard == 2) & miss)))
        found.append(mcnemar_over_seeds(tests) < 0.05)
    assert np.mean(found) < 0.06


# --- calibration ---


@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_error_equals_torchmetrics(bins):
    probs = torch.randn(2000, 10, generator=torch.Generator().manual_seed(0)).mul(3).softmax(dim=1)
    labels = torch.arange(2000) % 10
    error, table = expected_calibration_error(probs, labels, bins=bins)
    expected = multiclass_calibration_error(probs, labels, num_classes=10, n_bins=bins, norm="l1")
    assert error == pytest.approx(expected.item(), abs=1e-6)
    assert (len(table), table["count"].sum()) == (bins, 2000)


def test_reliability_table_by_hand():
    probs = [[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.2, 0.8, 0.0], [0.1, 0.1, 0.8]]
    error, table = expected_calibration_error(probs, [0, 0, 1, 1], bins=2)
    expected = {
        "low": [0, 0.5],
        "high": [0.5, 1],
        "confidence": [0.5, 2.6 / 3],
        "accuracy": [1, 2 / 3],
        "count": [1, 3],
    }
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected), check_dtype=False, check_names=False)
    assert error == pytest.approx((0.5 + 0.6) / 4)


def test_an_empty_bin_has_no_accuracy_and_no_weight():
    error, table = expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1], bins=10)
    assert error == pytest.approx(0.4)
    assert table.loc[table["count"] == 0, ["confidence", "accuracy"]].isna().all(axis=None)


@pytest.mark.parametrize("probs", [[[2.0, -1.0]], [[np.nan, 0.5]], np.empty((0, 2))])
def test_calibration_needs_probabilities(probs):
    with pytest.raises(ValueError, match="needs probabilities"):
        expected_calibration_error(probs, [0] * len(probs))


def test_answers_are_counted_by_label_and_answer():
    counts = confusion_counts([3, 3, 5, 3], [3, 3, 3, 9])
    assert counts[3, 3] == 2
    assert counts[3, 5] == 1  # a 3 that was read as a 5
    assert counts[9, 3] == 1
    assert counts.sum() == 4

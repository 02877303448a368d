"""The statistics against scipy, torchmetrics, published examples and hand-made factorials.

python -m pytest tests/analysis/test_statistics.py -v
"""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from mnist_exp.analysis.statistics import (
    Factorial,
    confusion_counts,
    expected_calibration_error,
    holm,
    mcnemar,
    missing_runs,
    paired_difference,
    summarise,
    wilson_interval,
)


def sweep(metric, *, factors, seeds=(0,)):
    """A frame with one run for each seed and each setting x of 0/1 levels; its test/acc is metric(x, seed)."""
    runs = [(*x, seed, metric(x, seed)) for seed in seeds for x in product((0, 1), repeat=len(factors))]
    return pd.DataFrame(runs, columns=[*factors, "seed", "test/acc"])


def cube_of(frame):
    factors = frame.columns.drop(["seed", "test/acc"])
    return Factorial.from_runs(frame, value="test/acc", start=dict.fromkeys(factors, 0), end=dict.fromkeys(factors, 1))


def means(summaries):
    return {key: summary.mean for key, summary in summaries.items()}


@pytest.fixture
def random_cube():
    generator = np.random.default_rng(0)
    return cube_of(sweep(lambda *_: generator.random(), factors="abcde", seeds=(0, 1, 2)))


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


def test_paired_difference_agrees_with_scipy_on_the_seeds_in_common():
    a, b = {0: 0.98, 1: 0.97, 2: 0.99, 7: 0.1}, {2: 0.96, 1: 0.965, 0: 0.96, 8: 0.2, 7: np.nan}
    difference = paired_difference(a, pd.Series(b))
    expected = scipy.stats.ttest_rel([0.98, 0.97, 0.99], [0.96, 0.965, 0.96])
    assert difference.p == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == pytest.approx(expected.confidence_interval(0.95))
    assert (difference.mean, difference.n) == (pytest.approx(0.055 / 3), 3)


def test_equal_runs_differ_by_zero_with_p_one():
    difference = paired_difference({0: 0.98, 1: 0.97}, {0: 0.98, 1: 0.97})
    assert (difference.mean, difference.std, difference.p) == (0, 0, 1)


@pytest.mark.parametrize("b", [{0: 0.97}, {0: 0.97, 1: 0.98, 2: 0.96}], ids=["one pair", "constant difference"])
def test_a_difference_that_cannot_vary_has_no_p_value(b):
    difference = paired_difference({0: 0.98, 1: 0.99, 2: 0.97}, b)
    assert difference.mean == pytest.approx(0.01)
    assert np.isnan(difference.p)


def test_a_difference_that_is_constant_but_for_rounding_has_no_p_value():
    a = {seed: 0.1 * seed + 0.3 for seed in range(1, 8)}
    b = {seed: 0.1 * seed for seed in range(1, 8)}
    differences = np.array([a[seed] - b[seed] for seed in a])
    assert 0 < np.ptp(differences) < 1e-15
    assert np.isnan(paired_difference(a, b).p)
    assert paired_difference(a, b | {3: 0.3001}).p < 1e-6


def test_groups_without_a_common_seed_are_refused():
    with pytest.raises(ValueError, match=r"one group has \[0, 1\], the other \[2\]"):
        paired_difference({0: 0.98, 1: 0.97}, {2: 0.98})


def test_a_seed_that_occurs_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        paired_difference(pd.Series([0.98, 0.97], index=[0, 0]), {0: 0.98})


def test_holm_on_a_worked_example_leaves_nan_out():
    corrected = holm([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.06, 0.06, 0.02])


def test_holm_is_a_step_down_by_hand():
    """Each p-value by rank times how many are left; none smaller than the one before it."""
    p = np.random.default_rng(0).random(7) / 20
    expected, largest = {}, 0.0
    for rank, index in enumerate(np.argsort(p)):
        largest = max(largest, min(1.0, (7 - rank) * p[index]))
        expected[index] = largest
    np.testing.assert_allclose(holm(p), [expected[index] for index in range(7)])
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


def test_mcnemar_refuses_different_images():
    with pytest.raises(ValueError, match="same images"):
        mcnemar([True, False], [True])


# --- factorial ---


def test_additive_factors_get_their_own_terms_and_no_interaction():
    terms = {"data": 0.01, "model": 0.02, "epochs": -0.005}
    cube = cube_of(sweep(lambda x, _: 0.9 + np.dot(x, list(terms.values())), factors=terms))
    assert means(cube.shapley()) == pytest.approx(terms)
    assert means(cube.main_effects()) == pytest.approx(terms)
    assert list(means(cube.interactions()).values()) == pytest.approx([0, 0, 0])


def test_a_pure_interaction_is_split_evenly():
    cube = cube_of(sweep(lambda x, _: x[0] * x[1], factors=["data", "model"]))
    assert means(cube.shapley()) == means(cube.main_effects()) == {"data": 0.5, "model": 0.5}
    assert means(cube.interactions()) == {("data", "model"): 0.5}


def test_effects_of_the_pilot_plant():
    """The 2^3 example of Box, Hunter & Hunter 2005, chapter 5: K(atalyst) C(oncentration) T(emperature), yield."""
    yields = np.reshape([60, 72, 54, 68, 52, 83, 45, 80], (2, 2, 2))
    cube = cube_of(sweep(lambda x, _: yields[x], factors="KCT"))
    assert means(cube.main_effects()) == {"K": 1.5, "C": -5, "T": 23}
    assert means(cube.interactions()) == {("K", "C"): 0, ("K", "T"): 10, ("C", "T"): 1.5}


def test_shapley_equals_the_average_over_all_orders(random_cube):
    added = {factor: [] for factor in random_cube.factors}
    for order in permutations(range(5)):
        x = [0] * 5
        for axis in order:
            before = random_cube.values[:, *x]
            x[axis] = 1
            added[random_cube.factors[axis]].append(random_cube.values[:, *x] - before)
    for factor, share in random_cube.shapley().items():
        assert share == pytest.approx(summarise(np.mean(added[factor], axis=0)))


def test_shapley_shares_add_up_to_the_gap(random_cube):
    assert sum(means(random_cube.shapley()).values()) == pytest.approx(random_cube.gap().mean, abs=1e-9)


def test_symmetric_factors_get_equal_shares_and_a_dummy_gets_none():
    cube = cube_of(sweep(lambda x, _: sum(x[:3]) + x[0] * x[1] * x[2], factors=["data", "model", "lr", "dummy"]))
    assert means(cube.shapley()) == pytest.approx({"data": 4 / 3, "model": 4 / 3, "lr": 4 / 3, "dummy": 0})


def test_effects_are_computed_by_seed_and_then_summarised():
    cube = cube_of(sweep(lambda x, seed: 10 * seed + x[0] * (1 + seed), factors=["data", "dummy"], seeds=(0, 1, 2)))
    expected = pytest.approx(summarise([1, 2, 3]))
    assert cube.gap() == expected
    assert cube.shapley()["data"] == expected
    assert cube.main_effects()["data"] == expected


def test_one_factor_and_one_seed_give_the_gap_without_an_interval():
    cube = cube_of(sweep(lambda x, _: 0.5 * x[0], factors=["data"]))
    assert means(cube.shapley()) == means(cube.main_effects()) == {"data": cube.gap().mean} == {"data": 0.5}
    assert np.isnan(cube.shapley()["data"].low)
    assert cube.interactions() == {}


def test_the_corners_pick_two_of_many_levels():
    runs = [(size, seed, seed + 1 / size) for size in (16, 64, 256) for seed in (0, 1)]
    frame = pd.DataFrame(runs, columns=["batch_size", "seed", "test/acc"])
    cube = Factorial.from_runs(frame, value="test/acc", start={"batch_size": 256}, end={"batch_size": 16})
    assert means(cube.shapley()) == pytest.approx({"batch_size": 1 / 16 - 1 / 256})


def test_none_is_a_level():
    frame = pd.DataFrame({"augment": [None, "shift"], "seed": [0, 0], "test/acc": [0.98, 0.99]})
    cube = Factorial.from_runs(frame, value="test/acc", start={"augment": None}, end={"augment": "shift"})
    assert cube.gap().mean == pytest.approx(0.01)


def test_a_seed_that_lacks_a_cell_is_left_out():
    frame = sweep(lambda *_: 0.9, factors=["data", "model"], seeds=(0, 1, 2))
    frame.loc[5, "test/acc"] = np.nan
    cube = cube_of(frame)
    assert (cube.seeds, cube.left_out, cube.gap().n) == ((0, 2), (1,), 2)
    missing = missing_runs(frame, {"data": (0, 1), "model": (0, 1)}, value="test/acc")
    assert missing == [{"seed": 1, "data": 0, "model": 1}]


def test_without_a_complete_seed_the_missing_cells_are_named():
    frame = sweep(lambda *_: 0.9, factors=["data", "model"], seeds=(0, 1)).drop([3, 4])
    with pytest.raises(
        ValueError, match="run the 2 missing ones, first seed=0, data=1, model=1; seed=1, data=0, model=0"
    ):
        cube_of(frame)


def test_two_runs_of_one_cell_and_seed_are_refused():
    frame = sweep(lambda *_: 0.9, factors=["data", "model"])
    with pytest.raises(ValueError, match="several runs have seed=0, data=0, model=1"):
        cube_of(pd.concat([frame, frame.loc[[1]]]))


@pytest.mark.parametrize("end", [{"data": 0}, {"model": 1}])
def test_corners_must_differ_in_the_same_factors(end):
    with pytest.raises(ValueError, match="corners"):
        Factorial.from_runs(sweep(lambda *_: 0.9, factors=["data"]), value="test/acc", start={"data": 0}, end=end)


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

"""Effects of factors against published examples and hand-made factorials.

python -m pytest tests/analysis/test_factorial.py -v
"""

from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from statsmodels.api import OLS, add_constant

from mnist_exp.analysis.factorial import Factorial, missing_runs
from mnist_exp.analysis.statistics import summarise


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
    assert means(cube.interactions(3)) == {("K", "C", "T"): 0.5}
    assert means(cube.switched_first()) == {"K": 52 - 60, "C": 54 - 60, "T": 72 - 60}
    assert means(cube.switched_last()) == {"K": 80 - 68, "C": 80 - 83, "T": 80 - 45}


def test_effects_are_the_coefficients_of_a_regression_on_minus_one_and_one(random_cube):
    """An effect is twice the coefficient of the factors' product (Box, Hunter & Hunter 2005), of all orders."""
    levels = np.array(list(product((-1, 1), repeat=5)))
    names = {order: list(combinations(range(5), order)) for order in (1, 2, 3)}
    columns = [levels[:, list(group)].prod(axis=1) for groups in names.values() for group in groups]
    fit = OLS(random_cube.values.mean(axis=0).ravel(), add_constant(np.transpose(columns))).fit()
    found = (random_cube.main_effects(), random_cube.interactions(2), random_cube.interactions(3))
    effects = [effect for each in found for effect in means(each).values()]
    assert effects == pytest.approx((2 * fit.params[1:]).tolist())


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

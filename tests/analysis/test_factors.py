"""Which settings tell runs apart, and what they are called.

python -m pytest tests/analysis/test_factors.py -v
"""

import random
import re

import pytest
from made_runs import make_config

from mnist_exp.analysis import factors
from mnist_exp.analysis.factors import determined, differing_settings, drop_copies, find_factors, typed_settings


def configs_of(*runs, seeds=None):
    return [make_config(run.split(), seed) for run, seed in zip(runs, seeds or [0] * len(runs), strict=True)]


def factors_of(*runs, seeds=None):
    """The factors of runs that are given as overrides, one text for each run."""
    return find_factors(configs_of(*runs, seeds=seeds), [run.split() for run in runs])


def test_a_run_of_an_earlier_version_differs_from_none_of_mnist():
    old, new, other = ({"data": {"name": "csv", **each}} for each in ({}, {"dataset": "mnist"}, {"dataset": "kmnist"}))
    assert differing_settings([old, new]) == {}
    assert differing_settings([old, other]) == {"data.dataset": ("mnist", "kmnist")}


# --- the worked example ---


def test_the_example_in_the_docstring_is_true():
    lines = factors.__doc__.splitlines()
    typed = {line.split(":")[0].strip(): line.split(":")[1].split() for line in lines if re.match("    [ABC]: ", line)}
    header, *rows = [line.split() for line in lines if re.match("    (run|[ABC] ) ", line)]
    seeds = [int(run[-1].removeprefix("seed=")) for run in typed.values()]
    configs = [make_config(run[:-1], seed) for run, seed in zip(typed.values(), seeds, strict=True)]
    found = find_factors(configs, list(typed.values()))
    assert list(typed) == [row[0] for row in rows] == ["A", "B", "C"]
    assert [["run", *found]] + [list(row) for row in zip("ABC", *found.values(), strict=True)] == [header, *rows]

    differing = differing_settings(configs)
    listed = re.search(r"differ: (.*?), \.\.\.", " ".join(lines))[1]
    assert set(re.findall("`(.*?)`", listed)) <= differing.keys()
    assert "seed" not in differing
    assert "data.seed" not in differing
    kept = drop_copies(differing, preferred={"optimizer.lr"})
    assert {"optimizer.lr", "model.optimizer.lr"} & kept.keys() == {"optimizer.lr"}


def test_the_check_of_the_docstring_is_true():
    assert factors_of("data=image", "data=csv", "data=csv optimizer=adam") == {"data": ("image", "csv", "csv")}


# --- groups and settings ---


def test_a_config_group_is_one_factor_by_its_option():
    assert factors_of("data=image", "data=csv") == {"data": ("image", "csv")}


def test_seed_and_what_follows_it_are_no_factor():
    assert factors_of("data=csv", "data=csv", seeds=[0, 1]) == {}


def test_a_setting_that_happens_to_equal_the_seeds_is_a_factor():
    runs = ["data.batch_size=1", "data.batch_size=2"]
    assert factors_of(*runs, seeds=[1, 2]) == {"data.batch_size": ("1", "2")}


def test_a_seed_of_its_own_is_a_factor():
    configs = configs_of("", "", seeds=[0, 1])
    for config, seed in zip(configs, (7, 8), strict=True):
        config["data"]["seed"] = seed
    assert find_factors(configs, [[], []]) == {"data.seed": ("7", "8")}


def test_an_option_that_was_not_typed_is_named_by_the_configuration():
    assert factors_of("", "data=csv optimizer=sgd") == {"data": ("image", "csv"), "optimizer": ("adam", "sgd")}


def test_the_same_recipe_typed_in_two_ways_is_one_recipe():
    assert factors_of("", "data=image optimizer.lr=0.001", "data=csv") == {"data": ("image", "image", "csv")}


def test_one_option_under_two_names_is_one_recipe():
    configs = configs_of("optimizer=sgd", "optimizer=sgd")
    assert find_factors(configs, [["optimizer=sgd"], ["optimizer=sgd_of_my_own"]]) == {}


def test_an_option_keeps_the_name_that_was_typed():
    configs = configs_of("optimizer=adam", "optimizer=sgd optimizer.lr=0.1")
    assert find_factors(configs, [["optimizer=quick"], ["optimizer=slow"]]) == {"optimizer": ("quick", "slow")}


def test_a_single_setting_beside_the_groups_has_its_value_as_level():
    configs = [make_config([], 0) | {"width": width} for width in (None, 3)]
    assert find_factors(configs, [[], []]) == {"width": ("null", "3")}


def test_a_setting_beside_its_group_is_a_factor_of_its_own():
    runs = [f"optimizer={optimizer} optimizer.lr={lr}" for optimizer in ("sgd", "adam") for lr in (0.1, 0.01)]
    assert factors_of(*runs) == {"optimizer": ("sgd", "sgd", "adam", "adam"), "optimizer.lr": ("0.1", "0.01") * 2}


def test_a_setting_that_was_not_typed_is_a_factor_where_its_group_does_not_explain_it():
    runs = ["data=image data.batch_size=8", "data=image", "data=csv"]
    found = find_factors(configs_of(*runs), [["data=image"], ["data=image"], ["data=csv"]])
    assert found == {"data": ("image", "image", "csv"), "data.batch_size": ("8", "64", "64")}


def test_interpolated_copies_count_once():
    assert factors_of("optimizer.lr=0.1", "optimizer.lr=0.2") == {"optimizer.lr": ("0.1", "0.2")}


def test_of_copies_the_one_that_was_typed_stays_and_else_the_one_nearest_to_the_top():
    copies = {"b.x": ("1", "2"), "a.b.x": ("1", "2"), "c": ("1", "1")}
    assert drop_copies(copies, preferred=set()).keys() == {"b.x", "c"}
    assert drop_copies(copies, preferred={"a.b.x"}).keys() == {"a.b.x", "c"}


def test_a_copy_that_only_one_option_has_is_no_factor():
    runs = [(optimizer, size) for optimizer in ("adam", "sgd") for size in (16, 32)]
    typed = [[f"optimizer={optimizer}", f"data.batch_size={size}"] for optimizer, size in runs]
    configs = [make_config(each, 0) for each in typed]
    for config, (optimizer, size) in zip(configs, runs, strict=True):
        if optimizer == "sgd":  # whose learning rate is scaled with ${data.batch_size}
            config["optimizer"]["batch_size"] = size
    assert list(find_factors(configs, typed)) == ["optimizer", "data.batch_size"]
    assert set(find_factors(configs, [[]] * 4)) == {"optimizer", "data.batch_size"}


def test_settings_that_vary_together_across_groups_are_all_named():
    assert factors_of("data=image model=mlp", "data=csv model=cnn") == {
        "data": ("image", "csv"),
        "model": ("mlp", "cnn"),
    }


def test_what_is_no_part_of_the_recipe_is_no_factor():
    configs = [make_config([], 0) | {"milestones": [3], "threads": 1}, make_config([], 0) | {"milestones": []}]
    assert find_factors(configs, [["milestones=[3]", "threads=1"], []]) == {}


def test_a_group_that_is_null_is_called_none_as_its_option_is():
    schedule = {"_target_": "mnist_exp.models.schedules.cosine", "warmup": 0.1}
    configs = [make_config([], 0), make_config([], 0), make_config([], 0) | {"scheduler": schedule}]
    typed = [[], ["scheduler=none"], ["scheduler=cosine"]]
    assert find_factors(configs, typed) == {"scheduler": ("none", "none", "cosine")}


def test_an_option_without_a_name_that_was_not_typed_is_the_default():
    trainer = {"_target_": "pytorch_lightning.Trainer", "accelerator": "auto"}
    configs = [make_config([], 0) | {"trainer": trainer | {"accelerator": each}} for each in ("auto", "cpu")]
    assert find_factors(configs, [[], ["trainer=cpu"]]) == {"trainer": ("default", "cpu")}
    assert find_factors(configs, [[], []]) == {"trainer.accelerator": ("auto", "cpu")}


# --- experiments ---


def test_an_experiment_stands_for_all_that_it_sets():
    assert factors_of("experiment=solution1", "experiment=fast") == {"experiment": ("solution1", "fast")}


def test_an_experiment_stands_for_all_that_it_sets_also_beside_a_run_without_one():
    assert factors_of("experiment=solution1", "experiment=fast", "") == {"experiment": ("solution1", "fast", "(none)")}


def test_an_experiment_with_a_further_factor_keeps_both():
    runs = [f"experiment={name} data.batch_size={size}" for name in ("solution1", "fast") for size in (64, 8)]
    assert factors_of(*runs) == {
        "experiment": ("solution1", "solution1", "fast", "fast"),
        "data.batch_size": ("64", "8") * 2,
    }


def test_a_changed_setting_does_not_bring_in_its_group():
    runs = ["experiment=solution1", "experiment=fast", "experiment=solution1 optimizer.lr=0.01"]
    assert factors_of(*runs) == {
        "experiment": ("solution1", "fast", "solution1"),
        "optimizer.lr": ("0.001", "0.03", "0.01"),
    }


def test_a_group_that_only_runs_of_one_experiment_change_is_a_factor():
    configs = configs_of("experiment=fast", "experiment=fast data=csv", "")
    found = find_factors(configs, [["experiment=fast"], ["experiment=fast"], []])
    assert found == {"experiment": ("fast", "fast", "(none)"), "data": ("image", "csv", "image")}


def test_an_experiment_typed_out_by_hand_is_the_same_recipe():
    by_hand = "model=mlp optimizer=sgd model.standardize=false trainer.max_epochs=5"
    assert factors_of("experiment=solution1", by_hand) == {}
    assert "experiment" not in factors_of("experiment=solution1", by_hand, "experiment=fast")


def test_a_sweep_is_a_list_of_runs_and_no_factor():
    configs = configs_of("data=csv", "data=csv", "data=image")
    typed = [["sweep=puzzle", "data=csv"], ["sweep=puzzle_quick", "data=csv"], ["data=image"]]
    assert find_factors(configs, typed) == {"data": ("csv", "csv", "image")}


# --- the parts ---


@pytest.mark.parametrize(
    ("override", "setting"),
    [
        ("data=csv", {"data": "csv"}),
        ("+model.width=8", {"model.width": "8"}),
        ("++model.width=8", {"model.width": "8"}),
        ("optimizer@model.optimizer=sgd", {"optimizer": "sgd"}),
        ("name='a b'", {}),
        ("augment='a=b'", {"augment": "a=b"}),
        ('augment="a"', {"augment": "a"}),
        ("~logger", {}),
        ("=1", {}),
        ("sweep=puzzle", {}),
        ("seed=1", {}),
        ("threads=1", {}),
        ("data.seed=1", {"data.seed": "1"}),
    ],
)
def test_overrides_are_taken_apart(override, setting):
    assert typed_settings([override]) == setting


@pytest.mark.parametrize(
    ("column", "by", "expected"),
    [
        ("aab", ["xxy"], True),
        ("aab", ["xyx"], False),
        ("aab", ["xyz"], True),
        ("abc", ["xxy", "uvv"], True),
        ("abb", ["xxy", "uuv"], False),
        ("aaa", [], True),
        ("aab", [], False),
    ],
)
def test_a_column_is_determined_by_others_if_like_runs_are_alike_in_it(column, by, expected):
    assert determined(tuple(column), by=[tuple(each) for each in by]) is expected


def test_two_runs_have_the_same_levels_exactly_if_they_have_the_same_recipe():
    """On random subsets of a factorial with experiments in it, whatever was typed to get them."""
    runs = [
        f"{experiment} {data} {optimizer} {size}"
        for experiment in ("", "experiment=solution1", "experiment=fast")
        for data in ("", "data=image", "data=csv")
        for optimizer in ("", "optimizer=adam", "optimizer=sgd optimizer.lr=0.03")
        for size in ("", "data.batch_size=64", "data.batch_size=256")
    ]
    for subset in range(60):
        chosen = random.Random(subset).sample(runs, 2 + subset % 7)
        seeds = [index % 3 for index in range(len(chosen))]
        configs = configs_of(*chosen, seeds=seeds)
        levels = list(zip(*find_factors(configs, [run.split() for run in chosen]).values(), strict=True))
        levels = levels or [()] * len(chosen)
        recipes = [str(make_config(run.split(), 0) | {"name": ""}) for run in chosen]
        for a in range(len(chosen)):
            for b in range(a):
                assert (levels[a] == levels[b]) == (recipes[a] == recipes[b]), (chosen[a], chosen[b])

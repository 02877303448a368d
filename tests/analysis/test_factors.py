"""What tells runs apart, and its name.

python -m pytest tests/test_factors.py -v
"""

from made_runs import make_config

from mnist_exp.analysis.factors import find_factors


def factors_of(*runs, seeds=None):
    """Factors of runs that are given as overrides in one string each."""
    typed = [run.split() for run in runs]
    configs = [make_config(each, seed) for each, seed in zip(typed, seeds or [0] * len(runs), strict=True)]
    return find_factors(configs, typed)


def test_a_config_group_is_one_factor_by_its_option():
    assert factors_of("data=image", "data=csv") == {"data": ("image", "csv")}


def test_seed_and_what_follows_it_are_no_factor():
    assert factors_of("data=csv", "data=csv", seeds=[0, 1]) == {}


def test_an_option_that_was_not_typed_is_named_by_the_configuration():
    assert factors_of("", "data=csv optimizer=sgd") == {"data": ("image", "csv"), "optimizer": ("adam", "sgd")}


def test_the_same_recipe_typed_in_two_ways_is_one_recipe():
    assert factors_of("", "data=image optimizer.lr=0.001", "data=csv") == {"data": ("image", "image", "csv")}


def test_a_setting_beside_its_group_is_a_factor_of_its_own():
    runs = [f"optimizer={optimizer} optimizer.lr={lr}" for optimizer in ("sgd", "adam") for lr in (0.1, 0.01)]
    assert factors_of(*runs) == {"optimizer": ("sgd", "sgd", "adam", "adam"), "optimizer.lr": ("0.1", "0.01") * 2}


def test_interpolated_copies_count_once():
    assert factors_of("optimizer.lr=0.1", "optimizer.lr=0.2") == {"optimizer.lr": ("0.1", "0.2")}


def test_a_copy_that_only_one_option_has_is_no_factor():
    runs = [(optimizer, size) for optimizer in ("adam", "sgd") for size in (16, 32)]
    typed = [[f"optimizer={optimizer}", f"data.batch_size={size}"] for optimizer, size in runs]
    configs = [make_config(each, 0) for each in typed]
    for config, (optimizer, size) in zip(configs, runs, strict=True):
        if optimizer == "sgd":  # whose learning rate is scaled with ${data.batch_size}
            config["optimizer"]["batch_size"] = size
    assert list(find_factors(configs, typed)) == ["optimizer", "data.batch_size"]
    assert set(find_factors(configs, [[]] * 4)) == {"optimizer", "data.batch_size"}


def test_an_experiment_stands_for_all_that_it_sets():
    configs = [make_config(["model=mlp", "trainer.max_epochs=20"], 0), make_config(["data=csv"], 0)]
    typed = [["experiment=solution1"], ["experiment=solution2"]]
    assert find_factors(configs, typed) == {"experiment": ("solution1", "solution2")}


def test_an_experiment_with_a_further_factor_keeps_both():
    configs = [
        make_config([*recipe, f"data.batch_size={size}"], 0) for recipe in ([], ["model=mlp"]) for size in (64, 8)
    ]
    typed = [[f"experiment={name}", f"data.batch_size={size}"] for name in ("a", "b") for size in (64, 8)]
    found = find_factors(configs, typed)
    assert found == {"experiment": ("a", "a", "b", "b"), "data.batch_size": ("64", "8", "64", "8")}


def test_settings_that_vary_together_across_groups_are_all_named():
    assert factors_of("data=image model=mlp", "data=csv model=cnn") == {
        "data": ("image", "csv"),
        "model": ("mlp", "cnn"),
    }


def test_milestones_and_threads_are_no_factors():
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

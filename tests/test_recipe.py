"""The one list of settings that do not make a recipe, and that all who need it use it."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mnist_exp.cli.overrides import CONF
from mnist_exp.recipe import (
    PIXEL_SOURCE,
    PLACES_AND_RESOURCES,
    RECORDS,
    WHERE_AND_HOW_LONG,
    decides_result,
    is_part_of_recipe,
)


@pytest.mark.parametrize(
    "key",
    ["seed", "name", "run_dir", "threads", "logger.save_dir", "milestones", "data.placement", "callbacks.progress"],
)
def test_these_settings_are_no_part_of_a_recipe(key: str):
    assert not is_part_of_recipe(key)


@pytest.mark.parametrize("key", ["optimizer.lr", "data", "data.seed", "model.name", "trainer.max_epochs", "scheduler"])
def test_these_settings_are_part_of_a_recipe(key: str):
    assert is_part_of_recipe(key)


@pytest.mark.parametrize(("key", "decides"), [("seed", True), ("name", True), ("threads", False), ("logger.x", False)])
def test_places_and_resources_decide_nothing(key: str, decides: bool):
    assert decides_result(key) is decides


def test_each_listed_setting_exists():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        configs = [compose("train", overrides=[f"data={data}", "run_dir=x"]) for data in ("csv", "image")]
    listed = {*PLACES_AND_RESOURCES, *RECORDS, "ckpt_path", *PIXEL_SOURCE, *WHERE_AND_HOW_LONG, "seed"}
    absent = object()
    missing = {key for key in listed if all(OmegaConf.select(cfg, key, default=absent) is absent for cfg in configs)}
    assert missing <= {"trainer.max_time"}, "an option of Lightning's"


def test_neutral_values_are_the_defaults_where_these_do_not_depend_on_the_place():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train")
    for key, value in PLACES_AND_RESOURCES.items():
        if key.startswith(("data.", "trainer.")) and key != "data.data_dir":
            assert OmegaConf.select(cfg, key) == value

"""The one list of settings that do not make a recipe, and that all who need it use it."""

import pytest
from hydra import compose, initialize_config_dir

from mnist_exp.cli.overrides import CONF
from mnist_exp.recipe import NOT_IN_FOLDER_NAMES, PIXEL_SOURCE, PLACES_AND_RESOURCES, is_part_of_recipe


@pytest.mark.parametrize("key", ["seed", "name", "study", "run_dir", "threads", "logger.save_dir", "milestones"])
def test_these_settings_are_no_part_of_a_recipe(key: str):
    assert not is_part_of_recipe(key)


@pytest.mark.parametrize("key", ["optimizer.lr", "data", "data.seed", "model.name", "trainer.max_epochs", "scheduler"])
def test_these_settings_are_part_of_a_recipe(key: str):
    assert is_part_of_recipe(key)


def test_hydra_names_the_folders_of_jobs_by_the_same_list():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", return_hydra_config=True, overrides=["data=csv", "threads=1", "study=x"])
    assert list(cfg.hydra.job.config.override_dirname.exclude_keys) == list(NOT_IN_FOLDER_NAMES)
    assert cfg.hydra.job.override_dirname == "data=csv"


def test_each_listed_setting_exists():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        train = compose("train", overrides=["data=csv"])
        image = compose("train", overrides=["data=image"])
    assert train.keys() >= {*PLACES_AND_RESOURCES, "name", "ckpt_path", "milestones", "seed"}
    assert {key.partition(".")[2] for key in PIXEL_SOURCE} <= {*train.data, *image.data}

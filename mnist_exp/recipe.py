"""Which settings make a run's recipe.

Resuming, skipping finished runs, naming the folders of a sweep's jobs and comparing runs all use these lists. A setting
here stands for all below it: `logger` for `logger.save_dir`, too.
"""

from typing import Any

# Where files are, what a run may use of the machine, what it logs to and shows. The result is the same whatever they
# say, so result.json records these neutral values.
PLACES_AND_RESOURCES: dict[str, Any] = {
    "study": None,
    "run_dir": "",
    "resume": None,
    "data_dir": "",
    "overwrite": False,
    "threads": None,
    "logger": None,
    "data.data_dir": "",
    "data.placement": "auto",
    "data.eval_batch_size": 1000,
    "callbacks.best.dirpath": "/checkpoints",
    "callbacks.last.dirpath": "/checkpoints",
    "callbacks.progress": None,
    "trainer.profiler": None,
    "trainer.enable_model_summary": False,
    "trainer.enable_progress_bar": True,
    "trainer.log_every_n_steps": 1,
}

# What a run is called, and what it measures on the way. Recorded, but no part of its recipe.
RECORDS = ("name", "milestones")

# Where and how long a run trains. They are part of its recipe. These and RECORDS may change when it is resumed.
WHERE_AND_HOW_LONG = (
    "trainer.max_epochs",
    "trainer.max_time",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
)

# What runs did before a setting was added, whose configuration does not have it.
BEFORE_IT_WAS_ADDED = {"data.dataset": "mnist"}

# The settings in which two data modules may differ although they give the same pixels in the same order.
PIXEL_SOURCE = tuple(f"data.{key}" for key in ("_target_", "name", "data_dir", "folder", "train_csv", "test_csv"))

# Overrides that do not tell the jobs of a sweep apart, so their folders' names leave them out.
NOT_IN_FOLDER_NAMES = (*PLACES_AND_RESOURCES, "sweep")


def is_part_of_recipe(key: str) -> bool:
    """Whether a setting, such as `optimizer.lr`, is part of the recipe. The seed is not: seeds repeat a recipe."""
    return not is_listed(key, (*PLACES_AND_RESOURCES, *RECORDS, "ckpt_path", "seed"))


def decides_result(key: str) -> bool:
    """Whether two runs that differ in this setting are two runs, and not one that was started twice."""
    return not is_listed(key, PLACES_AND_RESOURCES)


def is_listed(key: str, settings: Any) -> bool:
    """Whether `key` is one of the settings, or below one."""
    return any(key == each or key.startswith(f"{each}.") for each in settings)

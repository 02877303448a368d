"""Which settings make a run's recipe.

Skipping finished jobs, naming the folders of a sweep's jobs and comparing runs all use this one list.
"""

from typing import Any

# Where files are, what a run may use of the machine, and what it logs to. The result is the same whatever they say, so
# result.json records these neutral values.
PLACES_AND_RESOURCES: dict[str, Any] = {
    "study": None,
    "run_dir": "",
    "data_dir": "",
    "overwrite": False,
    "threads": None,
    "logger": None,
}

# What a run is called, where it started from, and what it measures on the way. Recorded, but no part of the recipe.
LABELS_AND_RECORDS = ("name", "ckpt_path", "milestones")

# All in which two data modules may differ while they give the same pixels in the same order.
PIXEL_SOURCE = tuple(f"data.{key}" for key in ("_target_", "name", "data_dir", "folder", "train_csv", "test_csv"))

# Overrides that do not tell the jobs of a sweep apart, so their folders' names leave them out.
NOT_IN_FOLDER_NAMES = (*PLACES_AND_RESOURCES, "name", "sweep")


def is_part_of_recipe(key: str) -> bool:
    """Whether a setting, such as `optimizer.lr`, is part of the recipe. The seed is not: seeds repeat a recipe."""
    return key.partition(".")[0] not in {*PLACES_AND_RESOURCES, *LABELS_AND_RECORDS, "seed"}

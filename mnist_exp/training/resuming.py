"""Before a run goes on from a checkpoint: in which settings it differs from the run that wrote the checkpoint."""

import logging
from collections.abc import Mapping
from typing import Any

from mnist_exp.analysis.factors import ABSENT, flatten
from mnist_exp.recipe import is_part_of_recipe

logger = logging.getLogger(__name__)

MOST_NAMED = 8  # settings in the warning
EXPECTED_TO_DIFFER = ("trainer.max_epochs", "trainer.accelerator", "trainer.devices", "callbacks.", "data.data_dir")


def warn_of_other_settings(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Log a warning that names the settings of the recipe that are not those of the earlier run.

    earlier, now: resolved configurations. How long and where a run trains is expected to differ.
    """
    if differing := other_settings(earlier, now):
        more = len(differing) - MOST_NAMED
        logger.warning(
            "the run goes on with other settings than its checkpoint was trained with: %s%s",
            ", ".join(differing[:MOST_NAMED]),
            f" and {more} more" if more > 0 else "",
        )


def other_settings(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Such as `data.name=image (was csv)`, for every setting of the recipe that differs."""
    before, after = dict(flatten(earlier)), dict(flatten(now))
    return [
        f"{key}={after.get(key, ABSENT)} (was {before.get(key, ABSENT)})"
        for key in dict.fromkeys([*after, *before])
        if is_part_of_recipe(key)
        and not key.startswith(EXPECTED_TO_DIFFER)
        and before.get(key, ABSENT) != after.get(key, ABSENT)
    ]

"""In which settings a run differs from the one that it goes on from, and which of these may differ.

`resume=` goes on in the same folder: where and how long may change, and nothing else. `ckpt_path=` goes on from any
checkpoint in a new folder: network, optimizer and schedule must be those of the checkpoint, because their state comes
from it. Other settings may differ, and a warning names them. No torch is needed here.
"""

import logging
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mnist_exp.analysis.factors import ABSENT, all_settings
from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.recipe import RECORDS, WHERE_AND_HOW_LONG, decides_result, is_listed
from mnist_exp.result import RunResult
from mnist_exp.training.command_line import relative_to_here

logger = logging.getLogger(__name__)

MOST_NAMED = 8  # settings in a message
FROM_THE_CHECKPOINT = ("model.net", "optimizer", "scheduler", "model.optimizer", "model.scheduler")


class ResumeError(ValueError):
    """A run that cannot go on as asked. The message says why, and what can be done."""


def changed_settings(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Such as {"data.name": "data.name=image (was csv)"}, for each setting that decides the result and differs.

    A setting that is new since the earlier run, and changes nothing, does not differ. Copies, such as `data.seed`, are
    left out.

    earlier, now: resolved configurations.
    """
    before, after = all_settings(earlier), all_settings(now)
    changed = {
        key: f"{key}={after.get(key, ABSENT)} (was {before.get(key, ABSENT)})"
        for key in dict.fromkeys([*after, *before])
        if decides_result(key) and value_of(before, key) != value_of(after, key)
    }
    return {key: text for key, text in changed.items() if not is_copy(key, changed)}


def value_of(settings: Mapping[str, str], key: str) -> str:
    return settings.get(key, "null")


def is_copy(key: str, changed: Mapping[str, str]) -> bool:
    return (key.endswith(".seed") and "seed" in changed) or key.removeprefix("model.") in changed.keys() - {key}


def list_settings(changed: Mapping[str, str]) -> str:
    """The first of the changed settings, and how many more there are."""
    more = len(changed) - MOST_NAMED
    return ", ".join(list(changed.values())[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


# --- resume= ---------------------------------------------------------------------------------------------------------


def check_resume(cfg: DictConfig, earlier: RunResult | None) -> str | None:
    """A sentence that says that nothing is left to train; None where the run can go on.

    cfg: the configuration with which it should go on. earlier: the run's result.json, if it has one.

    Raises ResumeError for a setting that may not change, CheckpointError for a checkpoint that cannot be read.
    """
    run_dir = Path(cfg.resume)
    now: Any = OmegaConf.to_container(cfg, resolve=True)
    before, trained = (earlier.config, len(earlier.history)) if earlier and earlier.history else read_last(run_dir)
    changed = changed_settings(before, now)
    folder = relative_to_here(run_dir)
    if refused := {key: text for key, text in changed.items() if not is_listed(key, (*WHERE_AND_HOW_LONG, *RECORDS))}:
        raise ResumeError(
            f"{folder} goes on with its own settings, and these differ: {list_settings(refused)}. For a run with other "
            "settings leave out resume=..."
        )
    check_schedule(before, now)
    asked, epochs = most_epochs(before), most_epochs(now)
    if earlier is None or earlier.status != "finished":
        if epochs < trained:
            raise ResumeError(f"{folder} has trained {trained} epochs, and trainer.max_epochs={epochs} is less")
        return None
    if trained < asked and "trainer.max_time" not in changed:
        return f"nothing is left to train: {folder} stopped early, after epoch {trained} of {asked:g}"
    if epochs <= trained:
        more = f"trainer.max_epochs={2 * trained}, for example, goes on"
        return f"nothing is left to train: {folder} is finished, after {trained} of {asked:g} epochs ({more})"
    return None


def most_epochs(config: Mapping[str, Any]) -> float:
    """trainer.max_epochs, where -1 and null are no limit."""
    epochs = config["trainer"]["max_epochs"]
    return inf if epochs in (-1, None) else epochs


def read_last(run_dir: Path) -> tuple[dict[str, Any], int]:
    """The configuration in a run's last.ckpt, and the number of epochs it has trained. Raises CheckpointError."""
    from mnist_exp.models.checkpoint import config_and_epochs

    return config_and_epochs(run_dir / LAST)


def check_schedule(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises ResumeError where another length changes the learning rates of epochs that are already trained."""
    asked, epochs = before["trainer"]["max_epochs"], now["trainer"]["max_epochs"]
    if before.get("scheduler") and asked != epochs:
        raise ResumeError(
            f"the learning rates follow a schedule over {asked} epochs, so the run cannot go on to "
            f"trainer.max_epochs={epochs}: leave that out, or train anew"
        )


# --- ckpt_path= ------------------------------------------------------------------------------------------------------


def check_continuation(before: Mapping[str, Any], now: Mapping[str, Any], *, trained: int) -> None:
    """Refuse what a new run cannot change when it goes on from a checkpoint, and log a warning of what it changes.

    trained: the checkpoint's epochs.

    Raises ResumeError.
    """
    changed = changed_settings(before, now)
    if refused := {key: text for key, text in changed.items() if is_listed(key, FROM_THE_CHECKPOINT)}:
        raise ResumeError(
            f"network, optimizer and schedule come from the checkpoint, with their state; these settings differ: "
            f"{list_settings(refused)}. Use the earlier ones"
        )
    if before:
        check_schedule(before, now)
    if (epochs := most_epochs(now)) <= trained:
        raise ResumeError(
            f"nothing is left to train: the checkpoint has trained {trained} of trainer.max_epochs={epochs:g} epochs. "
            f"trainer.max_epochs={2 * trained}, for example, goes on"
        )
    expected = ("ckpt_path", "callbacks", *WHERE_AND_HOW_LONG, *RECORDS)
    if others := {key: text for key, text in changed.items() if not is_listed(key, expected)}:
        logger.warning(
            "the run goes on with other settings than its checkpoint was trained with: %s", list_settings(others)
        )

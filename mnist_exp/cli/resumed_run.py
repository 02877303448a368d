"""`train resume=<run folder>`: the overrides of that run, and those typed beside it."""

from pathlib import Path

from omegaconf import OmegaConf

from mnist_exp.cli.overrides import OverrideError, parse
from mnist_exp.models.checkpoint_paths import LAST
from mnist_exp.training.command_line import hydra_quoted, repeated_command

OVERRIDES = Path(".hydra") / "overrides.yaml"  # within a run folder
SETTINGS_OF_A_RESUMED_RUN = ("hydra.mode=RUN", "hydra.output_subdir=null")  # even a sweep's job goes on as a single run
NOT_FROM_A_FILE = ("_target_", "${", "dirpath", "filename", "save_dir")


def overrides_of_resumed_run(typed: list[str], *, is_sweep: bool) -> list[str]:
    """The run's own overrides and after them the typed ones, if one of these is `resume=`; or else the typed ones.

    Its folder stays as it is: whether what was typed may change is checked when the checkpoint is read.

    Raises OverrideError where the folder is not that of a run that can go on.
    """
    named = [value for each in typed if (value := value_of_resume(each))]
    if not named:
        return typed
    if is_sweep:
        raise OverrideError("resume=... goes on with one run. A sweep goes on if the same command is started again")
    if any(each.startswith("run_dir=") for each in typed):
        raise OverrideError("resume=... goes on in the run's own folder: leave out run_dir=...")
    folder = folder_to_go_on_in(Path(named[-1]))
    # A folder may have been moved since its run_dir=... was typed.
    own = [each for each in read_overrides(folder / OVERRIDES) if not each.startswith("run_dir=")]
    check_trusted(own, typed)
    if not (folder / LAST).is_file():
        again = repeated_command("mnist_exp.train", own)
        raise OverrideError(
            f"resume={named[-1]}: {folder} has no {LAST}, because the run ended before its first whole epoch. "
            f"Start it again: {again}"
        )
    places = [f"resume={hydra_quoted(str(folder))}", f"hydra.run.dir={hydra_quoted(str(folder))}"]
    return last_of_each_key([*own, *typed, *places, *SETTINGS_OF_A_RESUMED_RUN])


def value_of_resume(override: str) -> str | None:
    if not override.startswith("resume="):
        return None
    value = parse(override).value()
    return None if value is None else str(value)


def folder_to_go_on_in(path: Path) -> Path:
    """The run folder that a path means: itself, or that of the checkpoint. Raises OverrideError where it is none."""
    folder = path.parent.parent if path.suffix == ".ckpt" and path.parent.name == LAST.parent.name else path
    if not folder.is_dir():
        raise OverrideError(f"resume={path}: there is no such run folder")
    if not (folder / OVERRIDES).is_file():
        raise OverrideError(
            f"resume={path}: it is no run folder, {OVERRIDES} is missing. From a checkpoint elsewhere a new run "
            "goes on with ckpt_path=... and the settings of the earlier one"
        )
    return folder


def read_overrides(path: Path) -> list[str]:
    """The overrides in the file that Hydra leaves in a run folder. Raises OverrideError where they cannot be read."""
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # whatever YAML and OmegaConf raise for a damaged file
        raise OverrideError(f"cannot read {path}: {error}") from error
    if not isinstance(content, list) or not all(isinstance(each, str) for each in content):
        raise OverrideError(f"cannot read {path}: it is no list of overrides")
    return content


def check_trusted(own: list[str], typed: list[str]) -> None:
    """Refuses what a file must not decide, because run folders can come from anywhere.

    That is which code is run, and where checkpoints and logs are written, over files of the same names.
    """
    for override in own:
        is_hydras = override.lstrip("+~").startswith("hydra")
        if override not in typed and (is_hydras or any(word in override for word in NOT_FROM_A_FILE)):
            raise OverrideError(
                f"the run was started with {override!r}. A file is not trusted with that: repeat it after resume=..."
            )


def last_of_each_key(overrides: list[str]) -> list[str]:
    """The overrides without those that a later one replaces, each at the place of the last."""
    keys = [override.partition("=")[0].lstrip("+~") for override in overrides]
    return [each for index, each in enumerate(overrides) if keys[index] not in keys[index + 1 :]]

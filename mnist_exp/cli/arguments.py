"""The command line as people write it, made into the one that Hydra reads.

data=csv -m seed=0,1          -m data=csv seed=0,1                  a flag may stand anywhere
images=IMG 1 (2).png          images="IMG 1 (2).png"                a path is taken as it is
formats=onnx                  formats=[onnx]                        one value where a list is
model=glob(c*)                model=cnn,convnet                     options of a group
resume=outputs/runs/a/b       data=csv ... resume=outputs/runs/a/b  the overrides of that run (resumed_run.py)
"""

import os
import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple, cast

from hydra.core.override_parser.types import Glob, ValueType

from mnist_exp.cli.overrides import OverrideError, group_options, parse
from mnist_exp.cli.resumed_run import overrides_of_resumed_run
from mnist_exp.models.checkpoint_paths import LATEST, latest_run
from mnist_exp.training.command_line import hydra_quoted

# The last part of a key whose value is a path, or a list of paths.
PATHS = ("ckpt_path", "resume", "images", "output", "runs", "path", "folder")
PATH_ENDINGS = ("_dir", "_csv", "dirpath")
LISTED = re.compile(r"""\s*'[^']*'|\s*"[^"]*"|[^,]+""")  # the elements of a list, some of them in quotes
LISTS = ("formats", "milestones", "hosts", "compare.epochs", "compare.borrow")  # keys with a list of any length


class Arguments(NamedTuple):
    """flags: as Hydra's parser reads them. overrides: as Hydra takes them."""

    flags: Namespace
    overrides: list[str]


def read_arguments(config_name: str) -> Arguments:
    """The command line, in sys.argv too, where `hydra.main` and Lightning's further processes read it.

    Hydra has no public name for its parser, and a copy of it would be out of step with the next version.

    Raises ValueError.
    """
    from hydra._internal.utils import get_args_parser

    flags = get_args_parser().parse_intermixed_args()
    words = sys.argv[1:]
    for override in flags.overrides:
        words.remove(override)
    if flags.hydra_help or flags.shell_completion:
        return Arguments(flags, flags.overrides)
    is_sweep = flags.multirun or any(override.startswith("sweep=") for override in flags.overrides)
    overrides = [as_hydra_reads_it(override, flags.overrides, is_sweep=is_sweep) for override in flags.overrides]
    if config_name == "train":
        overrides = overrides_of_resumed_run(overrides, is_sweep=flags.multirun)
        overrides += hydra_in_run_dir(overrides)
    sys.argv[1:] = [*words, *overrides]
    return Arguments(flags, overrides)


def as_hydra_reads_it(text: str, all_overrides: list[str], *, is_sweep: bool) -> str:
    """An override, rewritten where Hydra would not read it as it is meant. Raises OverrideError."""
    key, equals, value = text.partition("=")
    if not equals or not value:
        return text
    name = key.lstrip("+")
    if is_path(name):
        text = f"{key}={literal_path(name, value)}"
    override = parse(text)
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return f"{key}={','.join(matching_options(name, cast(Any, override.value())))}"
    if override.value_type is ValueType.INTERVAL_SWEEP and not any("hydra/sweeper" in each for each in all_overrides):
        raise OverrideError(
            f"{text}: an interval needs a sweeper that draws values from it, hydra/sweeper=...; "
            f"without one, name the values: {key}=0.001,0.01, or {key}=range(1,4)"
        )
    if is_sweep or not (name in LISTS or is_path(name)):
        return text
    one_of_a_list = name in LISTS and override.value_type is ValueType.ELEMENT and is_single(override.value())
    if one_of_a_list or override.value_type is ValueType.SIMPLE_CHOICE_SWEEP:
        return f"{key}=[{text.partition('=')[2]}]"
    return text


def hydra_in_run_dir(overrides: list[str]) -> list[str]:
    """With `run_dir=...` Hydra's files and the log go there, too: all of a run is in one folder, or it cannot go on."""
    typed = [override.removeprefix("run_dir=") for override in overrides if override.startswith("run_dir=")]
    same = [f"hydra.run.dir={folder}" for folder in typed[-1:]]
    return [override for override in same if override not in overrides]


def is_path(key: str) -> bool:
    last = key.rpartition(".")[2]
    return last in PATHS or last.endswith(PATH_ENDINGS)


def is_single(value: object) -> bool:
    return value is not None and not isinstance(value, list) and "${" not in str(value)


def literal_path(key: str, value: str) -> str:
    """The value of a key for paths, quoted for Hydra where Hydra would take it for something else than its text.

    Hydra's own notation stays: a quoted text, a list, null, `${...}` and, where no file has that name, `a,b`.
    """
    if value == LATEST and key in ("ckpt_path", "resume"):
        return literal_path(key, str(latest_run(having_checkpoints=key == "ckpt_path")))
    if value.startswith("~/"):
        value = str(Path(value).expanduser())
    exists = os.path.exists(value)  # noqa: PTH110  # unlike Path.exists, it takes any text
    try:
        read = parse(f"{key}={value}").value()
    except OverrideError:
        is_list = value.startswith("[") and value.endswith("]") and not exists
        return f"[{','.join(map(in_list, LISTED.findall(value[1:-1])))}]" if is_list else hydra_quoted(value)
    is_text = read == value
    is_a_notation = not isinstance(read, (bool, int, float, dict))  # a number or {...} can only be meant as a name
    return value if is_text or (is_a_notation and not exists) else hydra_quoted(value)


def in_list(path: str) -> str:
    path = path.strip()
    return path if path[:1] in "'\"" else hydra_quoted(path)


def matching_options(group: str, pattern: Glob) -> list[str]:
    """The options of a group that `glob(...)` means. Hydra would add `base`, which is none."""
    options = pattern.filter(group_options(group))
    if not options:
        known = f" ({group} is one of: {', '.join(group_options(group))})" if group_options(group) else ""
        raise OverrideError(f"{group}=glob(...) matches nothing: it chooses options of a group, model=glob(c*){known}")
    return options

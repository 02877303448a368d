"""What `--help` prints: how to call a command, what can be chosen, and what every key means.

The texts come from the comments of conf/*.yaml (conf_comments.py). Hydra's own help would take half a second longer to
list the groups.
"""

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.conf_comments import FileComments, comments_of_option, read_comments
from mnist_exp.cli.overrides import CONF, group_options

NARROWEST, WIDEST = 60, 100  # characters of a line, whatever the terminal's width
GROUPS = "Groups: group=option chooses one, * is the default. Add --help to see its keys."
KEYS = "Keys: key=value sets one. The values shown are the present ones."
ENDING = "--cfg job prints the configuration as YAML, --hydra-help explains Hydra's own flags."
GROUP_AT, MEANING_AT = 15, 32  # the columns where the meaning of a group and of a key starts


def usage(config_name: str, cfg: DictConfig, *, conf: Path = CONF) -> str:
    """The help of a command for a terminal of the present width, or for 80 columns where there is none.

    Options and values are shown as the overrides leave them: `--help model=mlp` explains the perceptron's keys.
    """
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    command = read_comments(conf / f"{config_name}.yaml")
    groups = {group: default for group, default in command.defaults if group in command.groups and group != "hydra"}
    chosen = {group: cfg.hydra.runtime.choices.get(group) for group in groups}
    comments = dict(command.keys)
    for group, option in chosen.items():
        # The option's own file explains a key best; a recipe's file only says why it sets another value.
        for key, comment in comments_of_option(group, option, conf=conf).items() if option else ():
            comments.setdefault(key, comment)
    settings: Any = OmegaConf.to_container(cfg, resolve=False)
    del settings["hydra"]
    own = {key: value for key, value in settings.items() if key not in groups}
    sections = [
        [f"python -m {cfg.hydra.help.app_name} {'[group=option ...] ' if groups else ''}[key=value ...]"],
        wrapped(command.description, width=width),
        ["Examples:", *(f"  {example}" for example in command.examples)],
        list(describe_groups(command, groups, width=width)),
        [KEYS, *describe_keys(own, comments, width=width)],
    ]
    for group, option in chosen.items():
        if option:
            description = read_comments(conf / group / f"{option}.yaml").description
            keys = describe_keys({group: settings.get(group) or {}}, comments, width=width)
            sections.append([*wrapped(f"{group}={option}: {description}", width=width), *keys])
    sections.append(wrapped(ENDING, width=width))
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def describe_groups(command: FileComments, groups: dict[str, str | None], *, width: int) -> Iterator[str]:
    """A paragraph for each group: what it decides, its options, and which of them is the default."""
    if groups:
        yield GROUPS
    for group, default in groups.items():
        options = [f"{option}*" if option == default else option for option in group_options(group)]
        meaning = command.groups[group].partition(": ")[0]  # the comment goes on with the options
        default_is_none = ", none by default" if default is None else ""
        yield from beside(f"  {group}", f"{meaning}{default_is_none}: {', '.join(options)}", at=GROUP_AT, width=width)


def describe_keys(settings: dict[str, Any], comments: dict[str, str], *, width: int) -> Iterator[str]:
    """A line or more for each key: its name, value and meaning."""
    for key, value in leaves(settings):
        yield from beside(f"  {key}={as_override(value)}", comments.get(key, ""), at=MEANING_AT, width=width)


def leaves(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, without Hydra's own such as `_target_`."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        elif not key.startswith("_"):
            yield f"{prefix}{key}", value


def as_override(value: Any) -> str:
    """A value as it is written in an override: null, true, [16,32], ''."""
    if isinstance(value, list):
        return f"[{','.join(map(as_override, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if value != "" else "''"


def wrapped(text: str, *, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def beside(left: str, right: str, *, at: int, width: int) -> list[str]:
    """`left`, and `right` in a column of its own that starts at `at`: on the same line if `left` leaves room."""
    column = wrapped(right, width=width - at)
    if not column:
        return [left]
    first = [f"{left:<{at}}{column[0]}"] if len(left) < at - 1 else [left, " " * at + column[0]]
    return first + [" " * at + line for line in column[1:]]

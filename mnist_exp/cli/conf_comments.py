"""Read the comments of conf/*.yaml, so that --help can show them: the YAML files are the one place that explains a key.

A file opens with comment lines: what it is for and, in a command's file, examples of the command. Each key has an end
comment, and so has each group in a command's defaults list.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PACKAGE = "# @package"  # Hydra's directive: where in the configuration the file's content goes
EXAMPLE = "python -m "
PROMISES = ("command:", "time:", "expected:")  # lines of a recipe's header that --help leaves out


@dataclass
class FileComments:
    """The comments of one file.

    description: the header as one text, without examples and promises.
    examples: the header's lines that are commands.
    keys: end comments by dotted key.
    defaults: the entries of the defaults list that choose an option: group (or "" for a file of the same group) and
        option, in order.
    groups: end comments of those entries, by group.
    is_global: whether the content goes to the top of the configuration, not below the file's group.
    """

    description: str = ""
    examples: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    defaults: list[tuple[str, str | None]] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    is_global: bool = False


def read_comments(path: Path) -> FileComments:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = FileComments(is_global=lines[0].startswith(f"{PACKAGE} _global_"))
    header = []
    for line in lines:
        if not line.startswith("#"):
            break
        content = line.removeprefix("#").strip()
        if content.startswith(EXAMPLE):
            found.examples.append(content)
        elif not line.startswith(PACKAGE) and not content.startswith(PROMISES):
            header.append(content)
    found.description = " ".join(header)
    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for key, value in root.value if root else []:
        if key.value == "defaults":
            _read_defaults(value, lines, found)
        else:
            _read_keys(key, value, "", lines, found.keys)
    return found


def _read_defaults(entries: Any, lines: list[str], found: FileComments) -> None:
    """Entries are `group: option` or `option`. Overrides and `_self_` choose nothing new."""
    for entry in entries.value:
        if isinstance(entry, yaml.ScalarNode):
            if entry.value != "_self_":
                found.defaults.append(("", entry.value))
            continue
        ((key, value),) = entry.value
        if not key.value.startswith("override "):
            found.defaults.append((key.value, None if value.value == "null" else value.value))
            found.groups[key.value] = _end_comment(key, value, lines)


def _read_keys(key: Any, value: Any, prefix: str, lines: list[str], found: dict[str, str]) -> None:
    name = f"{prefix}{key.value}"
    if comment := _end_comment(key, value, lines):
        found[name] = comment
    if isinstance(value, yaml.MappingNode):
        for inner_key, inner_value in value.value:
            _read_keys(inner_key, inner_value, f"{name}.", lines, found)


def _end_comment(key: Any, value: Any, lines: list[str]) -> str:
    """The comment on the key's line: after the value, or after the key where the value begins on a later line."""
    end = value.end_mark if value.start_mark.line == key.start_mark.line else key.end_mark
    return lines[end.line][end.column :].partition("#")[2].strip()


def comments_of_option(group: str, option: str, *, conf: Path, package: str | None = None) -> dict[str, str]:
    """End comments, by dotted key of the whole configuration, of an option and the files in its defaults list.

    package: where in the configuration the option goes; None is the group's own place.
    """
    own = read_comments(conf / group / f"{option}.yaml")
    place = package or ("" if own.is_global else group.replace("/", "."))
    found: dict[str, str] = {}
    for _, entry in own.defaults:  # `base`, or `test@test` for a place below this one
        name, _, below = (entry or "").partition("@")
        found |= comments_of_option(group, name, conf=conf, package=f"{place}.{below}" if below else place)
    return found | {f"{place}.{key}" if place else key: comment for key, comment in own.keys.items()}

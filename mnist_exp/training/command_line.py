"""Commands to be shown to a user, ready to paste: quoted for the shell and for Hydra, with paths from here."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

PLAIN_VALUE = re.compile(r"[\w./+-]+", re.ASCII)  # means nothing else to the shell and to Hydra


def command_line(module: str, **overrides: str | Path) -> str:
    """`python -m module key=value ...`, quoted for the shell and for Hydra where that is needed."""
    texts = {key: value.as_posix() if isinstance(value, Path) else value for key, value in overrides.items()}
    arguments = [as_argument(key, text) for key, text in texts.items()]
    return " ".join([program("python"), "-m", module, *arguments])


def repeated_command(module: str, overrides: Iterable[str]) -> str:
    """`python -m module ...` with overrides as Hydra takes them, quoted for the shell."""
    return " ".join([program("python"), "-m", module, shlex.join(overrides)])


def as_argument(key: str, value: str) -> str:
    return f"{key}={value}" if PLAIN_VALUE.fullmatch(value) else shlex.quote(f"{key}={hydra_quoted(value)}")


def hydra_quoted(value: str) -> str:
    """A text in Hydra's double quotes. There, backslashes count only before a quote."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), value)
    return f'"{escaped}"'


def program(name: str) -> str:
    """A program of this Python's environment: its bare name if the shell finds that one, or else its path."""
    beside_python = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside_python.exists() or (found and Path(found).absolute() == beside_python.absolute()):
        return name
    return shlex.quote(str(relative_to_here(beside_python)))


def relative_to_here(path: Path) -> Path:
    """The path from the working directory where it is below that, or else the absolute path."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

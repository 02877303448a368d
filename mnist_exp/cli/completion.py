"""Completion of commands and settings in bash: Hydra's completion, for a program of several commands.

complete -o nospace -o default -C "mnist-exp --complete" mnist-exp
"""

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from runpy import run_module

QUERY = ["-sc", "query=bash"]  # Hydra prints the words that fit at the end of COMP_LINE


def completions(line: str, commands: tuple[str, ...]) -> list[str]:
    """What the last word of a command line can become. The program's own name is the first word of the line."""
    program, _, rest = line.lstrip().partition(" ")
    name, _, overrides = rest.lstrip().partition(" ")
    if name == rest.lstrip():  # the command itself is not yet complete
        return [f"{command} " for command in commands if command.startswith(name)]
    return hydra_completions(name, f"{program} {overrides}") if name in commands else []


def hydra_completions(command: str, line: str) -> list[str]:
    os.environ["COMP_LINE"] = line
    sys.argv = [command, *QUERY]
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()):  # an error would be in the way of typing
        run_module(f"mnist_exp.{command}", run_name="__main__", alter_sys=True)
    return printed.getvalue().split()


def complete(word: str, commands: tuple[str, ...]) -> None:
    """Print a completion a line for what bash says is typed.

    word: the part of the last word that bash will replace. Bash splits words at `=`, so for data=c it is only c.
    """
    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0"))]
    before = len(line.split(" ")[-1]) - len(word.removeprefix("="))
    for found in completions(line, commands):
        print(found[before:])

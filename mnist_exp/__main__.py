"""One program for all commands: `mnist-exp train data=csv`, the same as `python -m mnist_exp.train data=csv`."""

import ast
import runpy
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mnist_exp.suggestions import did_you_mean

COMMANDS = ("train", "evaluate", "predict", "compare", "demo", "export")
INVALID_ARGUMENT = 2  # exit status


def main() -> None:
    """Run the command that the first argument names, with the arguments after it.

    Exit status: that of the command, or 2 where there is no such command.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        del sys.argv[1]
        # Lightning starts further processes, and Hydra names the log, by the module that runs as __main__.
        runpy.run_module(f"mnist_exp.{name}", run_name="__main__", alter_sys=True)
    elif name in ("--help", "-h"):
        print(usage())
    elif name == "--version":
        print(package_version())
    else:
        print(f"error: there is no command {name!r}{did_you_mean(name, COMMANDS)}\n\n{usage()}", file=sys.stderr)
        sys.exit(INVALID_ARGUMENT)


def usage() -> str:
    """The commands, each with the first line of its module's docstring."""
    lines = [f"  {name:<10}{summary(name)}" for name in COMMANDS]
    return "\n".join(
        [
            "mnist-exp <command> [group=option ...] [key=value ...]",
            "",
            *lines,
            "",
            "mnist-exp <command> --help lists everything that can be set.",
        ]
    )


def summary(name: str) -> str:
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")  # importing it would take longer
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def package_version() -> str:
    try:
        return version("mnist-exp")
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()

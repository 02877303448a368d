"""One program for all commands: `mnist-exp train data=csv`, the same as `python -m mnist_exp.train data=csv`."""

import runpy
import sys
import textwrap
from importlib.metadata import PackageNotFoundError, version

from mnist_exp.cli.conf_comments import read_comments
from mnist_exp.cli.overrides import CONF
from mnist_exp.suggestions import did_you_mean

COMMANDS = ("train", "evaluate", "predict", "compare", "demo", "export")
INVALID_ARGUMENT = 2  # exit status
WIDTH = 80  # characters of a line


def main() -> None:
    """Run the command that the first argument names, with the arguments after it.

    Exit status: that of the command, or 2 where there is no such command.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        del sys.argv[1]
        sys.path.insert(0, "")  # as `python -m` does: a class of your own is found in the present folder
        # Lightning starts further processes, and Hydra names the log, by the module that runs as __main__.
        runpy.run_module(f"mnist_exp.{name}", run_name="__main__", alter_sys=True)
    elif name in ("--help", "-h"):
        print(usage())
    elif name == "--complete":  # called by bash with the program, the current word and the one before
        from mnist_exp.cli.completion import complete

        complete(sys.argv[3] if len(sys.argv) > 3 else "", COMMANDS)
    elif name == "--version":
        print(package_version())
    else:
        print(f"error: there is no command {name!r}{did_you_mean(name, COMMANDS)}\n\n{usage()}", file=sys.stderr)
        sys.exit(INVALID_ARGUMENT)


def usage() -> str:
    """The commands, each with what its file in conf/ says that it does."""
    lines = [
        "mnist-exp <command> [group=option ...] [key=value ...]",
        "",
        *(textwrap.fill(f"  {name:<10}{summary(name)}", WIDTH, subsequent_indent=" " * 12) for name in COMMANDS),
        "",
        "mnist-exp <command> --help lists everything that can be set.",
    ]
    return "\n".join(lines)


def summary(name: str) -> str:
    """The first sentence of the comment that opens conf/<name>.yaml."""
    sentence, _, _ = read_comments(CONF / f"{name}.yaml").description.partition(". ")
    return sentence.rstrip(".") + "."


def package_version() -> str:
    try:
        return version("mnist-exp")
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()

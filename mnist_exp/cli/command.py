"""Turn a function that takes the config into a command-line program."""

import os
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

import hydra
from omegaconf import DictConfig

from mnist_exp.cli.broken_pipe import end_at_broken_pipe
from mnist_exp.cli.help import usage
from mnist_exp.cli.overrides import CONF, OverrideError, compose_checked
from mnist_exp.files import as_write_error, write_errors

INVALID_OVERRIDE = 2  # exit status
ROOM = 2**16  # bytes: more than Hydra's configuration and log take at the start


def command(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Turn a function that takes the config into a program: `hydra.main` behind the check of the overrides.

    Exit status: 0 when done, 2 for an invalid override, 1 where the run or any job of a sweep failed, 141 where the
    reader of the output has gone (`| head -1`).
    A failure is reported in one message. HYDRA_FULL_ERROR=1 shows the traceback as well.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        run_hydra = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(report_errors(task))

        @wraps(task)
        def main() -> None:
            with end_at_broken_pipe():
                run_command(config_name, run_hydra)

        return main

    return decorate


def run_command(config_name: str, run_hydra: Callable[[], Any]) -> None:
    """Check the overrides, then print help, or run the task once or as a sweep."""
    arguments = parse_arguments()
    if arguments.hydra_help or arguments.shell_completion:
        run_hydra()
        return
    try:
        cfg = compose_checked(config_name, arguments.overrides)
    except OverrideError as error:
        if show_traceback():
            raise
        fail(str(error), status=INVALID_OVERRIDE)
    if arguments.help:
        print(usage(config_name, cfg))
        return
    is_sweep = arguments.multirun or str(cfg.hydra.mode) == "RunMode.MULTIRUN"
    if cfg.hydra.output_subdir:
        check_room(Path(cfg.hydra.sweep.dir if is_sweep else cfg.hydra.run.dir))
    if not show_traceback():
        threading.excepthook = report_thread_error
    started = time.time()
    run_hydra()
    if is_sweep:
        from mnist_exp.cli.sweep_summary import close_sweep

        sys.exit(close_sweep(Path(cfg.hydra.sweep.dir), since=started))


def check_room(folder: Path) -> None:
    """End the program if nothing can be written to `folder`, which need not exist. Hydra would print a traceback."""
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if existing == Path.cwd():  # the first run that is started from here
        print(
            f"the results go to a new folder, {existing / folder.absolute().relative_to(existing).parts[0]}",
            file=sys.stderr,
        )
    try:
        with write_errors(folder), TemporaryFile(dir=existing) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        fail(str(error))


def report_thread_error(failure: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread, except for an OSError: TensorBoard raises that again when it is next used."""
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def parse_arguments() -> Namespace:
    """The command line as Hydra reads it.

    Hydra has no public name for its parser, and a copy of it would be out of step with the next version.
    """
    from hydra._internal.utils import get_args_parser

    return get_args_parser().parse_args()


def report_errors(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The task, with an exception of it printed as one message before the program ends."""

    @wraps(task)
    def run(cfg: DictConfig) -> Any:
        try:
            return task(cfg)
        except Exception as error:
            if show_traceback():
                raise
            if isinstance(error, OSError):
                fail(str(as_write_error(error, "the output")))
            if isinstance(error, (ValueError, RuntimeError)):  # their messages are written for users
                fail(str(error))
            fail(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)")

    return run


def show_traceback() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def fail(message: str, *, status: int = 1) -> NoReturn:
    """End the program with one message on stderr."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)

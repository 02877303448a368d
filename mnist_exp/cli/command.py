"""Turn a function that takes the config into a command-line program."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

import hydra
from omegaconf import DictConfig, OmegaConf

from mnist_exp.cli.accelerators import missing_accelerator
from mnist_exp.cli.arguments import read_arguments
from mnist_exp.cli.broken_pipe import end_at_broken_pipe
from mnist_exp.cli.help import usage
from mnist_exp.cli.overrides import CONF, check_single_values, compose_checked, job_folders
from mnist_exp.files import as_write_error, write_errors
from mnist_exp.training.command_line import repeated_command
from mnist_exp.training.run import INTERRUPTED, show_traceback

INVALID_OVERRIDE = 2  # exit status
TERMINATED = 143  # exit status after SIGTERM, as shells count it
ROOM = 2**16  # bytes: more than Hydra's configuration and log take at the start


def command(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Turn a function that takes the config into a program: `hydra.main` behind the check of the overrides.

    Exit status: 0 when done, 2 for an invalid override, 1 where the run or any job of a sweep failed, 130 after Ctrl-C,
    143 after SIGTERM, 141 where the reader of the output has gone (`| head -1`).
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
    typed = sys.argv[1:]
    try:
        flags, overrides = read_arguments(config_name)
        if flags.hydra_help or flags.shell_completion:
            run_hydra()
            return
        cfg = compose_checked(config_name, overrides)
        is_sweep = flags.multirun or str(cfg.hydra.mode) == "RunMode.MULTIRUN"
        if not is_sweep and not flags.help:
            check_single_values(overrides)
    except ValueError as error:
        if show_traceback():
            raise
        fail(str(error), status=INVALID_OVERRIDE)
    if flags.help:
        print(usage(config_name, cfg))
        return
    if problem := missing_accelerator(OmegaConf.select(cfg, "trainer.accelerator")):
        fail(problem, status=INVALID_OVERRIDE)
    if config_name == "train":
        check_room(Path(cfg.hydra.sweep.dir if is_sweep else cfg.hydra.run.dir))
    if not show_traceback():
        threading.excepthook = report_thread_error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end_at_sigterm)
    if is_sweep and config_name == "train":
        run_sweep(cfg, overrides, run_hydra, command=repeated_command("mnist_exp.train", typed))
        return
    try:
        run_hydra()
    except KeyboardInterrupt:
        fail("interrupted", status=INTERRUPTED)


def run_sweep(cfg: DictConfig, overrides: list[str], run_hydra: Callable[[], Any], *, command: str) -> NoReturn:
    """Run the jobs, print the table, and end the program.

    command: what was typed, so that it can be typed again.
    """
    from mnist_exp.cli.sweep_summary import close_sweep

    started = time.time()
    status = 0
    try:
        run_hydra()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as end:
        if end.code not in (INTERRUPTED, TERMINATED):
            raise
        status = end.code
    failed = close_sweep(Path(cfg.hydra.sweep.dir), since=started, planned=job_folders(cfg, overrides), command=command)
    sys.exit(status or failed)


def end_at_sigterm(*_: Any) -> NoReturn:
    """End as after an error, so that the run is recorded and a sweep prints its table."""
    sys.exit(TERMINATED)


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


def fail(message: str, *, status: int = 1) -> NoReturn:
    """End the program with one message on stderr."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)

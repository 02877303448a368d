"""Turn a function that takes the config into a command-line program."""

import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from mnist_exp.cli.help import usage
from mnist_exp.cli.overrides import CONF, OverrideError, check


def command(config_name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Makes a function of the configuration a command: `hydra.main` behind the check of its overrides.

    Exit status: 0 when done; 2 for an override that cannot be meant; 1 where the run, or any job of a sweep, failed.
    A failure is one message; HYDRA_FULL_ERROR=1 shows where it came from.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        hydra_main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(reported(task))

        @wraps(task)
        def main() -> None:
            arguments = get_args_parser().parse_args()
            if arguments.hydra_help or arguments.shell_completion:
                hydra_main()
                return
            try:
                cfg = check(config_name, arguments.overrides)
            except OverrideError as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                fail(str(error), status=2)
            if arguments.help:
                print(usage(config_name, cfg))
                return
            started = time.time()
            hydra_main()
            if arguments.multirun or str(cfg.hydra.mode) == "RunMode.MULTIRUN":
                from mnist_exp.cli.sweep_summary import close_sweep

                sys.exit(close_sweep(Path(cfg.hydra.sweep.dir), since=started))

        return main

    return decorate


def reported(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """The task, with its exception made the message that ends the program."""

    @wraps(task)
    def run(cfg: DictConfig) -> Any:
        try:
            return task(cfg)
        except Exception as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            if isinstance(error, (ValueError, OSError, RuntimeError)):  # written for people
                fail(str(error))
            fail(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)")

    return run


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Ends the program with one message on stderr."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)

"""Show that long work goes on: nobody should wait in silence for more than half a minute."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY = 30.0  # seconds between two lines


@contextmanager
def working(what: str, *, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Around long work: a spinner on a terminal; elsewhere a line on stderr after every 30 seconds.

    say: what to do with the lines instead, also on a terminal; such as `logger.info`.
    """
    if say is None and sys.stderr.isatty():
        from rich.console import Console
        from rich.markup import escape

        with Console(stderr=True).status(escape(what)):
            yield
        return
    done = Event()
    reporter = Thread(target=report, args=(what, say or say_on_stderr, done), daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()


def report(what: str, say: Callable[[str], None], done: Event) -> None:
    started = time.monotonic()
    while not done.wait(EVERY):
        say(f"{what}: {time.monotonic() - started:.0f} s so far")


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

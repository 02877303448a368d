"""End quietly when the reader of the output has gone, as in `train | head -1`.

The Unix way is to end at the first line that nobody can read. Python raises BrokenPipeError instead: logging prints a
traceback of it for every line, and Hydra and rich report it in ways of their own.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NoReturn, TextIO, cast

EXIT_STATUS = 141  # 128 + SIGPIPE: what a shell reports of a program that was ended by a broken pipe


@contextmanager
def end_at_broken_pipe() -> Iterator[None]:
    """Within this context, what cannot be written to stdout or stderr because its reader has gone ends the program."""
    with redirect_stdout(cast(TextIO, Output(sys.stdout))), redirect_stderr(cast(TextIO, Output(sys.stderr))):
        try:
            yield
        finally:
            sys.stdout.flush()  # here, not at the interpreter's end, where Python would complain


class Output:
    """A stream that raises SystemExit instead of BrokenPipeError: nobody takes that for an error to report."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            end_without_reader()

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            end_without_reader()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def end_without_reader() -> NoReturn:
    """End the program without a word.

    What is still in Python's buffers goes to nowhere: otherwise it would fail again when they are flushed at the end.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    sys.exit(EXIT_STATUS)

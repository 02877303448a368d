"""What was probably meant by a mistyped word. Light: a command's overrides are checked before anything is imported."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """ ": did you mean 'the nearest option'?", or nothing where none is near."""
    options = list(options)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    if not close:  # somebody may know the key and not its place
        close = [option for option in options if option.rsplit(".", 1)[-1] == word.rsplit(".", 1)[-1]][:1]
    return f": did you mean {close[0]!r}?" if close else ""

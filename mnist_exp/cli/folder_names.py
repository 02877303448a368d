"""How the folders of runs, sweeps and jobs are called: by names that the shell and Hydra read without quotes.

    optimizer=sgd data.batch_size=64 seed=0    data.batch_size-64+optimizer-sgd+seed-0
    data.train_csv=tables/a.csv seed=0         data.train_csv-tables-a.csv+seed-0+1f0c3a5b7d
    (nothing)                                  defaults

A name that does not spell out its settings, because they hold other characters or are too long, ends with a hash of
them. So two jobs never share a folder, and the same job always finds its own.
"""

import hashlib
import re
from collections.abc import Iterable

from mnist_exp.recipe import NOT_IN_FOLDER_NAMES, is_listed

LONGEST = 200  # characters, and as many bytes; file systems take 255
# In a spelled-out name `+` stands between settings, and the first `-` of each between key and value.
SPELLED_OUT = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*=[A-Za-z0-9_.-]*")
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
HASH_LENGTH = 10


def job_folder(overrides: Iterable[str]) -> str:
    """The name of a job's folder in its sweep's. The order of the overrides does not matter."""
    settings = sorted({each.lstrip("+") for each in overrides if tells_apart(each)})
    name = "+".join(setting.replace("=", "-", 1) for setting in settings) or "defaults"
    if all(map(SPELLED_OUT.fullmatch, settings)) and len(name) <= LONGEST:
        return name
    return with_hash(name, of="\n".join(settings))


def tells_apart(override: str) -> bool:
    key = override.partition("=")[0].lstrip("+~").partition("@")[0]
    return not is_listed(key, NOT_IN_FOLDER_NAMES)


def sweep_folder(study: str | None, overrides: list[str]) -> str:
    """The name of a sweep's folder: its study, or else the keys that it sets, such as `data+data.batch_size`."""
    keys = (override.partition("=")[0].lstrip("+~") for override in overrides if tells_apart(override))
    return folder_name(study or "+".join(key.replace("/", ".") for key in keys) or "defaults")


def folder_name(text: str) -> str:
    """The text itself where it can be the name of a folder, or else one made of it."""
    return text if PLAIN.fullmatch(text) and len(text) <= LONGEST else with_hash(text, of=text)


def with_hash(text: str, *, of: str) -> str:
    """A name that resembles `text` and ends with a hash."""
    digest = hashlib.sha256(of.encode()).hexdigest()[:HASH_LENGTH]
    resembling = re.sub(r"[^A-Za-z0-9_.+-]+", "-", text)[: LONGEST - HASH_LENGTH - 1].strip("+.-")
    return f"{resembling}+{digest}".lstrip("+")

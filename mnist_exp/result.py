"""What a run leaves in `result.json`: one documented schema, written and read here and nowhere else."""

import json
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from mnist_exp.files import write_json

RESULT_FILE = "result.json"
SCHEMA = 1
ADVICE = "Run it again (overwrite=true), or move the folder away"  # for a folder that cannot be used
STATUSES = ("finished", "failed", "interrupted")
IDENTIFICATION = ("status", "name", "seed", "overrides", "config")
MEASURED = (
    "data", "model", "epoch", "metrics", "history", "milestones", "seconds", "images_per_second", "environment",
)  # fmt: skip
SOURCE_ROOT = Path(__file__).parents[1]


class ResultError(ValueError):
    """A result.json that cannot be used: the message names the file, what is wrong with it and what to do."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The content of result.json. Accuracies are fractions from 0 to 1, times are seconds, epochs count from 1.

    The file of a failed or interrupted run has the fields up to `config`, and `error` and `traceback`.
    """

    status: str  # "finished", "failed" (by an error) or "interrupted" (by Ctrl-C, SIGTERM or a closed pipe)
    name: str = ""  # the run's name, such as "csv-cnn"
    seed: int
    overrides: list[str]  # what the user typed, such as ["data=csv", "trainer.max_epochs=3"]
    config: dict[str, Any]  # the resolved configuration, with neutral values for places and resources (recipe.py)
    data: dict[str, Any] = field(default_factory=dict)  # name, fingerprint, images in train and val, images tested
    model: dict[str, Any] = field(default_factory=dict)  # name, and the number of parameters
    epoch: int | None = None  # the epoch whose weights were tested; None where no epoch ended
    metrics: dict[str, float] = field(default_factory=dict)  # train/loss train/acc val/loss val/acc test/loss test/acc
    history: list[dict[str, Any]] = field(default_factory=list)  # an entry an epoch: its metrics and seconds
    milestones: list[dict[str, Any]] = field(default_factory=list)  # test/loss and test/acc after the epochs asked for
    seconds: dict[str, float] = field(default_factory=dict)  # by phase: prepare, setup, fit, test
    images_per_second: float = 0.0  # in training, validation excluded
    environment: dict[str, Any] = field(default_factory=dict)  # see `environment`
    error: str | None = None  # one line
    traceback: str | None = None
    schema: int = SCHEMA

    def write(self, run_dir: Path) -> Path:
        """Write result.json, whole or not at all. Raises ValueError where a figure is not finite: JSON has no NaN."""
        path = run_dir / RESULT_FILE
        try:
            write_json(path, self.to_dict())
        except ValueError as error:
            raise ValueError(f"{path} is not written: a figure is not finite ({error})") from error
        return path

    @classmethod
    def read(cls, run_dir: Path) -> Self | None:
        """The result of the run in `run_dir`. None where it has none: never run, still running, or killed.

        Raises ResultError where there is a file that is not such a result. Results of version 0.1, which have no
        `schema`, are read.
        """
        path = run_dir / RESULT_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ResultError(_advice(path, str(error))) from error
        try:
            return cls.from_dict(content)
        except ValueError as error:
            raise ResultError(_advice(path, str(error))) from error

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """A result from JSON. Raises ValueError that says what does not fit the schema."""
        if not isinstance(content, Mapping):
            raise ValueError("it is not a run's result")
        schema = content.get("schema", SCHEMA)  # version 0.1 had the same fields, and no number
        if schema != SCHEMA:
            raise ValueError(f"it has schema {schema!r}; this version of mnist_exp reads schema {SCHEMA}")
        required = ["status", "seed", "overrides", "config"]
        if content.get("status") == "finished":
            required += ["data", "metrics", "history", "environment"]
        if missing := [key for key in required if key not in content]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        known = {each.name: content[each.name] for each in fields(cls) if each.name in content}
        for name, value in known.items():
            if not _has_type(name, value):
                raise ValueError(f"its {name} is no {_TYPES[name].__name__}: {value!r:.60}")
        if known["status"] not in STATUSES:
            raise ValueError(f"it has the status {known['status']!r}, which is none of: {', '.join(STATUSES)}")
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """The content of result.json: the schema's number, then the fields that have a value."""
        measured = MEASURED if self.status == "finished" else ()
        names = ("schema", *IDENTIFICATION, *measured, "error", "traceback")
        content = asdict(self)
        return {name: content[name] for name in names if content[name] is not None}


_TYPES: dict[str, type] = {
    **dict.fromkeys(("status", "name", "error", "traceback"), str),
    **dict.fromkeys(("overrides", "history", "milestones"), list),
    **dict.fromkeys(("config", "data", "model", "metrics", "seconds", "environment"), dict),
    **dict.fromkeys(("seed", "epoch", "schema"), int),
    "images_per_second": float,
}


def _has_type(name: str, value: Any) -> bool:
    if name in ("epoch", "error", "traceback") and value is None:
        return True
    if _TYPES[name] in (int, float):
        return isinstance(value, (int, _TYPES[name])) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _advice(path: Path, problem: str) -> str:
    return f"cannot read {path}: {problem}. {ADVICE}"


class Stopwatch:
    """Seconds of a run's phases: `with stopwatch("fit"): ...` adds to `stopwatch.seconds["fit"]`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


def environment(device: str) -> dict[str, Any]:
    """The versions, the machine and the source that a figure was measured with."""
    import pytorch_lightning
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": pytorch_lightning.__version__,
        "device": device,
        "threads": torch.get_num_threads(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _git(*arguments: str) -> str:
    """What git prints of the source tree; empty where there is no git or no repository.

    An installed package has none: the repository around its site-packages would be somebody else's.
    """
    if not (SOURCE_ROOT / ".git").exists():
        return ""
    try:
        return subprocess.run(
            ["git", "-C", str(SOURCE_ROOT), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

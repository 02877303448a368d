"""The models that the page shows: what to call each, and how accurate it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.result import ResultError, RunResult

if TYPE_CHECKING:
    from mnist_exp.models.classifier import DigitClassifier

MAX_NAME = 60  # characters


@dataclass(frozen=True)
class ShownModel:
    """A classifier with what the page says about it."""

    model: "DigitClassifier"
    name: str  # its run's, and what tells it from another of the same name and kind
    kind: str  # such as cnn
    test_accuracy: float | None  # 0 to 1; None where the run folder does not tell
    classes: tuple[str, ...] = tuple("0123456789")  # what its ten answers mean

    @property
    def label(self) -> str:
        """Name and kind, which no other model on the page has."""
        return f"{self.name} ({self.kind})"


def show_models(
    loaded: "Mapping[Path, tuple[DigitClassifier, Mapping[str, Any]]]",
    classes: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda _: ShownModel.classes,
) -> list[ShownModel]:
    """What to show of each checkpoint; `loaded` holds its classifier and its run's configuration.

    classes: what the ten answers of a run mean, by its configuration; digits if nothing is said.

    Example: runs/a/checkpoints/best.ckpt and runs/b/checkpoints/best.ckpt, both of the run name csv-cnn and the kind
    cnn, are named `csv-cnn a` and `csv-cnn b`.
    """
    titles = {path: (plain(config.get("name")), plain(model.name)) for path, (model, config) in loaded.items()}
    shown: list[ShownModel] = []
    for path, (run, kind) in titles.items():
        same = [other for other, title in titles.items() if title == (run, kind)]
        name = run if len(same) == 1 else f"{run} {plain(own_parts(path, same))}"
        taken = [other.name for other in shown if other.kind == kind]
        model, config = loaded[path]
        shown.append(ShownModel(model, numbered(name, taken), kind, test_accuracy(path), classes(config)))
    return shown


def own_parts(path: Path, others: Sequence[Path]) -> str:
    """The parts of `path` that not all of `others` have, such as `seed=1` of `sweep/seed=1/checkpoints/best.ckpt`."""
    common = set.intersection(*(set(other.resolve().parts) for other in others))
    return "/".join(part for part in path.resolve().parts if part not in common) or path.name


def numbered(name: str, taken: Sequence[str]) -> str:
    """`name`, or the first of `name 2`, `name 3`, ... that is not taken."""
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def test_accuracy(checkpoint: Path) -> float | None:
    """The test accuracy in the run folder of a checkpoint. It is that of best.ckpt, the only one that was tested."""
    if checkpoint.name != "best.ckpt":
        return None
    try:
        result = RunResult.read(checkpoint.resolve().parents[1])
    except (ResultError, IndexError):  # not a run folder of ours, or none at all
        return None
    accuracy = result.metrics.get("test/acc") if result else None
    return accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None


def plain(text: object) -> str:
    """`text` on one line of at most MAX_NAME characters, without control characters: it comes from a file."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(text))
    return shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 1]}…"

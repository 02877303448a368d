"""Score a checkpoint's answers on a suite of test sets, and write the scores to a file and to TensorBoard.

The file is `evaluation-<suite>.json` in the run folder. Accuracies are fractions from 0 to 1.

- `acc`, `n`, `ece` (expected calibration error), `by_class` and `confusion` (a row for each true label, a column for
  each answer, both in the order of `by_class`) are over all images of the suite.
- `risk_coverage` has, for some values of `min_confidence`, the share of pictures that is answered with at least that
  probability, and the error rate among these. See `rejection.risk_coverage`.
- `refused` lists the pictures that could not be read: file, label and reason. They count as wrong answers in every
  accuracy, and are not in `ece` and `confusion`.
- `by_subset` has each subset, such as `noise/shot`, with the 95% interval (Wilson) of its accuracy. A family of
  subsets, such as `noise`, comes before its members and is over all their images. It has no interval, because the same
  digit may occur in many members.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_exp.analysis.rejection import risk_coverage
from mnist_exp.analysis.statistics import confusion_counts, expected_calibration_error, wilson_interval
from mnist_exp.data.digits import Digits
from mnist_exp.data.named_sets import DIGITS
from mnist_exp.files import write_errors, write_json
from mnist_exp.models.checkpoint import trained_epochs

if TYPE_CHECKING:
    from rich.table import Table

    from mnist_exp.models.classifier import DigitClassifier

MISTAKES = 36  # in the picture of the worst ones
TRANSPOSED_SAMPLE = 500  # images
LISTED_CONFIDENCES = (0.5, 0.9, 0.99)  # of the risk-coverage curve, in the table
LETTERS = 12  # of a subset's name below a mistake
EVENTS = "events.out.tfevents"  # how the names of TensorBoard's files start

Subsets = Mapping[str, Digits]
Probs = Mapping[str, np.ndarray]  # float32 (N, 10) for each subset


def score(subsets: Subsets, probs: Probs, *, classes: Sequence[str] = DIGITS) -> dict[str, Any]:
    """The scores that `evaluation-<suite>.json` holds, from the probabilities for each subset.

    classes: what the labels 0 to 9 mean.
    """
    parts: dict[str, list[np.ndarray]] = {}  # for each family and each subset: which answers were right
    for name, digits in subsets.items():
        for part in dict.fromkeys((name.split("/")[0], name)):
            parts.setdefault(part, []).append(right_answers(digits, probs[name]))
    right = np.concatenate([right_answers(digits, probs[name]) for name, digits in subsets.items()])
    labels = np.concatenate([all_labels(digits) for digits in subsets.values()])
    read_probs = np.concatenate([probs[name] for name in subsets])
    read_labels = np.concatenate([digits.labels.numpy() for digits in subsets.values()])
    read_right = read_probs.argmax(axis=1) == read_labels
    return {
        **accuracy(right),
        "ece": expected_calibration_error(read_probs, read_labels)[0],
        "risk_coverage": risk_coverage(read_probs.max(axis=1), read_right, unread=len(right) - len(read_right)),
        "by_class": {name: accuracy(right[labels == label]) for label, name in enumerate(classes)},
        "by_subset": {
            part: accuracy(np.concatenate(correct), interval=part in subsets) for part, correct in parts.items()
        },
        "confusion": confusion_counts(read_probs.argmax(axis=1), read_labels).tolist(),
        "refused": [each._asdict() for digits in subsets.values() for each in digits.refused],
    }


def right_answers(digits: Digits, probs: np.ndarray) -> np.ndarray:
    """Which answers are right, bool: those to the images, then those to the refused pictures, which never are."""
    return np.append(probs.argmax(axis=1) == digits.labels.numpy(), np.zeros(len(digits.refused), bool))


def all_labels(digits: Digits) -> np.ndarray:
    """The labels of the images and then of the refused pictures."""
    return np.append(digits.labels.numpy(), np.array([each.label for each in digits.refused], np.int64))


def transposed_accuracy(model: "DigitClassifier", digits: Digits) -> float:
    """The accuracy on some of the images with rows and columns exchanged, as in EMNIST's files."""
    some = slice(None, None, -(-len(digits) // TRANSPOSED_SAMPLE))
    probs = model.probabilities(digits.images[some].transpose(1, 2).contiguous())
    return float((probs.argmax(dim=1) == digits.labels[some]).float().mean())


def accuracy(correct: np.ndarray, *, interval: bool = False) -> dict[str, Any]:
    """`acc` (None without an image), `n`, and on request the `interval`. correct: bool (N,)."""
    n, right = len(correct), int(correct.sum())
    figures: dict[str, Any] = {"acc": right / n if n else None, "n": n}
    return figures | ({"interval": list(wilson_interval(right, n))} if interval else {})


def write_evaluation(run_dir: Path, label: str, evaluation: Mapping[str, Any], subsets: Subsets, probs: Probs) -> Path:
    """Writes the file and the TensorBoard events of an evaluation. Returns the file's path.

    They replace those of an earlier evaluation of the same suite. label: of the suite.
    """
    from torch.utils.tensorboard import SummaryWriter

    path = run_dir / f"evaluation-{label}.json"
    write_json(path, evaluation)
    suffix = f".{path.stem}"
    for earlier in run_dir.glob(f"{EVENTS}.*"):
        if earlier.name.endswith(suffix):
            earlier.unlink()
    with write_errors(run_dir), SummaryWriter(str(run_dir), filename_suffix=suffix) as writer:
        scalars = {"acc": evaluation["acc"], "ece": evaluation["ece"]}
        if len(subsets) > 1:
            scalars |= {f"{name}/acc": figures["acc"] for name, figures in evaluation["by_subset"].items()}
        epoch = evaluation["checkpoint"]["epoch"]  # the x axis, as in training
        for key, value in scalars.items():
            writer.add_scalar(f"{label}/{key}", value, epoch)
        drawn = worst_mistakes(subsets, probs, classes=list(evaluation["by_class"]))
        writer.add_image(f"{label}/worst_mistakes", drawn, epoch, dataformats="HWC")
    return path


def worst_mistakes(subsets: Subsets, probs: Probs, *, classes: Sequence[str] = DIGITS) -> np.ndarray:
    """A picture of the mistakes made with most confidence, as many from each subset: uint8 (H, W, 3)."""
    from mnist_exp.analysis import figures

    rows: dict[str, list[figures.Mistake]] = {}
    for name, digits in list(subsets.items())[:MISTAKES]:
        family, _, member = name.partition("/")
        images, labels = digits.images.numpy(), digits.labels.numpy()
        worst = figures.most_confident_mistakes(probs[name], labels, images, count=max(1, MISTAKES // len(subsets)))
        named = [mistake._replace(note=f"{mistake.note}\n{member[:LETTERS]}".strip()) for mistake in worst]
        rows.setdefault(family, []).extend(named)
    shown = {family: mistakes for family, mistakes in rows.items() if mistakes}
    return figures.pixels(figures.mistakes(shown or {"No mistakes": []}, classes=classes))


def describe_checkpoint(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Which checkpoint answered: its file, the name and seed of its run, and after how many epochs."""
    epoch = trained_epochs(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": str(path), "sha256": digest, "name": config["name"], "seed": config["seed"], "epoch": epoch}


def table(label: str, evaluations: Sequence[Mapping[str, Any]]) -> "Table":
    """The table for the terminal: a row for each subset, a column for each checkpoint, in percent."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    title = f"{escape(label)}: accuracy in % (95% interval)"
    rows = Table("subset", title=title, title_justify="left", box=SIMPLE_HEAD)
    rows.add_column("n", justify="right")
    for name in column_names([evaluation["checkpoint"] for evaluation in evaluations]):
        rows.add_column(escape(name), justify="right")
    for subset, figures in evaluations[0]["by_subset"].items():
        indented = f"  {subset.split('/')[1]}" if "/" in subset else subset
        rows.add_row(escape(indented), f"{figures['n']:,}", *(cell(each["by_subset"][subset]) for each in evaluations))
    rows.add_section()
    if len(evaluations[0]["by_subset"]) > 1:
        rows.add_row("all images", f"{evaluations[0]['n']:,}", *map(cell, evaluations))
    rows.add_row("calibration error", "", *(f"{100 * each['ece']:.2f}" for each in evaluations))
    for curves in zip(*(each["risk_coverage"] for each in evaluations), strict=True):
        if (least := curves[0]["min_confidence"]) in LISTED_CONFIDENCES:
            rows.add_row(f"errors among answers of {least} and more", "", *map(risk_cell, curves))
    return rows


def risk_cell(point: Mapping[str, Any]) -> str:
    """`0.35 (97.2 answered)`, in percent."""
    error = "–" if point["error"] is None else f"{100 * point['error']:.2f}"
    return f"{error} ({100 * point['answered']:.1f} answered)"


def column_names(checkpoints: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the checkpoints' runs; where two runs have the same name, the checkpoints' paths."""
    runs = [checkpoint["name"] for checkpoint in checkpoints]
    return runs if len(set(runs)) == len(runs) else [checkpoint["path"] for checkpoint in checkpoints]


def cell(figures: Mapping[str, Any]) -> str:
    """`98.54 (98.28–98.76)`, in percent; without the interval where there is none."""
    percent = f"{100 * figures['acc']:.2f}"
    if "interval" not in figures:
        return percent
    low, high = figures["interval"]
    return f"{percent} ({100 * low:.2f}–{100 * high:.2f})"

"""The model card of a checkpoint: what it is, how good, and what not to ask of it (after Mitchell et al. 2019)."""

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnist_exp.analysis import markdown
from mnist_exp.analysis.markdown import NOTHING, code, number, paragraphs, percent

if TYPE_CHECKING:
    from rich.table import Table

LOWEST = 6  # sets named among the limits

EXAMPLES = {
    "model.onnx": """\
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("export/model.onnx")
images = np.zeros((1, 28, 28), np.uint8)  # your digits, as many as you like
[probabilities] = session.run(["probabilities"], {"images": images})
print(probabilities.argmax(axis=1))""",
    "model.pt2": """\
import torch

model = torch.export.load("export/model.pt2").module()
images = torch.zeros(1, 28, 28, dtype=torch.uint8)  # your digits, as many as you like
print(model(images).argmax(dim=1))""",
}


class Row(NamedTuple):
    """A file, and how its answers compare with the checkpoint's on n images. The checkpoint itself has no difference.

    size: bytes. seconds: that one image takes by itself, the median of many.
    """

    file: str
    size: int
    difference: float | None
    n: int
    seconds: float

    def cells(self) -> list[str]:
        same = (f"{self.difference:.1e}", f"{self.n:,}/{self.n:,}") if self.difference is not None else ("", "")
        return [self.file, f"{self.size / 1e6:.2f} MB", *same, f"{1e3 * self.seconds:.3f} ms"]


HEADER = ["file", "size", "largest difference", "same labels", "one image"]


def table(rows: Sequence[Row]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table(HEADER[0], box=SIMPLE_HEAD)
    for name in HEADER[1:]:
        shown.add_column(name, justify="right")
    for row in rows:
        shown.add_row(*row.cells())
    return shown


def read_evaluations(run_dir: Path, sha256: str) -> dict[str, dict[str, Any]]:
    """What `evaluate` left in the run folder, by suite.

    Without what another checkpoint answered, and what was asked of a part of the images (suite.every): such are the
    points of a curve over severities, and the hardest of them would stand for the whole.
    """
    found = {}
    for path in sorted(run_dir.glob("evaluation-*.json")):
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        if evaluation["checkpoint"]["sha256"] == sha256 and evaluation["suite"].get("every", 1) == 1:
            found[path.stem.removeprefix("evaluation-")] = evaluation
    return found


def model_card(
    *,
    config: Mapping[str, Any],
    checkpoint: Mapping[str, Any],
    parameters: int,
    test: Mapping[str, Any],
    evaluations: Mapping[str, Mapping[str, Any]],
    files: Sequence[Row],
    result: Mapping[str, Any] | None,
    environment: Mapping[str, Any],
) -> str:
    """The card, as Markdown.

    config: of the run, resolved. checkpoint: as `evaluation.identify` tells it. test: `evaluation.score` on MNIST's
    test images. evaluations: by suite. result: the run's result.json, None where it left none. environment: of now.
    """
    known = result or {}
    suites = {"test": test, **evaluations}
    return (
        paragraphs(
            f"# Model card: {code(checkpoint['name'])}",
            f"A recogniser of handwritten digits: {code(call(config['model']['net']))}, {parameters:,} parameters. It "
            f"reads **{accuracy(test['by_subset']['test'])}** of MNIST's {test['n']:,} test images (95% interval).",
            how_to_use(files),
            "## Intended use",
            "For learning, and for comparing methods. Where a wrong digit would do harm (cheques, forms, post), test "
            "it on digits from there first, and let someone look at what it is unsure of.",
            data(config, known.get("data")),
            recipe(config, checkpoint, known),
            measured(suites),
            calibration(suites),
            limits(suites),
            origin(checkpoint, files, known.get("environment", {}), environment),
        )
        + "\n"
    )


# --- its sections ---


def how_to_use(files: Sequence[Row]) -> str:
    examples = [f"```python\n{EXAMPLES[row.file]}\n```" for row in files if row.file in EXAMPLES]
    if not examples:
        return ""
    return paragraphs(
        "## How to use it",
        "In: `images`, uint8 `[batch, 28, 28]`, white (255) on black (0), any number of them. Out: `probabilities`, "
        "float32 `[batch, 10]`. Scaling happens inside. From this folder:",
        *examples,
        "Photos and scans are to be brought to MNIST's form first; `python -m mnist_exp.predict` does that.",
    )


def data(config: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    own = config["data"].get("folder") or config["data"].get("train_csv")
    source = (
        f"Trained on digits of one's own, {code(own)}, not on MNIST."
        if own
        else "Trained on MNIST (LeCun, Cortes, Burges 1998): digits that employees of the US Census Bureau and "
        "high-school students wrote in the 1990s, scanned, scaled to 20x20 and centred by mass in 28x28."
    )
    if known is None:
        return paragraphs("## Data", source, "The run left no result: how many images, and which, is not recorded.")
    return paragraphs(
        "## Data",
        f"{source} {known['train']:,} images were trained on, {known['val']:,} held out for choosing, "
        f"{known['test']:,} only tested on.",
        f"Fingerprint of training and test set, pixels and labels: {code(known['fingerprint'])}",
    )


def recipe(config: Mapping[str, Any], checkpoint: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    model, digits, trainer = config["model"], config["data"], config["trainer"]
    rows = [
        ["classifier", code(class_name(model))],
        ["net", code(call(model["net"]))],
        ["pixels", "mean 0, standard deviation 1" if model["standardize"] else "0 to 1"],
        ["optimizer", code(call(model.get("optimizer")))],
        ["scheduler", code(call(model.get("scheduler")))],
        ["augmentation", code(call(model.get("augment")))],
        ["batch size", digits["batch_size"]],
        ["epochs", f"{checkpoint['epoch']} (of at most {trainer['max_epochs']})"],
        ["precision", trainer["precision"]],
        ["seed", checkpoint["seed"]],
    ]
    typed = " ".join(map(shlex.quote, known.get("overrides", [])))
    again = f"```bash\npython -m mnist_exp.train {typed}\n```" if "overrides" in known else ""
    return paragraphs("## Recipe", markdown.table("As configured", ["", "value"], rows), again)


def measured(suites: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each set and each family of sets; what several suites measured alike once."""
    rows: dict[tuple[str, int, float], list[Any]] = {}
    for suite, evaluation in suites.items():
        for name, figures in evaluation["by_subset"].items():
            if "/" not in name:
                row = [code(suite), code(name), f"{figures['n']:,}", accuracy(figures)]
                rows.setdefault((name, figures["n"], figures["acc"]), row)
    caption = "Accuracy, with its 95% interval (Wilson) over images"
    return paragraphs(
        "## Accuracy",
        markdown.table(caption, ["suite", "digits", "n", "accuracy"], list(rows.values())),
        "A family of corruptions has no interval, since it shows each image many times. No interval speaks of other "
        "seeds: the same recipe with another seed is another model.",
    )


def calibration(suites: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [[code(suite), f"{each['n']:,}", number(100 * each["ece"])] for suite, each in suites.items()]
    return paragraphs(
        "## Calibration",
        "How far its probability is from how often it is right (expected calibration error, 15 bins).",
        markdown.table("In percentage points; 0 is best", ["suite", "n", "error"], rows),
    )


def limits(suites: Mapping[str, Mapping[str, Any]]) -> str:
    sets = {
        name: figures["acc"]
        for evaluation in suites.values()
        for name, figures in evaluation["by_subset"].items()
        if "interval" in figures  # no family
    }
    lowest = sorted(sets, key=lambda name: sets[name])[:LOWEST]
    found = (
        "From other hands, pens and cameras expect what the table above says of them, not the test set's accuracy. "
        f"Of {len(sets)} sets it read worst: "
        + ", ".join(f"{code(name)} {percent(sets[name])}" for name in lowest)
        + "."
        if len(sets) > 1
        else "How it reads other hands, pens and cameras was not measured. "
        "`python -m mnist_exp.evaluate ckpt_path=... suite=all` does that; the next export puts it here."
    )
    return paragraphs(
        "## Limits",
        "- One digit an image, in MNIST's form: 28x28, white on black, the digit 20 pixels high or wide, its mass in "
        "the middle.\n"
        "- It always answers: a letter, a blank image and two digits side by side get a label too, and often a high "
        "probability.\n"
        f"- {found}",
    )


def origin(
    checkpoint: Mapping[str, Any], files: Sequence[Row], trained: Mapping[str, Any], now: Mapping[str, Any]
) -> str:
    cells = [row.cells() for row in files]
    environments = {"trained": trained, "exported and measured": now}
    keys = ["device", "threads", "python", "torch", "lightning"]
    rows = [
        [name, *(each.get(key, NOTHING) for key in keys), commit(each)] for name, each in environments.items() if each
    ]
    runtime = f", ONNX Runtime {version('onnxruntime')}" if any(row.file == "model.onnx" for row in files) else ""
    return paragraphs(
        "## Origin",
        f"Checkpoint {code(checkpoint['path'])}, SHA-256 {code(checkpoint['sha256'])}.",
        markdown.table("Each file against the checkpoint, on MNIST's test images", HEADER, cells),
        f"Measured on {platform.platform()}, {platform.machine()}, {os.cpu_count()} CPUs{runtime}.",
        markdown.table("Where", ["", *keys, "commit"], rows),
        "The form of this card: M. Mitchell et al., Model Cards for Model Reporting, 2019, "
        "[arXiv:1810.03993](https://arxiv.org/abs/1810.03993).",
    )


# --- their words ---


def commit(environment: Mapping[str, Any]) -> str:
    if not environment["commit"]:
        return NOTHING
    return code(environment["commit"][:12]) + " with changes" * environment["dirty"]


def accuracy(figures: Mapping[str, Any]) -> str:
    """98.54% (98.28–98.76)"""
    if "interval" not in figures:
        return percent(figures["acc"])
    low, high = figures["interval"]
    return f"{percent(figures['acc'])} ({100 * low:.2f}–{100 * high:.2f})"


def call(node: Mapping[str, Any] | None) -> str:
    """A node of the configuration as the call that it stands for: Adam(lr=0.001, betas=[0.9, 0.999])."""
    if node is None:
        return "none"
    arguments = (f"{key}={value}" for key, value in node.items() if not key.startswith("_"))
    return f"{class_name(node)}({', '.join(arguments)})"


def class_name(node: Mapping[str, Any]) -> str:
    return node["_target_"].rsplit(".", 1)[-1]

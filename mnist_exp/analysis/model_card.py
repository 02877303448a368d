"""The model card of a checkpoint: what it is, how good, and what not to use it for (after Mitchell et al. 2019).

It opens with YAML for model hubs, as https://huggingface.co/docs/hub/model-cards describes it.
"""

import json
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mnist_exp.analysis.markdown import NOTHING, code, markdown_table, number, paragraphs, percent, plain_text
from mnist_exp.data.named_sets import DIGITS, NAMED_SETS, NamedSet, dataset_of

if TYPE_CHECKING:
    from rich.table import Table

LOWEST = 6  # how many of the sets with the lowest accuracy the limits name

MNIST = "ylecun/mnist"  # what model hubs call it

EXAMPLES = {
    "model.safetensors": """\
import torch

import mnist_exp  # the project that trained it

model = mnist_exp.load(".")  # this folder; a network class of your own: mnist_exp.load(".", network="my_module.MyNet")
images = torch.zeros(1, 28, 28, dtype=torch.uint8)  # your digits, as many as you like
print(model.probabilities(images).argmax(dim=1))""",
    "model.onnx": """\
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
images = np.zeros((1, 28, 28), np.uint8)  # your digits, as many as you like
[probabilities] = session.run(["probabilities"], {"images": images})
print(probabilities.argmax(axis=1))""",
    "model.pt2": """\
import torch

model = torch.export.load("model.pt2").module()
images = torch.zeros(1, 28, 28, dtype=torch.uint8)  # your digits, as many as you like
print(model(images).argmax(dim=1))""",
}
PROGRAMS = {
    "model.c": """\
`model.c` is C99 and needs nothing but the standard library. `int classify(const uint8_t image[784], float
probabilities[10])` returns the digit. As a program, here on MNIST's test images:

```bash
cc -std=c99 -O3 -DCLASSIFY_MAIN model.c -lm -o digits
tail -c +17 t10k-images-idx3-ubyte | ./digits
```""",
    "model.html": """\
`model.html` is a page to draw a digit on. It opens in a browser, needs no server and makes no request. Its weights were
compared with the checkpoint's answers by torch, not in a browser.""",
}


class ExportedFile(NamedTuple):
    """A file, and how its answers compare with the checkpoint's on n images.

    size: bytes. difference: the largest between two probabilities, None for the checkpoint itself and for a file that
    was not checked (a file with another label is not written). seconds: for one image by itself, the median of many,
    None if not measured.
    """

    file: str
    size: int
    difference: float | None
    n: int
    seconds: float | None

    def cells(self) -> list[str]:
        same = (f"{self.difference:.1e}", f"{self.n:,}/{self.n:,}") if self.difference is not None else ("", "")
        seconds = f"{1e3 * self.seconds:.3f} ms" if self.seconds is not None else ""
        return [self.file, f"{self.size / 1e6:.2f} MB", *same, seconds]


HEADER = ["file", "size", "largest difference", "same labels", "one image"]


def files_table(files: Sequence[ExportedFile]) -> "Table":
    """For the terminal: a row per file."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(HEADER[0], box=SIMPLE_HEAD)
    for name in HEADER[1:]:
        table.add_column(name, justify="right")
    for file in files:
        table.add_row(*map(Text, file.cells()))
    return table


def read_evaluations(run_dir: Path, sha256: str) -> dict[str, dict[str, Any]]:
    """The evaluations in the run folder, by suite: `evaluation-<suite>.json`, as `evaluate` writes them.

    Evaluations of another checkpoint are left out (`sha256` is this one's), and those on a part of the images
    (`suite.every`). Such parts are the points of a curve over severities: the hardest would count as much as the whole.

    Raises ValueError for a file that is no evaluation.
    """
    found = {}
    for path in sorted(run_dir.glob("evaluation-*.json")):
        try:
            evaluation = json.loads(path.read_text(encoding="utf-8"))
            if evaluation["checkpoint"]["sha256"] == sha256 and evaluation["suite"].get("every", 1) == 1:
                found[path.stem.removeprefix("evaluation-")] = evaluation
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is no evaluation ({error}). Run evaluate again, or move it away") from error
    return found


def model_card(
    *,
    config: Mapping[str, Any],
    checkpoint: Mapping[str, Any],
    parameters: int,
    test: Mapping[str, Any],
    evaluations: Mapping[str, Mapping[str, Any]],
    files: Sequence[ExportedFile],
    result: Mapping[str, Any] | None,
    environment: Mapping[str, Any],
    license: str,
) -> str:
    """The card, as Markdown after YAML.

    config: the run's resolved configuration. checkpoint: from `scores.describe_checkpoint`. test: from `scores.score`,
    on the test images of its data set. evaluations: by suite. result: the content of the run's result.json, None where
    there is none. environment: where the files were exported and measured. license: of the model.
    """
    known = result or {}
    suites = {"test": test, **evaluations}
    data = NAMED_SETS[dataset_of(config)]
    what = "handwritten digits" if data.classes == DIGITS else f"the classes of {data.title}"
    return (
        front_matter(checkpoint, config, suites, files, license=license)
        + paragraphs(
            f"# Model card: {code(checkpoint['name'])}",
            f"A recogniser of {what}: {code(call(config['model']['net']))}, {parameters:,} parameters. It "
            f"reads **{accuracy(test['by_subset']['test'])}** of {data.title}'s {test['n']:,} test images (95% "
            "interval).",
            how_to_use(files, data),
            "## Intended use",
            "For learning, and for comparing methods. If a wrong answer would do harm (cheques, forms, post), test it "
            "on images from there first, and let a person check the answers that it is unsure of.",
            training_data(config, known.get("data")),
            recipe(config, checkpoint, known),
            accuracies(suites),
            calibration(suites),
            limits(suites, data),
            origin(checkpoint, files, known.get("environment", {}), environment),
        )
        + "\n"
    )


# --- its sections ----------------------------------------------------------------------------------------------------


def front_matter(
    checkpoint: Mapping[str, Any],
    config: Mapping[str, Any],
    suites: Mapping[str, Mapping[str, Any]],
    files: Sequence[ExportedFile],
    *,
    license: str,
) -> str:
    """What a model hub lists and searches: YAML between two lines of three dashes."""
    data = NAMED_SETS[dataset_of(config)]
    test = {"type": MNIST if data.title == "MNIST" else plain_text(data.title), "name": data.title, "split": "test"}
    results = [
        {
            "task": {"type": "image-classification", "name": f"Recognition of images like those of {data.title}"},
            "dataset": test if suite == "test" else {"type": plain_text(suite), "name": plain_text(suite)},
            "metrics": [
                {"type": "accuracy", "name": "Accuracy", "value": round(each["acc"], 6)},
                {"type": "ece", "name": "Expected calibration error, 15 bins", "value": round(each["ece"], 6)},
            ],
        }
        for suite, each in suites.items()
    ]
    kinds = [row.file.removeprefix("model.") for row in files]
    content = {
        "license": plain_text(license),
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": [
            *(["handwritten-digits"] if data.classes == DIGITS else []),
            *sorted({"safetensors", "onnx"} & set(kinds)),
        ],
        **({"datasets": [MNIST]} if data.title == "MNIST" and not own_data(config) else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": plain_text(checkpoint["name"]), "results": results}],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n\n"


def own_data(config: Mapping[str, Any]) -> Any:
    """Where the user's own training data are, if it was not trained on a named set."""
    return config["data"].get("folder") or config["data"].get("train_csv")


def how_to_use(files: Sequence[ExportedFile], data: NamedSet) -> str:
    examples = [f"```python\n{EXAMPLES[row.file]}\n```" for row in files if row.file in EXAMPLES]
    programs = [PROGRAMS[row.file] for row in files if row.file in PROGRAMS]
    if not examples and not programs:
        return ""
    classes = ", ".join(f"{label} {name}" for label, name in enumerate(data.classes))
    return paragraphs(
        "## How to use it",
        "In: `images`, uint8 `[batch, 28, 28]`, white (255) on black (0), any number of them. Out: `probabilities`, "
        "float32 `[batch, 10]`. The model scales its input itself. From this folder:",
        *examples,
        *programs,
        "" if data.classes == DIGITS else f"Its ten answers: {classes}.",
        "Photos and scans must be brought to MNIST's form first; `python -m mnist_exp.predict` does that.",
    )


def training_data(config: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    """known: `data` of result.json, None where there is no result."""
    data = NAMED_SETS[dataset_of(config)]
    own = own_data(config)
    source = f"Trained on {code(own)}, not on {data.title}." if own else f"Trained on {data.title} ({data.origin})."
    if known is None:
        return paragraphs("## Data", source, "The run has no result.json: its number of images is not recorded.")
    train, val, test = (thousands(known[key]) for key in ("train", "val", "test"))
    return paragraphs(
        "## Data",
        f"{source} It was trained on {train} images. {val} others chose its weights, and {test} more tested it.",
        f"Fingerprint of training and test set, pixels and labels: {code(known['fingerprint'])}",
    )


def recipe(config: Mapping[str, Any], checkpoint: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    model, digits, trainer = config["model"], config["data"], config["trainer"]
    rows = [
        ["classifier", code(class_name(model))],
        ["net", code(call(model["net"]))],
        ["pixels", "MNIST's mean becomes 0 and its standard deviation 1" if model["standardize"] else "0 to 1"],
        ["optimizer", code(call(model.get("optimizer")))],
        ["scheduler", code(call(model.get("scheduler")))],
        ["augmentation", code(call(model.get("augment")))],
        ["batch size", code(digits["batch_size"])],
        ["epochs", code(f"{checkpoint['epoch']} (of at most {trainer['max_epochs']})")],
        ["precision", code(trainer["precision"])],
        ["seed", code(checkpoint["seed"])],
    ]
    typed = " ".join(shlex.quote(plain_text(override)) for override in known.get("overrides", []))
    again = f"```bash\npython -m mnist_exp.train {typed}\n```" if typed else ""  # nothing is typed in a Python program
    return paragraphs("## Recipe", markdown_table("As configured", ["", "value"], rows), again)


def accuracies(suites: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each set and each family of sets. A set that several suites share has one row."""
    rows: dict[tuple[str, int, float], list[Any]] = {}
    for suite, evaluation in suites.items():
        for name, score in evaluation["by_subset"].items():
            if "/" not in name:
                row = [code(suite), code(name), thousands(score["n"]), accuracy(score)]
                rows.setdefault((name, score["n"], score["acc"]), row)
    caption = "Accuracy, with its 95% interval (Wilson) over images"
    return paragraphs(
        "## Accuracy",
        markdown_table(caption, ["suite", "digits", "n", "accuracy"], list(rows.values())),
        "A family of corruptions has no interval, because it shows each image many times. The intervals say nothing "
        "about other seeds: the same recipe with another seed is another model.",
    )


def calibration(suites: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [[code(suite), f"{each['n']:,}", number(100 * each["ece"])] for suite, each in suites.items()]
    return paragraphs(
        "## Calibration",
        "The mean distance between its probability and how often it is right (expected calibration error, 15 bins).",
        markdown_table("In percentage points; 0 is best", ["suite", "n", "error"], rows),
    )


def limits(suites: Mapping[str, Mapping[str, Any]], data: NamedSet) -> str:
    sets = {
        name: score["acc"]
        for evaluation in suites.values()
        for name, score in evaluation["by_subset"].items()
        if "interval" in score  # a family has none
    }
    lowest = ", ".join(
        f"{code(name)} {percent(sets[name])}" for name in sorted(sets, key=lambda name: sets[name])[:LOWEST]
    )
    elsewhere = (
        "Other people's digits, other pens and cameras: expect the accuracies above, not the one on the test set. The "
        f"lowest of {len(sets)} sets: {lowest}."
        if len(sets) > 1
        else "Other people's digits, other pens and cameras: not measured. "
        "`python -m mnist_exp.evaluate ckpt_path=... suite=all` measures them, and the next export writes them here."
    )
    form = "28x28, white on black"
    if data.classes == DIGITS:
        form += ", one digit, 20 pixels high or wide, its centre of mass in the middle"
    return paragraphs(
        "## Limits",
        f"- An image has the form of {data.title}: {form}.\n"
        "- It always answers: a letter, a blank image and two digits side by side get a label too, and often a high "
        "probability.\n"
        f"- {elsewhere}",
    )


def origin(
    checkpoint: Mapping[str, Any], files: Sequence[ExportedFile], trained: Mapping[str, Any], now: Mapping[str, Any]
) -> str:
    cells = [row.cells() for row in files]
    environments = {"trained": trained, "exported and measured": now}
    keys = ["device", "threads", "python", "torch", "lightning"]
    rows = [
        [name, *(code(each[key]) if key in each else NOTHING for key in keys), commit(each)]
        for name, each in environments.items()
        if each
    ]
    runtime = f", ONNX Runtime {version('onnxruntime')}" if any(row.file == "model.onnx" for row in files) else ""
    return paragraphs(
        "## Origin",
        f"Checkpoint {code(checkpoint['path'])}, SHA-256 {code(checkpoint['sha256'])}.",
        markdown_table("Each file against the checkpoint, on the test images", HEADER, cells),
        f"Measured on {platform.platform()}, {platform.machine()}, {os.cpu_count()} CPUs{runtime}.",
        markdown_table("Where", ["", *keys, "commit"], rows),
        "The form of this card: M. Mitchell et al., Model Cards for Model Reporting, 2019, "
        "[arXiv:1810.03993](https://arxiv.org/abs/1810.03993).",
    )


# --- their words -----------------------------------------------------------------------------------------------------


def commit(environment: Mapping[str, Any]) -> str:
    """The source's commit, and whether there were changes on top of it."""
    if not environment.get("commit"):
        return NOTHING
    return code(str(environment["commit"])[:12]) + (" with changes" if environment.get("dirty") else "")


def accuracy(score: Mapping[str, Any]) -> str:
    """98.54% (98.28–98.76)"""
    if "interval" not in score:
        return percent(score["acc"])
    low, high = score["interval"]
    return f"{percent(score['acc'])} ({100 * low:.2f}–{100 * high:.2f})"


def thousands(count: Any) -> str:
    """55,000; what is no number as code."""
    return f"{count:,}" if isinstance(count, int) else code(count)


def call(node: Mapping[str, Any] | None) -> str:
    """A node of the configuration as the call that it stands for: Adam(lr=0.001, betas=[0.9, 0.999])."""
    if node is None:
        return "none"
    arguments = (f"{key}={value}" for key, value in node.items() if not key.startswith("_"))
    return f"{class_name(node)}({', '.join(arguments)})"


def class_name(node: Mapping[str, Any]) -> str:
    return node["_target_"].rsplit(".", 1)[-1]

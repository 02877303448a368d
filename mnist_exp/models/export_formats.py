"""A classifier as a file that runs without this project.

Every format takes `images` uint8 (B, 28, 28), for any B, and gives `probabilities` float32 (B, 10). `write_files` keeps
a file only if it answers as the checkpoint does.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mnist_exp.files import atomic_write, write_json
from mnist_exp.models.c_source import c_source, compiled
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.plain_layers import plain_network
from mnist_exp.models.published import CONFIG, KEYS, load

TOLERANCE = 1e-4  # between two probabilities: float32 sums in another order differ by about 1e-6, large ones by 1e-5
WARM_UP, REPEATS = 20, 200  # images answered before time is taken, and while it is
HIDDEN_WARNINGS = (
    "No complete tensor found in the group",  # weights in channels_last: `compare_answers` shows that they are read
    "The given buffer is not writable",  # torch 2.11 reads a .pt2 in this way
    ".*LeafSpec.*deprecated",  # torch 2.11's ONNX exporter uses what torch deprecates
)

Answer = Callable[[Tensor], Tensor]  # images uint8 (B, 28, 28) -> probabilities float32 (B, 10)


class DisagreementError(RuntimeError):
    """An exported model gives other answers than its checkpoint."""


class MeasuredFile(NamedTuple):
    """A file, and how its answers compare with the checkpoint's.

    size: bytes. difference: the largest between two probabilities, None for the checkpoint itself and for a file that
    nothing here can read. n: images compared. seconds: for one image alone, the median of REPEATS; None if not
    measured.
    """

    file: str
    size: int
    difference: float | None
    n: int
    seconds: float | None


@dataclass(frozen=True)
class Source:
    """What is exported: a classifier, its checkpoint and its run's configuration.

    network: the class of a user's own network, as `load_classifier` takes it.
    """

    classifier: DigitClassifier
    ckpt_path: Path
    config: Mapping[str, Any]
    network: str | None = None

    @cached_property
    def program(self) -> ExportedProgram:
        return trace(self.classifier)


class Format(NamedTuple):
    """write: writes the file. read: what the file answers, or None where a program for it is missing.

    is_timed: whether `read` calculates as the file's users will.
    """

    write: Callable[[Source, Path], None]
    read: Callable[[Path, Source], Answer | None]
    is_timed: bool = True


def write_files(source: Source, folder: Path, *, formats: Mapping[str, Format], images: Tensor) -> list[MeasuredFile]:
    """Writes `model.<name>` in `folder` for each of `formats`. Returns the checkpoint and each file, measured.

    images: uint8 (N, 28, 28), on which the answers are compared.

    Raises DisagreementError, and leaves no file, where its answers differ from the checkpoint's.
    """
    probabilities = source.classifier.probabilities
    probs = probabilities(images)
    size = source.ckpt_path.stat().st_size
    files = [MeasuredFile(source.ckpt_path.name, size, None, len(images), latency(probabilities, images))]
    for name, form in formats.items():
        path = folder / f"model.{name}"
        difference = None
        with atomic_write(path) as partial:
            form.write(source, partial)
            answer = form.read(partial, source)
            try:
                difference = compare_answers(answer, images, probs) if answer else None
            except DisagreementError as error:
                raise DisagreementError(f"{path} is not written: {error}") from error
        seconds = latency(answer, images) if answer and form.is_timed else None
        files.append(MeasuredFile(path.name, path.stat().st_size, difference, len(images), seconds))
    return files


class Probabilities(nn.Module):
    """The classifier, with a softmax after it."""

    def __init__(self, classifier: DigitClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images).float().softmax(dim=1)


def trace(classifier: DigitClassifier) -> ExportedProgram:
    """The program that every format is written from.

    It is traced with a batch of 2: torch would take a batch of 1 for a constant.
    """
    images = torch.zeros(2, 28, 28, dtype=torch.uint8)
    return torch.export.export(Probabilities(classifier).eval(), (images,), dynamic_shapes=({0: Dim("batch")},))


@contextmanager
def warnings_hidden() -> Iterator[None]:
    """Hides HIDDEN_WARNINGS, which tell a user nothing."""
    with warnings.catch_warnings():
        for message in HIDDEN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


@warnings_hidden()
def write_pt2(source: Source, path: Path) -> None:
    content = BytesIO()  # on a full disk torch's own writer would end the whole program
    torch.export.save(source.program, content)
    path.write_bytes(content.getbuffer())


@warnings_hidden()
def read_pt2(path: Path, _: Source) -> Answer:
    with path.open("rb") as file:
        module = torch.export.load(file).module()

    @torch.inference_mode()
    def answer(images: Tensor) -> Tensor:
        return module(images)

    return answer


@warnings_hidden()
def write_onnx(source: Source, path: Path) -> None:
    for name in ("onnx_ir", "onnxscript"):  # they log each step of their optimizer
        logging.getLogger(name).setLevel(logging.WARNING)
    onnx = torch.onnx.export(
        source.program,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: "batch"},),  # only names the dimension
        verbose=False,
    )
    assert onnx is not None, "it is None only if a file name is given"
    onnx.save(path, external_data=False)


def read_onnx(path: Path, _: Source) -> Answer:
    """ONNX Runtime on the CPU, with as many threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["probabilities"], {"images": images.numpy()})[0])


def write_safetensors(source: Source, path: Path) -> None:
    """Writes the weights to `path`, and config.json beside it."""
    from safetensors.torch import save

    write_json(path.with_name(CONFIG), {"model": {key: source.config["model"][key] for key in KEYS}})
    weights = {name: value.contiguous() for name, value in source.classifier.state_dict().items()}
    path.write_bytes(save(weights, metadata={"format": "pt"}))


def read_safetensors(path: Path, source: Source) -> Answer:
    return load(path.with_name(CONFIG), path, source.network).probabilities


def write_c(source: Source, path: Path) -> None:
    path.write_text(c_source(plain_network(source.classifier)), encoding="ascii")


FORMATS = {
    "safetensors": Format(write_safetensors, read_safetensors),
    "onnx": Format(write_onnx, read_onnx),
    "pt2": Format(write_pt2, read_pt2),
    "c": Format(write_c, lambda path, _: compiled(path)),
}


def compare_answers(answer: Answer, images: Tensor, probs: Tensor) -> float:
    """The largest difference between `answer(images)` and `probs`, (N, 10). The first image is a batch of its own.

    Raises DisagreementError where a label differs, or a probability by more than TOLERANCE.
    """
    answers = torch.cat([answer(batch) for batch in (images[:1], *images[1:].split(1000))])
    other_labels = int((answers.argmax(dim=1) != probs.argmax(dim=1)).sum())
    difference = float((answers - probs).abs().max())
    if other_labels or not difference <= TOLERANCE:  # `not <=` also refuses nan
        raise DisagreementError(
            f"{other_labels:,} of {len(images):,} labels differ from the checkpoint's, probabilities by up to "
            f"{difference:.2g} (allowed: {TOLERANCE:g})"
        )
    return difference


def latency(answer: Answer, images: Tensor) -> float:
    """Seconds for one image alone: the median of REPEATS, after WARM_UP that do not count."""
    seconds = []
    for index in range(WARM_UP + REPEATS):
        image = images[index % len(images)][None]
        start = time.perf_counter()
        answer(image)
        seconds.append(time.perf_counter() - start)
    return median(seconds[WARM_UP:])

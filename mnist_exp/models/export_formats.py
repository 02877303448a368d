"""A classifier as a file that runs without this project.

Every format takes `images` uint8 (B, 28, 28), for any B, and gives `probabilities` float32 (B, 10). `write_files` keeps
a file only if it answers as the checkpoint does.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mnist_exp.files import atomic_write
from mnist_exp.models.classifier import DigitClassifier

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
    """A file, and how its answers compare with the checkpoint's. The checkpoint itself has no difference.

    size: bytes. difference: the largest between two probabilities. n: images compared. seconds: for one image alone,
    the median of REPEATS.
    """

    file: str
    size: int
    difference: float | None
    n: int
    seconds: float


def write_files(
    classifier: DigitClassifier, ckpt_path: Path, folder: Path, *, formats: Iterable[str], images: Tensor
) -> list[MeasuredFile]:
    """Writes `model.<format>` in `folder` for each of `formats`. Returns the checkpoint and each file, measured.

    images: uint8 (N, 28, 28), on which the answers are compared.

    Raises DisagreementError, and leaves no file, where its answers differ from the checkpoint's.
    """
    probs = classifier.probabilities(images)
    program = trace(classifier)
    seconds = latency(classifier.probabilities, images)
    files = [MeasuredFile(ckpt_path.name, ckpt_path.stat().st_size, None, len(images), seconds)]
    for name in formats:
        path = folder / f"model.{name}"
        with atomic_write(path) as partial:
            FORMATS[name].write(program, partial)
            answer = FORMATS[name].read(partial)
            try:
                difference = compare_answers(answer, images, probs)
            except DisagreementError as error:
                raise DisagreementError(f"{path} is not written: {error}") from error
        files.append(MeasuredFile(path.name, path.stat().st_size, difference, len(images), latency(answer, images)))
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
def write_pt2(program: ExportedProgram, path: Path) -> None:
    content = BytesIO()  # on a full disk torch's own writer would end the whole program
    torch.export.save(program, content)
    path.write_bytes(content.getbuffer())


@warnings_hidden()
def read_pt2(path: Path) -> Answer:
    with path.open("rb") as file:
        module = torch.export.load(file).module()

    @torch.inference_mode()
    def answer(images: Tensor) -> Tensor:
        return module(images)

    return answer


@warnings_hidden()
def write_onnx(program: ExportedProgram, path: Path) -> None:
    for name in ("onnx_ir", "onnxscript"):  # they log each step of their optimizer
        logging.getLogger(name).setLevel(logging.WARNING)
    onnx = torch.onnx.export(
        program,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: "batch"},),  # only names the dimension
        verbose=False,
    )
    assert onnx is not None, "it is None only if a file name is given"
    onnx.save(path, external_data=False)


def read_onnx(path: Path) -> Answer:
    """ONNX Runtime on the CPU, with as many threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["probabilities"], {"images": images.numpy()})[0])


class Format(NamedTuple):
    write: Callable[[ExportedProgram, Path], None]
    read: Callable[[Path], Answer]


FORMATS = {"onnx": Format(write_onnx, read_onnx), "pt2": Format(write_pt2, read_pt2)}


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

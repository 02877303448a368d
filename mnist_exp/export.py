"""Make a checkpoint a file that runs without this project, checked on MNIST's test images, and write its model card.

python -m mnist_exp.export ckpt_path=outputs/runs/.../checkpoints/best.ckpt
"""

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_exp.cli.command import command
from mnist_exp.evaluate import find_run_dirs

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mnist_exp.analysis.model_card import ExportedFile
    from mnist_exp.data.digits import Digits


def export(cfg: "DictConfig") -> list[Path]:
    """Exports each checkpoint of `cfg.ckpt_path`. Returns the model cards.

    Raises ValueError, OSError or RuntimeError where that cannot be done, or a file disagrees with its checkpoint.
    """
    checkpoints = find_run_dirs(cfg.ckpt_path)
    check_formats(cfg.formats)

    import torch
    from rich.console import Console

    from mnist_exp.analysis.model_card import files_table
    from mnist_exp.data.image_datamodule import load_mnist

    torch.set_num_threads(cfg.threads or torch.get_num_threads())
    _, test = load_mnist(Path(cfg.data_dir))
    cards = []
    for ckpt_path, run_dir in checkpoints.items():
        with Console(stderr=True).status(f"exporting {ckpt_path}"):
            rows, card = export_one(ckpt_path, run_dir, cfg.formats, test)
        Console(width=None if sys.stdout.isatty() else 200).print(files_table(rows))
        print(f"kept in {run_dir / 'export'}, described in {card}")
        cards.append(card)
    return cards


def check_formats(formats: Iterable[str]) -> None:
    """Raises ValueError for a format there is none of, or whose packages are not installed."""
    known = ["onnx", "pt2"]
    if isinstance(formats, str) or not set(formats) <= set(known) or not set(formats):
        raise ValueError(f"formats is a list of {', '.join(known)}, such as formats=[onnx], not {formats}")
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if "onnx" in formats and missing:
        raise ValueError(
            f"ONNX needs {', '.join(missing)}: run pip install -e '.[export]' in the project's folder, or leave it out "
            "with formats=[pt2]"
        )


def export_one(
    ckpt_path: Path, run_dir: Path, formats: Iterable[str], test: "Digits"
) -> tuple[list["ExportedFile"], Path]:
    """Writes a checkpoint's files, each only if it agrees with the checkpoint. Returns what is known of each."""
    from mnist_exp.analysis.model_card import ExportedFile, model_card, read_evaluations
    from mnist_exp.analysis.scores import describe_checkpoint, score
    from mnist_exp.files import atomic_write, write_text
    from mnist_exp.models.checkpoint import load_classifier
    from mnist_exp.models.export_formats import FORMATS, DisagreementError, check, latency, trace
    from mnist_exp.result import RunResult, environment

    finished = RunResult.read(run_dir)
    model, config = load_classifier(ckpt_path)
    probs = model.probabilities(test.images)
    program = trace(model)
    rows = [
        ExportedFile(
            ckpt_path.name, ckpt_path.stat().st_size, None, len(test), latency(model.probabilities, test.images)
        )
    ]
    for name in formats:
        path = run_dir / "export" / f"model.{name}"
        with atomic_write(path) as partial:
            FORMATS[name].write(program, partial)
            answer = FORMATS[name].read(partial)
            try:
                difference = check(answer, test.images, probs)
            except DisagreementError as error:
                raise DisagreementError(f"{path} is not written: {error}") from error
        rows.append(ExportedFile(path.name, path.stat().st_size, difference, len(test), latency(answer, test.images)))

    checkpoint = describe_checkpoint(ckpt_path, config)
    card = run_dir / "MODEL_CARD.md"
    text = model_card(
        config=config,
        checkpoint=checkpoint,
        parameters=sum(weights.numel() for weights in model.parameters()),
        test=score({"test": test}, {"test": probs.numpy()}),
        evaluations=read_evaluations(run_dir, checkpoint["sha256"]),
        files=rows,
        result=finished.to_dict() if finished else None,
        environment=environment("cpu"),
    )
    write_text(card, text)
    return rows, card


@command("export")
def main(cfg: "DictConfig") -> None:
    export(cfg)


if __name__ == "__main__":
    main()

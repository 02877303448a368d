"""Write a checkpoint as a folder to publish: files that run without this project, checked on test images, and a model
card.

python -m mnist_exp.export ckpt_path=outputs/runs/.../checkpoints/best.ckpt
"""

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_exp.cli.command import command
from mnist_exp.models.checkpoint_paths import run_folders

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mnist_exp.analysis.model_card import ExportedFile
    from mnist_exp.data.digits import Digits
    from mnist_exp.models.classifier import DigitClassifier

PACKAGES: dict[str, tuple[str, ...]] = {  # what each format needs besides torch; known before torch is imported
    "safetensors": ("safetensors",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "pt2": (),
    "c": (),
    "html": (),
}


def export(cfg: "DictConfig") -> list[Path]:
    """Export each checkpoint of `cfg.ckpt_path`. Returns the paths of the model cards.

    Raises ValueError or OSError for what cannot be used, RuntimeError for a file that disagrees with its checkpoint.
    """
    run_dirs = run_folders(cfg.ckpt_path)
    check_formats(cfg.formats)

    from rich.console import Console

    from mnist_exp.analysis.model_card import ExportedFile, files_table
    from mnist_exp.analysis.scores import describe_checkpoint
    from mnist_exp.cli.threads import set_threads
    from mnist_exp.cli.working import working
    from mnist_exp.data.image_datamodule import load_set
    from mnist_exp.data.named_sets import NAMED_SETS, dataset_of
    from mnist_exp.models.checkpoint import load_classifier
    from mnist_exp.models.export_formats import FORMATS, Source, write_files
    from mnist_exp.models.plain_layers import plain_network
    from mnist_exp.web.single_page import html_format

    # Read the checkpoints and the images before the first long computation.
    set_threads(cfg.threads)
    models = {path: load_classifier(path, cfg.network) for path in run_dirs}
    data = {path: load_set(dataset_of(config), Path(cfg.data_dir)) for path, (_, config) in models.items()}
    html = html_format(lambda config: NAMED_SETS[dataset_of(config)].classes)
    formats = {name: (FORMATS | {"html": html})[name] for name in cfg.formats}
    if {"c", "html"} & set(formats):
        for model, _ in models.values():
            plain_network(model)  # raises where a layer cannot be written

    cards = []
    for path, (model, config) in models.items():
        run_dir, (_, test) = run_dirs[path], data[path]
        with working(f"exporting {path}"):
            source = Source(model, path, config, cfg.network)
            rows = [
                ExportedFile(*file)
                for file in write_files(source, run_dir / "export", formats=formats, images=test.images)
            ]
            checkpoint = describe_checkpoint(path, config)
            cards.append(write_model_card(run_dir, model, checkpoint, config, rows, test, license=cfg.license))
        Console(width=None if sys.stdout.isatty() else 200).print(files_table(rows))
        print(f"kept in {run_dir / 'export'}, described in {cards[-1]}")
    return cards


def check_formats(formats: Iterable[str]) -> None:
    """Raises ValueError for an unknown format, and for one whose packages are not installed."""
    if isinstance(formats, str) or not set(formats) <= set(PACKAGES) or not set(formats):
        raise ValueError(f"formats is a list of {', '.join(PACKAGES)}, such as formats=[onnx], not {formats}")
    missing = {name: [package for package in PACKAGES[name] if find_spec(package) is None] for name in formats}
    if any(missing.values()):
        names = " and ".join(name for name in formats if missing[name])
        packages = " ".join(package for each in missing.values() for package in each)
        left = ",".join(name for name in formats if not missing[name]) or "pt2"
        raise ValueError(
            f"{names}: more packages are needed: pip install {packages}, or choose other formats: formats=[{left}]"
        )


def write_model_card(
    run_dir: Path,
    model: "DigitClassifier",
    checkpoint: dict[str, Any],
    config: dict[str, Any],
    files: "list[ExportedFile]",
    test: "Digits",
    *,
    license: str,
) -> Path:
    """Write README.md, as model hubs show it, to the folder of the exported files. Returns its path.

    checkpoint: from `scores.describe_checkpoint`. config: of the run. files: the checkpoint and what was exported.
    """
    from mnist_exp.analysis.model_card import model_card, read_evaluations
    from mnist_exp.analysis.scores import score
    from mnist_exp.data.named_sets import NAMED_SETS, dataset_of
    from mnist_exp.files import write_text
    from mnist_exp.result import RunResult, environment

    path = run_dir / "export" / "README.md"
    result = RunResult.read(run_dir)
    text = model_card(
        config=config,
        checkpoint=checkpoint,
        parameters=sum(weights.numel() for weights in model.parameters()),
        test=score(
            {"test": test},
            {"test": model.probabilities(test.images).numpy()},
            classes=NAMED_SETS[dataset_of(config)].classes,
        ),
        evaluations=read_evaluations(run_dir, checkpoint["sha256"]),
        files=files,
        result=result.to_dict() if result else None,
        environment=environment("cpu"),
        license=license,
    )
    write_text(path, text)
    return path


@command("export")
def main(cfg: "DictConfig") -> None:
    export(cfg)


if __name__ == "__main__":
    main()

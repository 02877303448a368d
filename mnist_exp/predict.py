"""Read digits: the label, how sure the network is, what else it might be, and what the network saw.

python -m mnist_exp.predict ckpt_path=outputs/runs/.../checkpoints/best.ckpt images='photos/*.jpg'
python -m mnist_exp.predict ckpt_path=outputs/runs/.../checkpoints/best.ckpt images=test.csv output=submission.csv
"""

from pathlib import Path
from typing import TYPE_CHECKING

from mnist_exp.cli.command import command, fail
from mnist_exp.models.checkpoint_paths import checkpoint_paths

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mnist_exp.analysis.picture_predictions import Prediction

MAX_DRAWN = 10  # images, with show=auto


def predict(cfg: "DictConfig") -> "tuple[list[Prediction], dict[str, str]]":
    """Predict every digit of `cfg.images`, print the first and write all to `cfg.output`.

    Returns the predictions, and for each file without one the reason.

    Raises ValueError or OSError where nothing can be predicted.
    """
    [ckpt_path, *others] = checkpoint_paths(cfg.ckpt_path)
    if others:
        raise ValueError("predict takes one checkpoint: ckpt_path=outputs/runs/.../checkpoints/best.ckpt")
    if not cfg.images:
        raise ValueError("images=... is needed: files, folders, patterns such as images='photos/*.jpg', or a .csv")

    from rich.console import Console

    from mnist_exp.analysis import picture_predictions
    from mnist_exp.cli.threads import set_threads
    from mnist_exp.cli.working import working
    from mnist_exp.data.named_sets import NAMED_SETS, dataset_of
    from mnist_exp.models.checkpoint import load_classifier

    picture_predictions.check_replaceable(Path(cfg.output))
    set_threads(cfg.threads)
    model, config = load_classifier(ckpt_path, cfg.network)
    dataset = dataset_of(config)
    classes = NAMED_SETS[dataset].classes
    with working(f"reading {cfg.images}"):
        digits = picture_predictions.read_digits(
            cfg.images, photo=cfg.photo, dataset=dataset, keep_steps=cfg.show == "steps"
        )
    if cfg.show == "steps":
        folder = Path(cfg.output).with_name(f"{Path(cfg.output).stem}-steps")
        print(f"{picture_predictions.write_steps(folder, digits):,} pictures of the preprocessing in {folder}")
    if not digits.images:
        raise ValueError(picture_predictions.list_failures(digits.failures))
    with working(f"predicting {len(digits.images):,} digits"):
        found = picture_predictions.predict_each(model, digits.images, min_confidence=cfg.min_confidence)

    console = Console()
    if cfg.show is True or (cfg.show == "auto" and len(found) <= MAX_DRAWN):
        console.print(picture_predictions.drawings(console, found, digits.images, classes))
    console.print(picture_predictions.table(found, classes))
    kaggle = digits.is_unlabelled_table if cfg.columns == "auto" else cfg.columns == "kaggle"
    picture_predictions.write_predictions(Path(cfg.output), found, kaggle=kaggle, classes=classes)
    print(f"{len(found):,} predictions in {cfg.output}" + " (a submission for Kaggle)" * kaggle)
    if unsure := sum(not each.sure for each in found):
        print(f"{unsure:,} of them not sure: their probability is below min_confidence={cfg.min_confidence}")
    return found, digits.failures


@command("predict")
def main(cfg: "DictConfig") -> None:
    _, failures = predict(cfg)
    if failures:
        from mnist_exp.analysis.picture_predictions import list_failures

        fail(list_failures(failures))


if __name__ == "__main__":
    main()

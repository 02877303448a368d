"""The data files and pictures of docs/, made from run folders. `scripts/reproduce.sh` makes the runs.

    python -m scripts.figures learning_curves outputs/sweeps/learning_curves    # runs with one setting changed
    python -m scripts.figures learning_rate outputs/sweeps/learning_rate        # also batch_size, batch_size_tuned
    python -m scripts.figures real_world outputs/runs/solution1/... outputs/runs/robust/...   # evaluated runs
    python -m scripts.figures risk_coverage outputs/runs/solution2/... outputs/runs/robust/...   # evaluated runs
    python -m scripts.figures test_panels outputs/runs/solution2/...           # one run, with its predictions.npz
    python -m scripts.figures                                                   # only draw the pictures again

All but the last two write their results to docs/data/*.csv. In real_world.csv, severity.csv and risk_coverage.csv, rows
of other models stay, so you can measure one model again and keep the others. Then all pictures are drawn from them:

learning_curves.png     validation accuracy by epoch, from learning_curves.csv
learning_rate.png       accuracy against the learning rate, from learning_rate.csv
puzzle_attribution.png  what each setting is worth, from puzzle.csv
batch_size.png          accuracy against the batch size, from batch_size.csv and batch_size_tuned.csv
suites.png              accuracy on each suite, from real_world.csv
severity.png            accuracy against severity, from severity.csv
risk_coverage.png       the error rate of the answers against the share answered, from risk_coverage.csv
corruptions.png         one digit with every corruption (needs MNIST)
forms.png               digits drawn from strokes, as the robust recipe is trained on

A picture without a data file is not drawn.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch.nn import functional as F

from mnist_exp.analysis import figures
from mnist_exp.data.datamodule import stratified_split
from mnist_exp.data.digits import Digits
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.files import write_bytes, write_text
from mnist_exp.imaging.corruptions import FAMILIES, corrupt
from mnist_exp.imaging.strokes import draw_form, read_forms
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.result import RunResult
from mnist_exp.training.history import SMALLEST_PROBABILITY
from scripts import tables

FAMILY_TITLES = {family: family for family in FAMILIES} | {"mnist_c": "MNIST-C"}
MODELS = ("solution1", "solution2", "fast", "robust")  # their order in the pictures; others follow

Evaluations = Mapping[str, Mapping[str, Any]]  # what a run folder's evaluation-<label>.json hold, by label


# ---- run folders to data files ----


def learning_curves(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """A row for each run and epoch; `test_accuracy` only after the epochs in the run's `milestones`.

    run_dirs: runs, or folders of runs such as a sweep.
    """
    rows = []
    for run_dir in find_runs(run_dirs):
        result = RunResult.read(run_dir)
        if result is None or result.status != "finished":
            raise SystemExit(f"error: {run_dir} is not a finished run: start its sweep again")
        config, tested = result.config, {each["epoch"]: each["test/acc"] for each in result.milestones}
        recipe = {
            "optimizer": config["optimizer"]["_target_"].rpartition(".")[2],
            "lr": config["optimizer"]["lr"],
            "seed": result.seed,
        }
        rows += [
            recipe
            | {
                "epoch": epoch["epoch"],
                "val_accuracy": epoch["val/acc"],
                "test_accuracy": tested.get(epoch["epoch"]),
                "commit": result.environment["commit"][:10],
            }
            for epoch in result.history
        ]
    table = pd.DataFrame(rows).sort_values(["optimizer", "lr", "seed", "epoch"], ignore_index=True)
    return {"learning_curves": table}


def learning_rate(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """A row for each run of the sweep, see `sweep_table`."""
    return {"learning_rate": sweep_table(run_dirs, ["model", "model.standardize", "optimizer", "optimizer.lr"])}


def batch_size(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """A row for each run of the sweep, see `sweep_table`. `main` adds `final train/loss`."""
    return {"batch_size": sweep_table(run_dirs, ["optimizer", "scheduler", "data.batch_size"])}


def batch_size_updates(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """A row for each run of the sweep, see `sweep_table`."""
    return {"batch_size_updates": sweep_table(run_dirs, ["optimizer", "data.batch_size"])}


def batch_size_tuned(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """A row for each run of the sweep, see `sweep_table`. `main` adds `final train/loss`."""
    return {"batch_size_tuned": sweep_table(run_dirs, ["optimizer", "data.batch_size", "optimizer.lr"])}


def sweep_table(run_dirs: Sequence[Path], settings: Sequence[str]) -> pd.DataFrame:
    """A row for each run: what was typed for the settings, seed, status, and the metrics of a finished run."""
    rows = []
    for run_dir in find_runs(run_dirs):
        result = RunResult.read(run_dir)
        if result is None or result.status == "interrupted":
            raise SystemExit(f"error: {run_dir} is not a finished run: start its sweep again")
        typed = dict(override.split("=", 1) for override in result.overrides)
        row: dict[str, Any] = {"run": run_dir} | {setting: typed.get(setting, "none") for setting in settings}
        row |= {"seed": result.seed, "status": result.status, "epoch": result.epoch}
        row |= {metric: result.metrics.get(metric) for metric in ("val/acc", "test/acc", "train/loss", "test/loss")}
        rows.append(row | {"commit": result.environment.get("commit", "")[:10]})
    table = pd.DataFrame(rows).astype({"epoch": "Int64"})
    for setting in {"optimizer.lr", "data.batch_size"} & set(settings):
        table[setting] = pd.to_numeric(table[setting])
    return table.sort_values([*settings, "seed"], ignore_index=True)


def final_train_loss(run_dir: Path, train: Digits) -> float:
    """The mean loss of the tested weights on the images that they were trained on. `test/loss` can be compared with it.

    `train/loss` is another mean: over the batches of the last epoch, each with the weights that it had then.
    """
    result = RunResult.read(run_dir)
    assert result is not None
    indices, _ = stratified_split(train.labels, val_size=result.data["val"], seed=result.seed)
    model = DigitClassifier.load_from_checkpoint(run_dir / "checkpoints" / "best.ckpt")
    probs = model.probabilities(train.images[indices])
    return F.nll_loss(probs.clamp_min(SMALLEST_PROBABILITY).log(), train.labels[indices]).item()


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """The run folders among `folders`, and those directly in them."""
    runs = [path for folder in folders for path in (folder, *sorted(folder.glob("*"))) if (path / ".hydra").is_dir()]
    if not runs:
        raise SystemExit(f"error: no run folder in {', '.join(map(str, folders))}")
    return runs


def real_world(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Accuracies by suite, and by corruption and severity, of runs that `evaluate` has tested.

    `by_suite` reads evaluation-all.json and the evaluations on your own digits, such as evaluation-npz-nsysu.json.
    `by_severity` reads evaluation-corruptions-<0 to 5>.json (suite.name=corruptions-2 suite.severity=2).
    """
    runs = [read_evaluations(run_dir) for run_dir in run_dirs]
    severities = [by_severity(run) for run in runs if run.keys() >= set(SEVERITY_LABELS.values())]
    tables = {"real_world": pd.concat([by_suite(run) for run in runs])}
    return tables | ({"severity": pd.concat(severities)} if severities else {})


def read_evaluations(run_dir: Path) -> Evaluations:
    paths = sorted(run_dir.glob("evaluation-*.json"))
    if not paths:
        raise SystemExit(
            f"error: {run_dir} holds no evaluation: run python -m mnist_exp.evaluate ckpt_path=... suite=all"
        )
    return {path.stem.removeprefix("evaluation-"): json.loads(path.read_text(encoding="utf-8")) for path in paths}


OWN_DIGITS = ("folder-", "csv-", "npz-")  # how labels of evaluations on your own digits start


def by_suite(run: Evaluations) -> pd.DataFrame:
    """A row for the test set, each family of corruptions, each set of other people's digits, and all of suite=all.

    `calibration_error` is the expected calibration error, as a fraction; `all` alone has it.
    """
    scores: dict[str, Any] = {}
    if "all" in run:
        parts = run["all"]["by_subset"].items()
        scores |= {FAMILY_TITLES.get(name, name): score for name, score in parts if "/" not in name}
    scores |= {label.partition("-")[2]: score for label, score in run.items() if label.startswith(OWN_DIGITS)}
    if "all" in run:
        scores |= {"all": run["all"]}
    rows = [
        {"suite": suite, "n": score["n"], "accuracy": score["acc"], "calibration_error": None} | source(run)
        for suite, score in scores.items()
    ]
    if "all" in run:
        rows[-1]["calibration_error"] = run["all"]["ece"]
    return pd.DataFrame(rows)


SEVERITY_LABELS = {severity: f"corruptions-{severity}" for severity in range(6)}


def by_severity(run: Evaluations) -> pd.DataFrame:
    """A row for each corruption and severity."""
    rows = []
    for severity, label in SEVERITY_LABELS.items():
        for subset, score in run[label]["by_subset"].items():
            family, _, corruption = subset.partition("/")
            if corruption:
                row = {"family": FAMILY_TITLES[family], "corruption": corruption, "severity": severity}
                rows.append(row | {"accuracy": score["acc"]} | source(run))
    return pd.DataFrame(rows)


def risk_coverage(run_dirs: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """The risk-coverage curves of runs that `evaluate` has tested, one for each suite and run.

    Evaluations of corruptions at one severity, and those written before there were such curves, are left out.
    """
    left_out = set(SEVERITY_LABELS.values())
    rows = [
        {"suite": label.removeprefix("npz-"), "n": score["n"]} | point | source(run)
        for run in map(read_evaluations, run_dirs)
        for label, score in run.items()
        if label not in left_out
        for point in score.get("risk_coverage", [])
    ]
    if not rows:
        raise SystemExit("error: no evaluation of these runs has a risk-coverage curve: run evaluate again")
    return {"risk_coverage": pd.DataFrame(rows)}


def source(run: Evaluations) -> dict[str, Any]:
    """Which model a run's evaluations are about."""
    evaluation = next(iter(run.values()))
    checkpoint = evaluation["checkpoint"]
    return {
        "model": checkpoint["name"],
        "seed": checkpoint["seed"],
        "commit": evaluation["environment"]["commit"][:10],
    }


def merge(path: Path, fresh: pd.DataFrame) -> pd.DataFrame:
    """The table that belongs into `path`: the fresh rows, and the file's rows about other models."""
    if path.name not in ("real_world.csv", "severity.csv") or not path.exists():
        return fresh
    old = pd.read_csv(path)
    return pd.concat([old[~old["model"].isin(fresh["model"])], fresh], ignore_index=True)


# ---- data files to pictures ----


def learning_curves_picture(rows: pd.DataFrame) -> Figure:
    """Validation accuracy by epoch, of the runs that reach the last epoch: the mean and the range over their seeds."""
    length = rows.groupby(["optimizer", "lr", "seed"])["epoch"].transform("max")
    rows = rows[length == rows["epoch"].max()]
    labels = {  # what a line is called, where its label stands, and the colour
        ("SGD", 0.001): ("SGD, learning rate 0.001", (8, -16), "#D55E00"),
        ("SGD", 0.1): ("SGD, learning rate 0.1", (8, -18), "#009E73"),
        ("Adam", 0.001): ("Adam, learning rate 0.001", (8, 8), "#0072B2"),
    }
    with figures.drawing(width=figures.WIDE, height=250) as figure:
        axes = figure.subplots()
        for (optimizer, lr), group in rows.groupby(["optimizer", "lr"]):
            label, offset, colour = labels[optimizer, lr]
            epochs = group.groupby("epoch")["val_accuracy"].agg(["mean", "min", "max"])
            axes.plot(epochs.index, epochs["mean"], color=colour)
            axes.fill_between(epochs.index, epochs["min"], epochs["max"], color=colour, alpha=0.2, lw=0)
            at = 10, epochs["mean"][10]
            axes.annotate(label, at, xytext=offset, textcoords="offset points", color=colour, fontweight="bold")
        axes.axvline(3, color="#666666", linewidth=1, linestyle=":")
        axes.annotate("after 3 epochs", (3, 0.03), xytext=(6, 0), textcoords="offset points", color="#666666")
        axes.set(title="Validation accuracy of one perceptron on the same images", xlabel="epoch")
        axes.set(xlim=(1, 20), ylim=(0, 1.08), xticks=[1, 3, 5, 10, 15, 20], yticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.yaxis.set_major_formatter(figures.percent(axes))
    return figure


NETWORKS = {"mlp": "perceptron", "cnn": "CNN"}
OPTIMIZERS = {"sgd": "SGD", "sgd_momentum": "SGD with momentum 0.9", "adam": "Adam"}


def learning_rate_picture(rows: pd.DataFrame) -> Figure:
    """Validation accuracy against the learning rate, of the runs that tried it: a panel a network, a line an optimizer.

    A ring marks the best rate of each optimizer. A run that diverged has no accuracy, and its line ends before it.
    """
    rows = rows[rows["model.standardize"] & (rows["seed"] == rows["seed"].min())]
    styles = figures.GroupStyles.of(list(OPTIMIZERS.values()))
    with figures.drawing(width=figures.WIDE, height=260) as figure:
        for axes, (model, title) in zip(figure.subplots(1, 2, sharey=True), NETWORKS.items(), strict=True):
            for optimizer, name in OPTIMIZERS.items():
                here = rows[(rows["model"] == model) & (rows["optimizer"] == optimizer)].set_index("optimizer.lr")
                accuracy, style = here["val/acc"].dropna(), styles.style(name)
                axes.plot(accuracy.index, accuracy, markersize=5, **style)
                best = accuracy.idxmax()
                axes.plot(best, accuracy[best], "o", markersize=12, fillstyle="none", color=style["color"])
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
            axes.set(title=f"Validation accuracy, {title}", xlabel="learning rate")
        figures.accuracy_axis(axes, rows["val/acc"])
        styles.legend(figure)
    return figure


def puzzle_attribution_picture(rows: pd.DataFrame) -> Figure:
    """The share of each setting in the gap between the two solutions, with the names of docs/puzzle.md."""
    shares = tables.puzzle_factorial(rows).shapley()
    return figures.shares_of_the_gap({tables.FACTORS[factor].name: share for factor, share in shares.items()})


def batch_size_picture(rows: pd.DataFrame, tuned: pd.DataFrame) -> Figure:
    """Test accuracy against the batch size: the mean and the range over the seeds of each recipe."""
    lines = {
        "fixed rate": rows[rows["optimizer"] == "sgd_momentum"],
        "scaled rate": rows[(rows["optimizer"] == "sgd_scaled") & (rows["scheduler"] == "none")],
        "scaled rate, warm-up": rows[rows["scheduler"] == "warmup"],
        "best rate": tuned[(tuned["optimizer"] == "sgd_momentum") & (tuned["seed"] > 0)],
        "best rate, Adam": tuned[(tuned["optimizer"] == "adam") & (tuned["seed"] > 0)],
    }
    styles = figures.GroupStyles.of(list(lines))
    with figures.drawing(width=figures.WIDE, height=270) as figure:
        axes = figure.subplots()
        for name, runs in lines.items():
            accuracy = runs.groupby("data.batch_size")["test/acc"].agg(["mean", "min", "max"]).dropna()
            axes.plot(accuracy.index, accuracy["mean"], markersize=5, **styles.style(name))
            axes.fill_between(accuracy.index, accuracy["min"], accuracy["max"], color=styles.style(name)["color"],
                              alpha=0.15, lw=0)  # fmt: skip
        axes.set_xscale("log", base=2)
        sizes = sorted(set(rows["data.batch_size"]))
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set(title="Test accuracy of the perceptron after 5 epochs", xlabel="batch size")
        figures.accuracy_axis(axes, pd.concat(list(lines.values()))["test/acc"])
        styles.legend(figure)
    return figure


def suites_picture(rows: pd.DataFrame) -> Figure:
    """Bars: the mean over seeds, for every suite that all models were tested on."""
    rows = rows[rows["suite"] != "all"]
    means = rows.groupby(["suite", "model"], sort=False)["accuracy"].mean().rename("acc").reset_index()
    models = in_order(means["model"])
    shared = means.groupby("suite", sort=False).filter(lambda each: len(each) == len(models))
    return figures.accuracy_by_suite(shared.rename(columns={"model": "group"}), figures.GroupStyles.of(models))


def severity_picture(rows: pd.DataFrame) -> Figure:
    renamed = rows.rename(columns={"model": "group", "accuracy": "acc"})
    return figures.accuracy_by_severity(renamed, figures.GroupStyles.of(in_order(rows["model"])))


def risk_coverage_picture(rows: pd.DataFrame) -> Figure:
    models = in_order(rows["model"])
    return figures.risk_coverage(rows.rename(columns={"model": "group"}), figures.GroupStyles.of(models))


def in_order(models: pd.Series) -> list[str]:
    """The distinct models, the known ones first and in their own order."""
    found = list(dict.fromkeys(models))
    return sorted(
        found, key=lambda model: (MODELS.index(model) if model in MODELS else len(MODELS), found.index(model))
    )


PICTURES: dict[str, tuple[Callable[..., Figure], list[str]]] = {  # picture: (how it is drawn, its data files)
    "learning_curves": (learning_curves_picture, ["learning_curves"]),
    "learning_rate": (learning_rate_picture, ["learning_rate"]),
    "puzzle_attribution": (puzzle_attribution_picture, ["puzzle"]),
    "batch_size": (batch_size_picture, ["batch_size", "batch_size_tuned"]),
    "suites": (suites_picture, ["real_world"]),
    "severity": (severity_picture, ["severity"]),
    "risk_coverage": (risk_coverage_picture, ["risk_coverage"]),
}

EXAMPLE = 35  # a test image on which every corruption shows
SHEET = 100  # images corrupted together, since the draws depend on the batch
COLUMNS = 8  # corruptions side by side


def corruptions_picture(data_dir: Path) -> Figure:
    """What each corruption makes of one digit at severity 3: a row for each family, or two."""
    images = load_mnist(data_dir)[1].images[:SHEET]
    rows = {}
    for family, corruptions in FAMILIES.items():
        for start in range(0, len(corruptions), COLUMNS):
            row = [(images[EXAMPLE].numpy(), "original")]
            for name in corruptions[start : start + COLUMNS]:
                caption = name.removeprefix(f"{family}_").replace("_", "\n")
                row.append((corrupt(images, name, severity=3, seed=0)[EXAMPLE].numpy(), caption))
            title = FAMILY_TITLES[family]
            rows[f"{title}, continued" if start else title] = row
    return figures.gallery(rows)


def forms_picture() -> Figure:
    """Two digits of every form in strokes.py."""
    torch.manual_seed(0)
    drawn = torch.cat([draw_form(form, torch.zeros(2)) for form in read_forms()[0]])
    return figures.gallery({"Digits drawn from strokes": [(image.numpy(), "") for image in drawn.mul(255).byte()]})


def test_panels_picture(run_dir: Path, data_dir: Path) -> bytes:
    """The four pictures of a run's test as TensorBoard shows them: a PNG."""
    with np.load(run_dir / "predictions.npz") as predictions:
        probs, labels = predictions["probs"], predictions["labels"]
    images = load_mnist(data_dir)[1].images.numpy()
    drawn = figures.panels_of_a_test(probs, labels, images)
    panels = {name: Image.fromarray(figures.pixels(figure)) for name, figure in drawn.items()}
    upper = [panel for name, panel in panels.items() if name != "worst_mistakes"]
    top = max(panel.height for panel in upper)
    sheet = Image.new("RGB", (sum(panel.width for panel in upper), top + panels["worst_mistakes"].height), "white")
    left = 0
    for panel in upper:
        sheet.paste(panel, (left, 0))
        left += panel.width
    sheet.paste(panels["worst_mistakes"], (0, top))
    file = BytesIO()
    sheet.quantize(64).save(file, "PNG", optimize=True)
    return file.getvalue()


# ---- the command ----

STUDIES: dict[str, Callable[[Sequence[Path]], dict[str, pd.DataFrame]]] = {
    "learning_curves": learning_curves,
    "learning_rate": learning_rate,
    "batch_size": batch_size,
    "batch_size_updates": batch_size_updates,
    "batch_size_tuned": batch_size_tuned,
    "real_world": real_world,
    "risk_coverage": risk_coverage,
}


def main(study: str | None, run_dirs: Sequence[Path], *, docs: Path, data_dir: Path) -> None:
    if study == "test_panels":
        write_bytes(docs / "images" / "test_panels.png", test_panels_picture(run_dirs[0], data_dir))
        return
    measured = STUDIES[study](run_dirs) if study else {}
    if study in ("batch_size", "batch_size_tuned"):
        table, train = measured[study], load_mnist(data_dir)[0]
        finished = table["status"] == "finished"
        table["final train/loss"] = table["run"][finished].map(lambda run: final_train_loss(run, train))
    for name, table in measured.items():
        path = docs / "data" / f"{name}.csv"
        table = merge(path, table.drop(columns="run", errors="ignore"))
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
        print(f"{path}: {len(table):,} rows")
    pictures = {"corruptions": corruptions_picture(data_dir), "forms": forms_picture()}
    for name, (draw, files) in PICTURES.items():
        paths = [docs / "data" / f"{file}.csv" for file in files]
        if all(path.exists() for path in paths):
            pictures[name] = draw(*map(pd.read_csv, paths))
    for name, picture in pictures.items():
        path = docs / "images" / f"{name}.png"
        write_bytes(path, figures.png(picture))
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "study", nargs="?", choices=[*STUDIES, "test_panels"], help="what the runs are about; without it only draw"
    )
    parser.add_argument("runs", nargs="*", type=Path, help="run folders, or folders of runs")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("MNIST_EXP_DATA") or "data"))
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="the folder with data/ and images/")
    arguments = parser.parse_args()
    main(arguments.study, arguments.runs, docs=arguments.docs, data_dir=arguments.data_dir)

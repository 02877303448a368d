"""The figures of docs/real-world.md, from the evaluations in run folders: `scripts/reproduce.sh real_world` makes both.

    python -m scripts.figures outputs/runs/solution2/... outputs/runs/robust/...     # into docs/images

corruptions.png  one digit with every corruption; needs no run
suites.png       runs that hold evaluation-all.json; digits of one's own (suite=npz, ...) where all of them were tested
severity.png     runs that hold evaluation-corruptions-<0 to 5>.json (suite.name=corruptions-2 suite.severity=2)
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mnist_exp.analysis import figures
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.files import atomic_write
from mnist_exp.imaging.corruptions import FAMILIES, corrupt

DIGIT, DRAWN = 35, 100  # one of the first hundred test images, whose draws happen to be large
COLUMNS = 8  # corruptions side by side
SEVERITIES = {severity: f"corruptions-{severity}" for severity in range(6)}
TITLES = {family: family for family in FAMILIES} | {"mnist_c": "MNIST-C"}
OWN = ("folder-", "csv-", "npz-")  # how evaluations on digits of one's own are called
NOISE = 0.002  # of an accuracy: four of 2,000 images

Run = Mapping[str, Mapping[str, Any]]  # its evaluations, by the suite's label


def main(run_dirs: Sequence[Path], *, data_dir: Path, images: Path) -> None:
    runs = {name_of(run): run for run in map(read, run_dirs)}
    drawn = {"corruptions": contact_sheet(data_dir)}
    if graded := {name: run for name, run in runs.items() if run.keys() >= set(SEVERITIES.values())}:
        accuracies = pd.concat([by_severity(run).assign(group=name) for name, run in graded.items()])
        drawn["severity"] = figures.accuracy_by_severity(accuracies, figures.GroupStyles.of(list(graded)))
        print(falling(accuracies))
    if tested := {name: run for name, run in runs.items() if "all" in run}:
        accuracies = pd.concat([by_suite(run).assign(group=name) for name, run in tested.items()])
        shared = accuracies.groupby("suite", sort=False).filter(lambda rows: len(rows) == len(tested))
        drawn["suites"] = figures.accuracy_by_suite(shared, figures.GroupStyles.of(list(tested)))
    for name, figure in drawn.items():
        path = images / f"{name}.png"
        with atomic_write(path) as partial:
            partial.write_bytes(figures.png(figure))
        print(f"{path}: {path.stat().st_size:,} bytes")


def read(run_dir: Path) -> Run:
    paths = sorted(run_dir.glob("evaluation-*.json"))
    if not paths:
        raise SystemExit(
            f"error: {run_dir} holds no evaluation: run python -m mnist_exp.evaluate ckpt_path=... suite=all"
        )
    return {path.stem.removeprefix("evaluation-"): json.loads(path.read_text(encoding="utf-8")) for path in paths}


def name_of(run: Run) -> str:
    return next(iter(run.values()))["checkpoint"]["name"]


def contact_sheet(data_dir: Path) -> Figure:
    """What each corruption makes of a digit at severity 3, in a row for each family, or two."""
    images = load_mnist(data_dir)[1].images[:DRAWN]
    rows = {}
    for family, corruptions in FAMILIES.items():
        for start in range(0, len(corruptions), COLUMNS):
            row = [(images[DIGIT].numpy(), "original")]
            for name in corruptions[start : start + COLUMNS]:
                caption = name.removeprefix(f"{family}_").replace("_", "\n")
                row.append((corrupt(images, name, severity=3, seed=0)[DIGIT].numpy(), caption))
            rows[f"{TITLES[family]}, continued" if start else TITLES[family]] = row
    return figures.gallery(rows)


def by_severity(run: Run) -> pd.DataFrame:
    """Accuracies by `family`, `corruption` and `severity`."""
    rows = []
    for severity, label in SEVERITIES.items():
        for subset, score in run[label]["by_subset"].items():
            if "/" in subset:
                family, name = subset.split("/")
                rows.append((TITLES[family], name, severity, score["acc"]))
    return pd.DataFrame(rows, columns=["family", "corruption", "severity", "acc"])


def by_suite(run: Run) -> pd.DataFrame:
    """Accuracies by `suite`: the test set, each family of corruptions, other hands."""
    parts = {TITLES.get(name, name): score["acc"] for name, score in run["all"]["by_subset"].items() if "/" not in name}
    own = {label.partition("-")[2]: score["acc"] for label, score in run.items() if label.startswith(OWN)}
    return pd.DataFrame((parts | own).items(), columns=["suite", "acc"])


def falling(accuracies: pd.DataFrame) -> pd.Series:
    """Of each group and family the share of corruptions whose accuracy never rises with severity, but for noise."""
    curves = accuracies.pivot(index=["group", "family", "corruption"], columns="severity", values="acc")
    never = (curves.diff(axis=1).iloc[:, 1:] <= NOISE).all(axis=1)
    return never.groupby(["group", "family"], sort=False).mean().rename("never rises")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="*", type=Path, help="run folders, in the order of the legend")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("MNIST_EXP_DATA", "data")))
    parser.add_argument("--images", type=Path, default=Path("docs/images"), help="where the figures go")
    arguments = parser.parse_args()
    main(arguments.run, data_dir=arguments.data_dir, images=arguments.images)

"""The value of a setting that had the best validation accuracy, for each recipe of a sweep.

    python -m scripts.tuning outputs/sweeps/learning_rate optimizer.lr model optimizer

prints a line of overrides for each combination of model and optimizer, for the next sweep:

    model=mlp optimizer=adam optimizer.lr=0.001
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mnist_exp.result import RESULT_FILE, RunResult


def ended_runs(sweep: Path, settings: Sequence[str]) -> pd.DataFrame:
    """A row for each run that finished or failed: its settings as they were typed, its `seed` and its `val/acc`.

    The accuracy of a failed run is NaN: it diverged.
    """
    rows = []
    for path in sorted(sweep.glob(f"*/{RESULT_FILE}")):
        result = RunResult.read(path.parent)
        if result is not None and result.status != "interrupted":
            typed = dict(override.split("=", 1) for override in result.overrides)
            row = {setting: typed[setting] for setting in settings}
            rows.append(row | {"seed": result.seed, "val/acc": result.metrics.get("val/acc", float("nan"))})
    return pd.DataFrame(rows)


def best_values(runs: pd.DataFrame, tuned: str, recipe: Sequence[str]) -> pd.DataFrame:
    """A row for each recipe: its settings, the value of `tuned` with the best accuracy, and `at_the_edge`.

    At the edge, a value beyond those that were tried may be better. Of equal accuracies the smaller value wins. Only
    the lowest seed chooses: the others may have been trained with the chosen value alone.
    """
    runs = runs[runs["seed"] == runs["seed"].min()]
    runs = runs.assign(number=runs[tuned].astype(float)).sort_values("number")
    recipes = runs.groupby(list(recipe))["number"]
    runs["at_the_edge"] = (runs["number"] == recipes.transform("min")) | (runs["number"] == recipes.transform("max"))
    runs = runs.sort_values(["val/acc", "number"], ascending=[False, True])  # NaN is last
    return runs.groupby(list(recipe), as_index=False).first()[[*recipe, tuned, "at_the_edge"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path, help="the folder of a sweep")
    parser.add_argument("tuned", help="the setting to choose, such as optimizer.lr")
    parser.add_argument("recipe", nargs="+", help="the settings that make a recipe")
    arguments = parser.parse_args()
    runs = ended_runs(arguments.sweep, [*arguments.recipe, arguments.tuned])
    for _, row in best_values(runs, arguments.tuned, arguments.recipe).iterrows():
        overrides = " ".join(f"{key}={row[key]}" for key in [*arguments.recipe, arguments.tuned])
        print(overrides)
        if row["at_the_edge"]:
            print(f"warning: {overrides}: the best value is the first or last that was tried", file=sys.stderr)


if __name__ == "__main__":
    main()

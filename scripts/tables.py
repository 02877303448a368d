"""The tables of docs/puzzle.md, fashion.md, batch-size.md and real-world.md, made from docs/data/*.csv.

python -m scripts.tables     # write them into the pages, between <!-- table: name --> and <!-- end -->
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import dunnett

from mnist_exp.analysis.factorial import Factorial
from mnist_exp.analysis.markdown import interval, points
from mnist_exp.analysis.statistics import Summary, welch_difference
from mnist_exp.files import write_text

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("puzzle.md", "fashion.md", "batch-size.md", "real-world.md")
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)
MARGIN = 0.005  # half a percentage point: a difference within it is called none
NETWORKS = {"mlp": "perceptron", "cnn": "CNN"}
OPTIMIZERS = {"sgd": "SGD", "sgd_momentum": "SGD with momentum", "adam": "Adam"}
PIXELS = {False: "0 to 1", True: "standardised"}


class Factor(NamedTuple):
    name: str
    start: Any  # the level of solution 1
    end: Any  # ... and of solution 2
    levels: tuple[str, str]  # what a reader calls them


FACTORS = {
    "optimizer": Factor("optimizer at learning rate 0.001", "sgd", "adam", ("SGD", "Adam")),
    "epochs": Factor("epochs", 20, 3, ("20", "3")),
    "model.standardize": Factor("pixel values", False, True, ("0 to 1", "standardised")),
    "model": Factor("network", "mlp", "cnn", ("perceptron", "CNN")),
}


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(DOCS / "data" / f"{name}.csv")


# ---- statistics ----


def difference(a: ArrayLike, b: ArrayLike) -> str:
    """The mean of a minus that of b, with Welch's interval of 95%."""
    found = welch_difference(a, b)
    return f"{points(found.mean)} {interval(found.interval)}"


def puzzle_factorial(rows: pd.DataFrame) -> Factorial:
    """The runs of puzzle.csv between the two solutions. The source of the pixels is left out: it changes nothing."""
    images = rows[rows["data"] == "image"]
    corners = ({key: factor[end] for key, factor in FACTORS.items()} for end in (1, 2))
    return Factorial.from_runs(images, value="test/acc", **dict(zip(("start", "end"), corners, strict=True)))


# ---- text ----


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> str:
    """The first `left` columns are aligned left, the others right."""
    ends = ["---"] * left + ["--:"] * (len(header) - left)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [header, ends, *rows])


def mean_and_deviation(accuracies: "pd.Series[float]") -> str:
    """In per cent. One run has no deviation."""
    mean = f"{100 * accuracies.mean():.2f}"
    return f"{mean} ± {100 * accuracies.std():.2f}" if len(accuracies) > 1 else mean


def of_summary(summary: Summary) -> str:
    return f"{points(summary.mean)} {interval(summary)}"


# ---- docs/puzzle.md ----


def puzzle_solutions() -> str:
    runs = read("puzzle").query("data == 'image'").set_index([*FACTORS])["test/acc"].sort_index()
    ends = [100 * runs.loc[tuple(factor[end] for factor in FACTORS.values())] for end in (1, 2)]
    rows = [
        ("source of the pixels", "images", "CSV"),
        ("network", "perceptron", "CNN"),
        ("optimizer", "SGD, learning rate 0.001", "Adam, learning rate 0.001"),
        ("pixel values", "0 to 1", "standardised: mean 0, standard deviation 1"),
        ("epochs", "20", "3"),
        (f"test accuracy, mean of {len(ends[0])} seeds", *(f"{end.mean():.2f}%" for end in ends)),
        ("standard deviation over the seeds", *(f"{end.std():.2f} points" for end in ends)),
    ]
    return markdown(["", "solution 1", "solution 2"], rows, left=3)


def puzzle_cells() -> str:
    runs = read("puzzle").query("data == 'image'")
    means = 100 * runs.groupby(["model", "optimizer", "model.standardize", "epochs"])["test/acc"].mean()
    rows = [
        (NETWORKS[model], OPTIMIZERS[optimizer], PIXELS[pixels],
         *(f"{means[model, optimizer, pixels, epochs]:.2f}" for epochs in (3, 20)))
        for model in NETWORKS for optimizer in ("sgd", "adam") for pixels in PIXELS
    ]  # fmt: skip
    return markdown(["network", "optimizer", "pixel values", "after 3 epochs", "after 20 epochs"], rows, left=3)


def puzzle_shares() -> str:
    factorial = puzzle_factorial(read("puzzle"))
    shares, gap = factorial.shapley(), factorial.gap()
    first, last = factorial.switched_first(), factorial.switched_last()
    rows = []
    for key in sorted(shares, key=lambda key: -abs(shares[key].mean)):
        alone = [points(each[key].mean) for each in (first, last)]
        rows.append((FACTORS[key].name, *FACTORS[key].levels, of_summary(shares[key]), *alone))
    rows.append(("source of the pixels", "images", "CSV", "0.00", "0.00", "0.00"))
    rows.append(("**the gap**", "", "", f"**{of_summary(gap)}**", "", ""))
    header = ["setting", "solution 1", "solution 2", "share [95% interval]", "changed first", "changed last"]
    return markdown(header, rows, left=3)


def puzzle_interactions() -> str:
    factorial = puzzle_factorial(read("puzzle"))
    found = [
        each
        for order, shown in ((2, 3), (3, 1))
        for each in sorted(factorial.interactions(order).items(), key=lambda item: -abs(item[1].mean))[:shown]
    ]
    rows = [(" × ".join(FACTORS[key].name for key in keys), of_summary(each)) for keys, each in found]
    return markdown(["interaction", "points [95% interval]"], rows, left=1)


def chosen_runs(name: str, recipe: list[str]) -> pd.DataFrame:
    """The runs that test the best rate: those of all seeds but the first, which has tried the rates."""
    runs = read(name)
    return runs[runs["seed"] > runs["seed"].min()].sort_values([*recipe, "seed"])


def learning_rate_best() -> str:
    keys = ["model", "optimizer"]
    tried = read("learning_rate").query("seed == 0 and `optimizer.lr` == 0.001").set_index(keys)["test/acc"]
    groups = dict(list(chosen_runs("learning_rate", keys).groupby(keys)))
    rows = []
    for model, optimizer in product(NETWORKS, OPTIMIZERS):
        runs = groups[model, optimizer]
        (rate,) = set(runs["optimizer.lr"])
        accuracies = f"{100 * tried[model, optimizer]:.2f}", f"{rate:g}", mean_and_deviation(runs["test/acc"])
        rows.append((NETWORKS[model], OPTIMIZERS[optimizer], *accuracies, str(len(runs))))
    header = ["network", "optimizer", "at 0.001 (n = 1)", "best rate", "at the best rate", "n"]
    return markdown(header, rows, left=2)


def learning_rate_effects() -> str:
    """What a change of one setting is worth after 3 epochs, at a learning rate of 0.001 and at the best rates."""
    keys = ["model", "optimizer"]
    low = read("puzzle").query("data == 'image' and `model.standardize` and epochs == 3")
    groups = [dict(list(runs.groupby(keys)["test/acc"])) for runs in (low, chosen_runs("learning_rate", keys))]

    def row(change: str, before: tuple[str, str], after: tuple[str, str]) -> list[str]:
        return [change, *(difference(at[after], at[before]) if after in at else "" for at in groups)]

    rows = [
        row(f"{name}: SGD → {OPTIMIZERS[optimizer]}", (model, "sgd"), (model, optimizer))
        for model, name in NETWORKS.items()
        for optimizer in ("sgd_momentum", "adam")
    ]
    rows += [
        row(f"{name}: perceptron → CNN", ("mlp", optimizer), ("cnn", optimizer))
        for optimizer, name in OPTIMIZERS.items()
    ]
    return markdown(["change", "at a rate of 0.001", "at the best rates"], rows, left=1)


# ---- docs/fashion.md ----


def fashion_recipes() -> str:
    """The recipes on Fashion-MNIST, beside the means of the same recipes on MNIST that the puzzle has."""
    recipe = ["model", "optimizer", "lr", "epochs"]
    groups = dict(list(read("fashion").query("data == 'image'").groupby(recipe)))
    puzzle = read("puzzle").query("data == 'image' and `model.standardize` == (model == 'cnn')")
    mnist = 100 * puzzle.groupby(["model", "optimizer", "epochs"])["test/acc"].mean()
    names = {
        ("mlp", "sgd", 0.001, 3): "perceptron, SGD at 0.001, 3 epochs",
        ("mlp", "adam", 0.001, 3): "perceptron, **Adam** at 0.001, 3 epochs",
        ("mlp", "sgd", 0.1, 3): "perceptron, SGD at **0.1**, 3 epochs",
        ("mlp", "sgd", 0.001, 20): "solution 1: perceptron, SGD at 0.001, 20 epochs",
        ("cnn", "adam", 0.001, 3): "solution 2: CNN, Adam at 0.001, 3 epochs, standardised pixels",
    }
    rows = [
        (name, mean_and_deviation(groups[key]["test_accuracy"]), str(len(groups[key])),
         f"{mnist[key[0], key[1], key[3]]:.2f}" if key[2] == 0.001 else "")
        for key, name in names.items()
    ]  # fmt: skip
    return markdown(["recipe", "Fashion-MNIST", "n", "MNIST"], rows, left=1)


# ---- docs/batch-size.md ----


def batch_size() -> str:
    runs = read("batch_size")
    recipe = runs["optimizer"].where(runs["scheduler"] == "none", "warmup")
    groups = dict(list(runs.groupby(["data.batch_size", recipe])))
    reference = groups[64, "sgd_scaled"]["test/acc"]
    rows = []
    for size in sorted(set(runs["data.batch_size"])):
        here = [groups.get((size, name)) for name in ("sgd_momentum", "sgd_scaled", "warmup")]
        accuracies = ["" if runs is None else with_failures(runs) for runs in here]
        scaled = groups[size, "sgd_scaled"]["test/acc"].dropna()
        from_64 = "" if size == 64 or len(scaled) < 2 else equivalence(scaled, reference)
        rows.append([f"{size:,}", f"{5 * -(-55_000 // size):,}", *accuracies, from_64])
    header = ["batch", "steps", "fixed rate", "scaled rate", "scaled rate, warm-up", "scaled rate: difference from 64"]
    return markdown(header, rows, left=0)


def with_failures(runs: pd.DataFrame) -> str:
    """Mean and deviation of the runs that did not diverge, and how many there are."""
    accuracies, diverged = runs["test/acc"].dropna(), int((runs["status"] == "failed").sum())
    if not len(accuracies):
        return f"all {diverged} diverged"
    count = f"{diverged} of {len(runs)} diverged" if diverged else f"n = {len(runs)}"
    return f"{mean_and_deviation(accuracies)} ({count})"


def equivalence(accuracies: ArrayLike, reference: ArrayLike) -> str:
    """The difference, and whether it is within the margin by two one-sided tests at 5% (TOST)."""
    within = welch_difference(accuracies, reference).equivalence_p(MARGIN) < 0.05
    return f"{difference(accuracies, reference)}{', within ±0.5' if within else ''}"


def batch_size_tuned() -> str:
    """The best rates of large batches, after a row of batches of 64 at their usual rate, to compare with."""
    usual = read("batch_size").query("optimizer == 'sgd_scaled' and `data.batch_size` == 64")
    usual = usual.assign(**{"optimizer": "sgd_momentum", "optimizer.lr": 0.01})
    best = chosen_runs("batch_size_tuned", ["data.batch_size"])
    groups = [usual, *(group for _, group in best.groupby(["optimizer", "data.batch_size"]))]
    rows = []
    for runs in sorted(groups, key=lambda runs: runs["data.batch_size"].iloc[0]):
        recipe = runs.iloc[0]
        losses = runs.dropna(subset="final train/loss")[["final train/loss", "test/loss"]].mean()
        from_64 = "" if runs is usual else equivalence(runs["test/acc"].dropna(), usual["test/acc"])
        rows.append((f"{recipe['data.batch_size']:,}", OPTIMIZERS[recipe["optimizer"]], f"{recipe['optimizer.lr']:g}",
                     with_failures(runs), from_64, *(f"{loss:.3f}" for loss in losses),
                     f"{losses.iloc[1] - losses.iloc[0]:.3f}".replace("-", "−")))  # fmt: skip
    header = ["batch", "optimizer", "rate", "test accuracy", "difference from 64", "train loss", "test loss", "gap"]
    return markdown(header, rows, left=2)


def batch_size_updates() -> str:
    runs = read("batch_size_updates")
    groups = dict(list(runs.groupby(["data.batch_size", "optimizer"])))
    rows = []
    for size in sorted(set(runs["data.batch_size"])):
        epochs, rest = divmod(430, -(-60_000 // size))
        seen = epochs * 60_000 + rest * size
        rows.append((f"{size:,}", f"{seen:,}",
                     *(with_failures(groups[size, name]) for name in ("sgd_momentum", "sgd_scaled"))))  # fmt: skip
    return markdown(["batch", "images seen", "fixed rate", "scaled rate"], rows, left=0)


# ---- docs/real-world.md ----

MODELS = {"solution1": "solution 1", "solution2": "solution 2", "fast": "fast", "robust": "robust"}
SUITES = {
    "test": "MNIST's test images",
    "MNIST-C": "MNIST-C's corruptions",
    "hand": "hand: rotation, slant, size, …",
    "pen": "pen: thin, thick, pencil, …",
    "camera": "camera: noise, blur, light, …",
    "load_digits": "`load_digits`: 43 people",
    "nsysu": "`nsysu`: scanned exams",
    "sudoku_phone": "`sudoku_phone`: photographed cells",
    "hwd1000_drawn": "`hwd1000_drawn`: drawn on a screen",
    "photos": "`photos`: colour photos",
}


def real_world() -> str:
    """Accuracy in per cent, the mean over seeds and their standard deviation; the last row is a calibration error."""
    runs = read("real_world")
    by_suite = dict(list(runs.groupby(["suite", "model"])))
    rows = [
        (title, f"{by_suite[suite, 'robust']['n'].iloc[0]:,}",
         *(one_decimal(by_suite[suite, model]["accuracy"]) for model in MODELS))
        for suite, title in SUITES.items()
    ]  # fmt: skip
    errors = [one_decimal(by_suite["all", model]["calibration_error"]) for model in MODELS]
    images = f"{by_suite['all', 'robust']['n'].iloc[0]:,}"
    rows.append(("calibration error of the first six rows, points", images, *errors))
    seeds = [str(len(by_suite["test", model])) for model in MODELS]
    rows.append(("number of runs", "", *seeds))
    return markdown(["test set", "images", *MODELS.values()], rows, left=1)


def one_decimal(fractions: "pd.Series[float]") -> str:
    percent = 100 * fractions
    return f"{percent.mean():.1f} ± {percent.std():.1f}" if len(percent) > 1 else f"{percent.mean():.1f}"


def augment() -> str:
    """What leaving out a part of the augmentation changes, in points; bold where chance is an unlikely reason.

    Bold: Dunnett's test (1955) of all parts against the whole augmentation, at 5% for each column.
    """
    runs = read("augment")
    whole, parts = runs[runs["without"].isna()], runs[runs["without"].notna()]
    sets = list(runs.columns.drop(["without", "seed"]))
    rows = [["nothing (accuracy)", *(f"{whole[name].mean():.2f} ± {whole[name].std():.2f}" for name in sets)]]
    groups = dict(list(parts.groupby("without", sort=False)))
    unlikely = {
        name: dunnett(*(each[name] for each in groups.values()), control=whole[name]).pvalue < 0.05 for name in sets
    }
    for number, (part, group) in enumerate(groups.items()):
        changes = [points((group[name].mean() - whole[name].mean()) / 100) for name in sets]
        marked = [f"**{text}**" if unlikely[name][number] else text for name, text in zip(sets, changes, strict=True)]
        rows.append([f"`{part}`", *marked])
    return markdown(["without", *sets], rows, left=1)


TABLES: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (
        puzzle_solutions, puzzle_cells, puzzle_shares, puzzle_interactions, learning_rate_best, learning_rate_effects,
        fashion_recipes,
        batch_size, batch_size_tuned, batch_size_updates,
        real_world, augment,
    )
}  # fmt: skip


def filled(page: str) -> str:
    """The text of a page, with its tables made from the data."""
    return MARKED.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], page)


def main() -> None:
    for name in PAGES:
        path = DOCS / name
        write_text(path, filled(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

"""What a comparison says: a `Study` becomes one Markdown text with its figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnist_exp.analysis import figures
from mnist_exp.analysis.attribution import attribution, check_corners, corner_groups
from mnist_exp.analysis.markdown import (
    NOTHING,
    code,
    counted,
    interval,
    number,
    p_value,
    paragraphs,
    percent,
    points,
    table,
)
from mnist_exp.analysis.pairs import (
    Pair,
    compare_pairs,
    different_images,
    disagreements,
    paired_tests,
    read_predictions,
)
from mnist_exp.analysis.run_folders import Predictions
from mnist_exp.analysis.runs import Study
from mnist_exp.analysis.statistics import summarise, wilson_interval
from mnist_exp.recipe import is_part_of_recipe


@dataclass(frozen=True)
class Report:
    """title: of the page. markdown: the whole text, which shows `figures/<name>.png`. figures: PNGs by name."""

    title: str
    markdown: str
    figures: dict[str, bytes]


def write_report(
    study: Study,
    *,
    title: str,
    start: Mapping[str, Any] | None = None,
    end: Mapping[str, Any] | None = None,
    pictures: Callable[[str], NDArray[np.uint8] | None] = lambda _: None,
    command: str = "",
) -> Report:
    """The report of a study.

    start, end: the corners (factor -> level) between which the gap is attributed; both None for no attribution.
    pictures: gives the test images, uint8 (N, 28, 28), of the data with a fingerprint, or None where it cannot.
    command: what was typed to get it.

    Raises ValueError for an unknown factor or level, or a factorial without a complete seed.
    """
    drawn: dict[str, bytes] = {}
    corners = check_corners(study, start, end)
    predictions = {} if study.epochs else read_predictions(study)
    pairs = compare_pairs(study, predictions)
    divided = corner_groups(study, corners)
    if len(divided) < 2:
        divided = [study.best, *(rival.b for rival in rivals(study, pairs)[:1])]
    look = figures.Look.of(study.groups, important=divided)
    text = paragraphs(
        f"# {title}",
        headline(study, pairs),
        different_images(study, predictions),
        verdict(study, predictions),
        settings(study),
        attribution(study, corners, drawn),
        paired_tests(study, pairs),
        learning_curves(study, look, drawn),
        accuracy_against_time(study, look, drawn),
        disagreements(study, divided, predictions, pictures, drawn),
        left_out(study),
        origin(study, command),
    )
    return Report(title, text + "\n", drawn)


# --- how the groups stand --------------------------------------------------------------------------------------------


def rivals(study: Study, pairs: Sequence[Pair]) -> list[Pair]:
    """The best group against each that is not its equal, the next one first; first of all those with several seeds."""
    ahead = [pair for pair in pairs if pair.a == study.best and not pair.equal]
    return sorted(ahead, key=lambda pair: pair.over_seeds is None or pair.over_seeds.n == 1)


def headline(study: Study, pairs: Sequence[Pair]) -> str:
    """The answer in a few sentences: who is ahead, and how sure that is."""
    best, ahead = summarise(study.of(study.best)["test/acc"]), rivals(study, pairs)
    among = " of the groups with several seeds" if study.best != study.groups[0] else ""
    top = "a" if len(study.groups) == 1 else "the highest"
    said = f"{code(study.best)} has {top} mean test accuracy{among}: **{percent(best.mean)}** (n = {best.n})."
    if equals := [code(pair.b) for pair in pairs if pair.a == study.best and pair.equal]:
        said += f" With each common seed {' and '.join(equals)} {'equal' if len(equals) > 1 else 'equals'} it."
    return f"{said} {lead_over(ahead[0])}" if ahead else said


def lead_over(rival: Pair) -> str:
    if rival.over_seeds is None:
        return f"The next is {code(rival.b)}, without a seed in common: no test in pairs is possible."
    over = f"{points(rival.over_seeds.mean)} percentage points"
    said = f"The lead over the next, {code(rival.b)}, is **{over}**"
    count = counted(rival.over_seeds.n, "seed")
    if np.isnan(rival.t_holm):
        said += f" with {count}: too little to say whether other seeds would agree."
        if rival.over_images:
            said += f" Over the test images McNemar's p is {p_value(rival.images_holm)} after Holm."
        return said
    settled = "other seeds can be expected to agree" if rival.t_holm < 0.05 else "these seeds do not settle it"
    test = f"paired t-test over {count}, p = {p_value(rival.t_holm)} after Holm".replace("= <", "<")
    return f"{said}, 95% interval {interval(rival.over_seeds)}: {settled} ({test})."


def verdict(study: Study, predictions: Mapping[str, Predictions]) -> str:
    rows = [[*names_of(study, group), *verdict_row(study.of(group), predictions)] for group in study.groups]
    header = ["n", "test/acc, %", "std", "95% interval", "val/acc, %", "fit, s", "images/s"]
    header = [*(study.label_factors or ["group"]), *header]
    notes = "Standard deviations and intervals (t, cut at 100) are over seeds."
    if len({frozenset(study.of(group)["seed"]) for group in study.groups}) > 1:
        notes += " The groups did not all run the same seeds: go by the pairs below, which compare common seeds."
    if any("†" in str(cell) for row in rows for cell in row):
        notes += " † One run: its interval is over test images (Wilson), and says nothing about other seeds."
    if study.epochs:
        notes += " Accuracies are of the weights right after the given epoch, not of those that validation chose."
    elif study.finished["val/acc"].isna().all():
        notes += " Nothing was held out for validation: each run was tested with its last weights."
    else:
        notes += " Each run was tested with the weights that validation chose."
        notes += " To choose a recipe, go by val/acc: its test/acc then stays an unbiased estimate."
    return paragraphs("## Verdict", table("Groups, the highest mean test accuracy first", header, rows), notes)


def names_of(study: Study, group: str) -> list[str]:
    """The levels that the group's label spells out, a cell for each factor; else the label."""
    return [code(level) for level in study.of(group)[study.label_factors].iloc[0]] or [code(group)]


def settings(study: Study) -> str:
    """All settings in which the groups differ, where their labels do not spell these out."""
    if study.label_factors or study.settings.empty:
        return ""
    one_run_each = study.finished.drop_duplicates("group").set_index("group")["run"][study.groups]
    values = study.settings.loc[one_run_each].set_axis(study.groups)  # a row for each group
    corner = "group"
    if len(values) < len(values.columns):
        values, corner = values.T, "setting"
    rows = [[code(name), *map(code, row)] for name, row in zip(values.index, values.to_numpy(), strict=True)]
    header = [corner, *map(code, values.columns)]
    return paragraphs("## What differs", table("Settings that are not the same in all groups", header, rows))


def verdict_row(runs: pd.DataFrame, predictions: Mapping[str, Predictions]) -> list[Any]:
    test = summarise(runs["test/acc"])
    low, high, mark = test.low, test.high, ""
    if test.n == 1 and (known := predictions.get(runs["run"].iloc[0])):
        low, high = wilson_interval(int(known.correct.sum()), known.correct.size)
        mark = " †"
    between = f"[{100 * max(low, 0):.2f}, {100 * min(high, 1):.2f}]{mark}" if low == low else NOTHING
    val, fit, pace = (runs[key].mean() for key in ("val/acc", "fit_seconds", "images_per_second"))
    accuracies = [number(100 * test.mean), number(100 * test.std), between, number(100 * val)]
    return [test.n, *accuracies, number(fit, 1), number(pace, 0)]


# --- figures ---------------------------------------------------------------------------------------------------------


def learning_curves(study: Study, look: figures.Look, drawn: dict[str, bytes]) -> str:
    history = study.curves()
    if history.empty or history["epoch"].max() < 2:
        return ""
    drawn["learning_curves"] = figures.png(figures.learning_curves(history, look.among(set(history["group"]))))
    last = history.dropna(subset=["val/acc"]).groupby(["group", "run"])["val/acc"].last().groupby("group").mean()
    said = f" Means end between {percent(last.min())} and {percent(last.max())}." if len(last) else ""
    return (
        "## Learning curves\n\n![Line charts of validation accuracy and training loss by epoch, a line for each "
        f"group.{said}](figures/learning_curves.png)\n\n*Lines are means over seeds; bands reach from the lowest to "
        "the highest seed.*"
    )


def accuracy_against_time(study: Study, look: figures.Look, drawn: dict[str, bytes]) -> str:
    runs = study.finished.dropna(subset=["fit_seconds"])
    if runs.empty:
        return ""
    drawn["time"] = figures.png(figures.accuracy_against_time(runs, look))
    devices = sorted(runs["device"].dropna().unique())
    caution = " Times of different devices do not compare." if len(devices) > 1 else ""
    low, high = runs["fit_seconds"].min(), runs["fit_seconds"].max()
    return (
        "## Accuracy against time\n\n![Scatter chart of test accuracy against seconds of training, a point for each of "
        f"{len(runs)} runs, which took {low:.1f} to {high:.1f} seconds.](figures/time.png)\n\n"
        f"*A point is a run, on {', '.join(devices) or 'an unknown device'}.{caution}*"
    )


# --- what else one should know ---------------------------------------------------------------------------------------


def left_out(study: Study) -> str:
    lost = study.frame[~study.frame["status"].isin(["finished", "borrowed"])]
    if lost.empty:
        return ""
    rows = [
        [code(run), code(status), code(str(why)[:400])]
        for run, status, why in lost[["run", "status", "error"]].to_numpy()
    ]
    return paragraphs("## Runs left out", table("Runs that no number above contains", ["run", "status", "why"], rows))


def origin(study: Study, command: str) -> str:
    finished = study.finished
    results = [study.results[run] for run in finished["run"].unique()]
    alike = set.intersection(*(set(result.overrides) for result in results))
    alike = {each for each in alike if (key := each.partition("=")[0]) not in study.factors and is_part_of_recipe(key)}
    environments = [result.environment for result in results]
    versions = {f"torch {each.get('torch')}, Lightning {each.get('lightning')}" for each in environments}
    prints = sorted(finished["fingerprint"].dropna().unique())
    commits = sorted(finished["commit"].dropna().unique())
    data = "the same in all" if len(prints) == 1 else f"**{len(prints)} different sets**"
    facts = [
        f"{counted(len(results), 'finished run')}, seeds {', '.join(map(str, sorted(finished['seed'].unique())))}.",
        f"Set alike in all: {', '.join(map(code, sorted(alike)))}." if alike else "",
        f"Data: {data}, fingerprint {', '.join(code(each[:19] + '…') for each in prints)}.",
        f"Device: {', '.join(sorted(finished['device'].dropna().unique()))}; {'; '.join(sorted(versions))}.",
        f"Source: commit {', '.join(map(code, commits))}." if commits else "",
        "Every run with its settings and figures: runs.csv.",
        f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by {code(command)}." if command else "",
    ]
    return paragraphs("## Where the numbers come from", "\n".join(f"- {fact}" for fact in facts if fact))

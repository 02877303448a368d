"""What a comparison says: a `Study` becomes one Markdown text and its figures."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnist_exp.analysis import figures
from mnist_exp.analysis.answer import answer, failures, leads
from mnist_exp.analysis.attribution import attribution, check_corners, corner_groups
from mnist_exp.analysis.disagreements import disagreements
from mnist_exp.analysis.figures import GroupStyles, Plot
from mnist_exp.analysis.markdown import (
    NOTHING,
    code,
    counted,
    markdown_table,
    number,
    paragraphs,
    percent,
    plain_text,
)
from mnist_exp.analysis.pairs import (
    compare_pairs,
    different_images,
    paired_tests,
    read_predictions,
)
from mnist_exp.analysis.run_folders import Predictions
from mnist_exp.analysis.runs import Study
from mnist_exp.analysis.statistics import summarise, wilson_interval
from mnist_exp.recipe import is_part_of_recipe
from mnist_exp.result import RunResult


@dataclass(frozen=True)
class Report:
    """A text and its figures.

    title: of the page. markdown: the whole text, which shows `figures/<name>.png`. plots: what draws these, by name.
    """

    title: str
    markdown: str
    plots: dict[str, Plot]


def write_report(
    study: Study,
    *,
    name: str,
    start: Mapping[str, Any] | None = None,
    end: Mapping[str, Any] | None = None,
    margin: float = 0.5,
    pictures: Callable[[str], NDArray[np.uint8] | None] = lambda _: None,
    command: str = "",
) -> Report:
    """The report of a study, with the answer first and the origin of its numbers last.

    name: for the title.
    start, end: the two corners (factor -> level) whose gap is divided among the factors; None for no such section.
    margin: percentage points below which a difference does not matter.
    pictures: takes a data fingerprint, returns that data's test images, uint8 (N, 28, 28), or None if it has none.
    command: what was typed to get the report.

    Raises ValueError for an unknown factor or level, and where no seed was run with every combination of levels.
    """
    # What the sections share: the groups in pairs, and one line style a group for all figures.
    corners = check_corners(study, start, end)
    predictions = {} if study.epochs else read_predictions(study)
    pairs = compare_pairs(study, predictions, margin=margin / 100)
    contrasted = corner_groups(study, corners)
    if len(contrasted) < 2:
        contrasted = [study.best, *(pair.b for pair in leads(study, pairs)[:1])]
    drawn = set(study.curves()["group"])  # of the milestones of a run only the last has a curve
    styles = GroupStyles.of(study.groups, important=[each for each in [*contrasted, *study.groups] if each in drawn])
    plots: dict[str, Plot] = {}

    # A section without content is empty, and left out.
    compared = counted(study.finished["run"].nunique(), "run")
    text = paragraphs(
        f"# {code(name)}: {', '.join([f'{compared} compared', *left_out_counts(study)])}",
        answer(study, pairs),
        different_images(study, predictions),
        # How each group did, and what made the difference.
        verdict(study, predictions),
        settings(study),
        attribution(study, corners, plots),
        paired_tests(study, pairs),
        # What it looks like.
        learning_curves(study, styles, plots),
        accuracy_against_time(study, styles, plots),
        disagreements(study, contrasted, predictions, pictures, plots),
        # What to know before believing it.
        runs_left_out(study),
        origin(study, command),
    )
    return Report(f"{plain_text(name)}: {compared} compared", text + "\n", plots)


# --- how each group did ----------------------------------------------------------------------------------------------


def verdict(study: Study, predictions: Mapping[str, Predictions]) -> str:
    """The table of groups, and what its numbers are."""
    header = [code(factor) for factor in study.label_factors] or ["group"]
    header += ["n", "failed", "test/acc, %", "std, seeds", "std, images", "95% interval", "val/acc, %", "fit, s"]
    header += ["images/s"]
    rows = [[*levels(study, group), *measurements(study, group, predictions)] for group in study.groups]
    rows += [
        [*levels(study, group), 0, failures(study, group), *[""] * (len(header) - len(study.label_factors or [0]) - 2)]
        for group in study.failed_groups
    ]
    table = markdown_table("Groups, the highest mean test accuracy first", header, rows)
    return paragraphs("## Verdict", table, verdict_notes(study, one_run=any("†" in str(row) for row in rows)))


def levels(study: Study, group: str) -> list[str]:
    """The levels that the group's label spells out, a cell for each factor; else the label."""
    row = study.frame[study.frame["group"] == group].iloc[0]
    return [code(level) for level in row[study.label_factors]] or [code(group)]


def settings(study: Study) -> str:
    """All settings in which the groups differ, where their labels do not spell these out."""
    if study.label_factors or study.settings.empty:
        return ""
    groups = [*study.groups, *study.failed_groups]
    one_run_each = study.frame.drop_duplicates("group").set_index("group")["run"][groups]
    values = study.settings.loc[one_run_each].set_axis(groups)  # a row for each group
    corner = "group"
    if len(values) < len(values.columns):
        values, corner = values.T, "setting"
    rows = [[code(name), *map(code, row)] for name, row in zip(values.index, values.to_numpy(), strict=True)]
    header = [corner, *map(code, values.columns)]
    return paragraphs("## What differs", markdown_table("Settings that are not the same in all groups", header, rows))


def measurements(study: Study, group: str, predictions: Mapping[str, Predictions]) -> list[Any]:
    """The cells of a group from `n` to `images/s`. One run has its interval over images, marked †."""
    runs = study.of(group)
    test = summarise(runs["test/acc"])
    low, high, mark = test.low, test.high, ""
    if test.n == 1 and (known := predictions.get(runs["run"].iloc[0])):
        low, high = wilson_interval(int(known.correct.sum()), known.correct.size)
        mark = " †"
    between = NOTHING if np.isnan(low) else f"[{100 * max(low, 0):.2f}, {100 * min(high, 1):.2f}]{mark}"
    val, fit, pace = (runs[key].mean() for key in ("val/acc", "fit_seconds", "images_per_second"))
    mean = number(100 * test.mean) + " ‡" * (not study.failures(group).empty)
    stds = [number(100 * std) for std in (test.std, std_over_images(study, runs))]
    accuracies = [mean, *stds, between, number(100 * val)]
    return [test.n, failures(study, group), *accuracies, number(fit, 1), number(pace, 0)]


def std_over_images(study: Study, runs: pd.DataFrame) -> float:
    """How much the accuracy of one of these runs would vary with other test images (binomial). NaN if unknown."""
    tested = [study.results[run].data.get("test") for run in runs["run"]]
    n = np.array([each if type(each) is int and each > 0 else np.nan for each in tested])
    return float(np.sqrt((runs["test/acc"] * (1 - runs["test/acc"]) / n).mean(skipna=False)))


def verdict_notes(study: Study, *, one_run: bool) -> str:
    notes = [
        "*std, seeds*: how much a run's accuracy varies with the seed, on the same test images. *std, images*: how "
        "much it would vary with other test images, as many as these. Intervals (t, cut at 100) are over seeds."
    ]
    if any(not study.failures(group).empty for group in study.groups):
        notes.append("‡ The mean of the runs that finished. It leaves out those that failed, so it flatters the group.")
    if one_run:
        notes.append("† One run: its interval is over test images (Wilson), and says nothing about other seeds.")
    return " ".join([*notes, *weights_tested(study)])


def weights_tested(study: Study) -> list[str]:
    """Sentences on what validation has chosen."""
    if study.epochs:
        return ["Accuracies are of the weights right after the given epoch, not of those that validation chose."]
    if study.finished["val/acc"].isna().all():
        return ["No images were held out for validation: each run was tested with its last weights."]
    results = [study.results[run] for run in study.finished["run"]]
    advice = "The order of the table is by test accuracy. Choose a recipe by val/acc: its test/acc then stays unbiased."
    if all(tests_last_weights(result) for result in results):
        return ["Each run was tested with its last weights.", advice]
    earlier = sum(bool(result.history) and result.epoch != result.history[-1]["epoch"] for result in results)
    which = f"not of the last epoch in {earlier} of {counted(len(results), 'run')}" if earlier else "always the last"
    return [f"Each run was tested with the weights that validation chose: {which}.", advice]


def tests_last_weights(result: RunResult) -> bool:
    """Whether the run's settings say so: no callback chooses a best epoch."""
    callbacks = result.config.get("callbacks")
    if not isinstance(callbacks, dict):
        return False
    best = callbacks.get("best")
    return not isinstance(best, dict) or best.get("monitor") is None


# --- what it looks like ----------------------------------------------------------------------------------------------


def learning_curves(study: Study, styles: GroupStyles, plots: dict[str, Plot]) -> str:
    history = study.curves()
    if history.empty or history["epoch"].max() < 2:
        return ""
    plots["learning_curves"] = partial(figures.learning_curves, history, styles)
    last = history.dropna(subset=["val/acc"]).groupby(["group", "run"])["val/acc"].last().groupby("group").mean()
    means = f" Means end between {percent(last.min())} and {percent(last.max())}." if len(last) else ""
    return paragraphs(
        "## Learning curves",
        "![Line charts of validation accuracy and training loss by epoch, a line for each group."
        f"{means}](figures/learning_curves.png)",
        "*Lines are means over seeds; bands reach from the lowest to the highest seed. Numbers are the groups' places "
        "in the table above.*",
    )


def accuracy_against_time(study: Study, styles: GroupStyles, plots: dict[str, Plot]) -> str:
    runs = study.finished.dropna(subset=["fit_seconds"])
    if runs.empty:
        return ""
    plots["time"] = partial(figures.accuracy_against_time, runs, styles)
    devices = sorted(runs["device"].dropna().unique())
    caution = " Times of different devices do not compare." if len(devices) > 1 else ""
    low, high = runs["fit_seconds"].min(), runs["fit_seconds"].max()
    return paragraphs(
        "## Accuracy against time",
        "![Scatter chart of test accuracy against seconds of training, a point for each of "
        f"{len(runs)} runs, which took {low:.1f} to {high:.1f} seconds.](figures/time.png)",
        f"*A point is a run, on {', '.join(map(code, devices)) or 'an unknown device'}.{caution} The best run of each "
        "group has the group's number.*",
    )


# --- what to know before believing it --------------------------------------------------------------------------------


def left_out(study: Study) -> pd.DataFrame:
    return study.frame[~study.frame["status"].isin(["finished", "borrowed"])]


def left_out_counts(study: Study) -> list[str]:
    """How many runs are missing from the comparison, by reason: `2 failed`, `1 interrupted`."""
    return [f"{count} {status}" for status, count in left_out(study).groupby("status")["run"].nunique().items()]


def runs_left_out(study: Study) -> str:
    lost = left_out(study).drop_duplicates(["run", "status", "error"])
    if lost.empty:
        return ""
    rows = [[code(run), code(status), code(why)] for run, status, why in lost[["run", "status", "error"]].to_numpy()]
    table = markdown_table("Runs that no number above contains", ["run", "status", "why"], rows)
    return paragraphs("## Runs left out", table)


def origin(study: Study, command: str) -> str:
    """Runs, settings, data, machines and source behind the numbers."""
    finished = study.finished
    results = [study.results[run] for run in finished["run"].unique()]
    typed = set.intersection(*(set(result.overrides) for result in results))
    common = {each for each in typed if (key := each.partition("=")[0]) not in study.factors and is_part_of_recipe(key)}
    environments = [result.environment for result in results]
    versions = {f"torch {each.get('torch')}, Lightning {each.get('lightning')}" for each in environments}
    fingerprints = sorted(finished["fingerprint"].dropna().unique())
    data = "the same in all" if len(fingerprints) == 1 else f"**{len(fingerprints)} different sets**"
    facts = [
        f"{counted(len(results), 'finished run')}, seeds {', '.join(map(str, sorted(finished['seed'].unique())))}.",
        f"The same in all: {codes(common)}." if common else "",
        f"Data: {data}, fingerprint {codes(each[:19] + '…' for each in fingerprints)}.",
        f"Device: {codes(finished['device'].dropna().unique())}; {codes(versions)}.",
        f"Source: commit {codes(finished['commit'].dropna().unique())}." if finished["commit"].notna().any() else "",
        "Every run with its settings and numbers: runs.csv.",
        f"Written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by {code(command)}." if command else "",
    ]
    return paragraphs("## Where the numbers come from", "\n".join(f"- {fact}" for fact in facts if fact))


def codes(texts: Iterable[Any]) -> str:
    """Texts from runs, in their order."""
    return ", ".join(code(text) for text in sorted(map(str, texts)))

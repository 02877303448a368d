"""The first paragraph of a report: which group is best, and how sure that is."""

from collections.abc import Sequence

import numpy as np

from mnist_exp.analysis.markdown import code, interval, p_value, percent, points
from mnist_exp.analysis.pairs import Pair, equals, plus_minus
from mnist_exp.analysis.runs import Study
from mnist_exp.analysis.statistics import summarise


def answer(study: Study, pairs: Sequence[Pair]) -> str:
    """A few sentences: which group is best, which groups equal it, how sure its lead is, and what validation says."""
    best, groups = study.best, study.groups
    accuracy = summarise(study.of(best)["test/acc"])
    among = " of the groups with several seeds" if best != groups[0] else ""
    rank = "a" if len(groups) == 1 else "the highest"
    failed = f"; {lost}" if (lost := failures(study, best)) else ""
    sentences = [
        f"{code(best)} has {rank} mean test accuracy{among}: **{percent(accuracy.mean)}** (n = {accuracy.n}{failed})."
    ]
    if same := [code(pair.b) for pair in pairs if pair.a == best and pair.equal]:
        sentences.append(f"{' and '.join(same)} {'equal' if len(same) > 1 else 'equals'} it with each common seed.")
    if ahead := leads(study, pairs):
        sentences += [lead_sentence(ahead[0]), choice_sentence(study)]
    return " ".join(filter(None, sentences))


def leads(study: Study, pairs: Sequence[Pair]) -> list[Pair]:
    """The best group paired with each group that does not equal it.

    Pairs that can be tested over seeds come first; among them the closest group is first.
    """
    ahead = [pair for pair in pairs if pair.a == study.best and not pair.equal]
    return sorted(ahead, key=lambda pair: bool(np.isnan(pair.p)))


def lead_sentence(pair: Pair) -> str:
    """What the runs say about the mean difference, about single runs, and about the margin."""
    difference = pair.over_seeds
    lead = f"The lead over the next, {code(pair.b)}, is **{points(difference.mean)} percentage points**"
    if np.isnan(pair.p):
        images = f" Over the test images McNemar's p is {p_value(pair.images_p)} after Holm." * bool(pair.over_images)
        return f"{lead}: too few runs to say whether other seeds would agree.{images}"
    test = "paired t-test" if len(difference.n) == 1 else "Welch's t-test"
    said = [f"{lead}, 95% interval {interval(difference.interval)} ({test}, p {equals(pair.p)} after Holm)."]
    new_runs = f"the next run of each differs by {interval(difference.prediction)} (95% prediction interval)"
    if pair.differs and difference.prediction.low > 0:
        said.append(f"Other seeds can be expected to agree: {new_runs}.")
    elif pair.differs:
        said.append(f"The means differ, but single runs can come out the other way: {new_runs}.")
    elif not pair.within_margin:
        said.append("These seeds do not settle it.")
    if not pair.differs and difference.detectable > 0:
        smallest = f"{100 * difference.detectable:.2f} points"
        said.append(f"The smallest difference that so many runs could have shown is {smallest}.")
    if pair.within_margin:
        test = f"TOST, p {equals(pair.equivalence_p)} after Holm"
        said.append(f"The means are equal within {plus_minus(pair.margin)} points ({test}).")
    return " ".join(said)


def choice_sentence(study: Study) -> str:
    """Whether validation, by which recipes are chosen, agrees with the ranking by test accuracy."""
    means = {group: study.of(group)["val/acc"].mean() for group in study.groups if several(study, group)}
    if not means or np.isnan(list(means.values())).any():
        return ""
    chosen = max(means, key=lambda group: means[group])
    if chosen == study.best:
        return "Validation accuracy, by which to choose a recipe, ranks it first, too."
    test = percent(study.of(chosen)["test/acc"].mean())
    return f"Validation accuracy, by which to choose a recipe, ranks {code(chosen)} first (test accuracy {test})."


def several(study: Study, group: str) -> bool:
    """Whether the group can be the best: it has several seeds, or no group has."""
    return len(study.of(group)) > 1 or len(study.of(study.best)) == 1


def failures(study: Study, group: str) -> str:
    """`2 of 3 diverged`, `1 of 3 failed`; empty where none did."""
    lost = study.failures(group)
    if lost.empty:
        return ""
    diverged = lost["error"].str.contains("not finite").all()
    return f"{len(lost)} of {len(lost) + len(study.of(group))} {'diverged' if diverged else 'failed'}"

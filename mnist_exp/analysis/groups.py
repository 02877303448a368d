"""Name the groups of a comparison. A group is all runs with one recipe; its label heads table rows and legends.

Examples of what was typed, and of the labels that it gives:

    data=image                                    data=image
    data=csv                                      data=csv

    experiment=solution1                          solution1
    experiment=solution1 optimizer.lr=0.01        solution1, optimizer.lr=0.01
    experiment=fast                               fast
    (nothing)                                     image-cnn

Where nobody typed an experiment and few factors differ, the label spells the factors out. Otherwise a group is called
by its experiment, and by the settings that were typed on top of it and are not the same in all runs. A group without
an experiment has the name of its run. Groups that would still be called alike get the factors in which they differ.

What a short label leaves out is in `settings_of`: the full table of all settings that differ.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, count

from mnist_exp.analysis.factors import (
    Configs,
    Levels,
    config_groups,
    determined,
    differing_settings,
    differs,
    drop_copies,
    option_name,
    typed_factors,
    typed_settings,
)
from mnist_exp.result import RunResult

MOST_SPELLED_OUT = 5  # factors in a label


def labels_spell_factors(factors: Sequence[str], results: Sequence[RunResult]) -> bool:
    """Whether the labels are such as `data=csv model=mlp`, with the level of every factor."""
    return 0 < len(factors) <= MOST_SPELLED_OUT and not any(experiment_of(result) for result in results)


def label_groups(factors: Mapping[str, Levels], results: Sequence[RunResult]) -> list[str]:
    """A label for each run, the same for two runs exactly if they have the same level of every factor.

    factors: name -> the level of each run. results: of the same runs, in the same order.
    """
    levels = list(zip(*factors.values(), strict=True)) if factors else [()] * len(results)
    if labels_spell_factors(list(factors), results):
        labels = {group: spell(dict(zip(factors, group, strict=True)), separator=" ") for group in levels}
    else:
        labels = short_labels(list(factors), levels, results)
    labels = number_repetitions(labels)
    return [labels[group] for group in levels]


def short_labels(factors: Sequence[str], levels: Sequence[Levels], results: Sequence[RunResult]) -> dict[Levels, str]:
    """The label of each group (by its levels): its experiment or name, then the settings that set it apart."""
    members: dict[Levels, list[int]] = defaultdict(list)
    for index, group in enumerate(levels):
        members[group].append(index)
    on_top = typed_on_top(members, results)

    called_alike: dict[str, list[Levels]] = defaultdict(list)
    for group, indices in members.items():
        experiments = filter(None, (experiment_of(results[index]) for index in indices))
        name = next(experiments, results[indices[0]].name)
        called_alike[", ".join(filter(None, [name, spell(on_top[group])]))].append(group)

    labels = {}
    for label, groups in called_alike.items():
        apart = [index for index in range(len(factors)) if differs(tuple(group[index] for group in groups))]
        for group in groups:
            more = {factors[index]: group[index] for index in apart if factors[index] not in on_top[group]}
            labels[group] = ", ".join(filter(None, [label, spell(more)]))
    return labels


def typed_on_top(members: Mapping[Levels, Sequence[int]], results: Sequence[RunResult]) -> dict[Levels, dict[str, str]]:
    """What was typed beside an experiment and is not the same in all runs of the comparison, for each group.

    Only what was typed for every run of the group counts: typing a default changes nothing.
    """
    configs, typed = [result.config for result in results], [typed_settings(result.overrides) for result in results]
    factors = typed_factors(configs, typed, differing_settings(configs))
    return {
        group: {
            key: column[indices[0]]
            for key, column in factors.items()
            if key != "experiment" and all(key in typed[index] and experiment_of(results[index]) for index in indices)
        }
        for group, indices in members.items()
    }


def experiment_of(result: RunResult) -> str | None:
    """The named recipe that was typed, such as `solution1`."""
    name = typed_settings(result.overrides).get("experiment")
    return None if name == "null" else name


def spell(settings: Mapping[str, str], *, separator: str = ", ") -> str:
    return separator.join(f"{key}={level}" for key, level in settings.items())


def number_repetitions(labels: Mapping[Levels, str]) -> dict[Levels, str]:
    """The second of two equal labels gets ` (2)`, so that two recipes never count as one group."""
    unique: dict[str, Levels] = {}
    for group, label in labels.items():
        candidates = chain([label], (f"{label} ({number})" for number in count(2)))
        unique[next(each for each in candidates if each not in unique)] = group
    return {group: label for label, group in unique.items()}


def settings_of(configs: Configs) -> dict[str, Levels]:
    """All settings that differ, with their value in each run, and the options of config groups before them."""
    differing = drop_copies(differing_settings(configs), preferred=set())
    options = {
        group: tuple(option_name(config, group) for config in configs)
        for group in dict.fromkeys(key.partition(".")[0] for key in differing)
        if group in config_groups(configs)
    }
    options = {group: column for group, column in options.items() if differs(column)}
    told_by_option = {
        key
        for key, column in differing.items()
        if key.rpartition(".")[2] in ("_target_", "name")
        and (group := key.partition(".")[0]) in options
        and determined(column, by=[options[group]])
    }
    return options | {key: column for key, column in differing.items() if key not in told_by_option}

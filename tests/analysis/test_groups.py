"""What the groups of a comparison are called.

python -m pytest tests/analysis/test_groups.py -v
"""

import re

import pytest
from hydra import compose, initialize_config_dir
from made_runs import make_config, make_run
from omegaconf import OmegaConf

from mnist_exp.analysis import groups
from mnist_exp.analysis.factors import find_factors
from mnist_exp.analysis.groups import label_groups, labels_spell_factors, settings_of
from mnist_exp.analysis.report import write_report
from mnist_exp.analysis.runs import collect
from mnist_exp.cli.overrides import CONF
from mnist_exp.result import RunResult


def results_of(*runs):
    results = []
    for seed, run in enumerate(runs):
        config = make_config(run.split(), seed)
        overrides = [*run.split(), f"seed={seed}"]
        results.append(RunResult(status="finished", name=config["name"], seed=seed, overrides=overrides, config=config))
    return results


def labels_of(*runs):
    """The labels of runs that are given as overrides, one text for each run."""
    results = results_of(*runs)
    factors = find_factors([each.config for each in results], [each.overrides for each in results])
    return label_groups(factors, results)


def test_the_examples_in_the_docstring_are_true():
    blocks = re.findall(r"(?:^    \S.*\n)+", groups.__doc__, re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        typed, labels = zip(*(re.split(" {3,}", line.strip()) for line in block.splitlines()), strict=True)
        assert labels_of(*("" if each == "(nothing)" else each for each in typed)) == list(labels)


def test_few_factors_are_spelled_out():
    runs = [f"data={data} model={model}" for data in ("image", "csv") for model in ("mlp", "cnn")]
    assert labels_of(*runs) == runs


def test_where_nothing_differs_the_group_has_the_name_of_the_runs():
    assert labels_of("", "") == ["image-cnn", "image-cnn"]
    assert labels_of("experiment=fast", "experiment=fast") == ["fast", "fast"]


def test_seeds_of_experiments_share_the_name_of_their_experiment():
    assert labels_of(*["experiment=solution1"] * 3, *["experiment=fast"] * 10) == ["solution1"] * 3 + ["fast"] * 10


def test_a_setting_typed_on_top_of_an_experiment_is_told_even_where_the_experiment_alone_would_do():
    assert labels_of("experiment=solution1 optimizer.lr=0.01", "experiment=fast") == [
        "solution1, optimizer.lr=0.01",
        "fast",
    ]


def test_a_default_typed_on_top_of_an_experiment_changes_no_label():
    typed = ["experiment=fast", "experiment=fast model.standardize=true", "experiment=solution1"]
    assert labels_of(*typed) == ["fast", "fast", "solution1"]


def test_a_setting_typed_alike_for_all_runs_is_in_no_label():
    assert labels_of("experiment=solution1 data=csv", "experiment=fast data=csv") == ["solution1", "fast"]


def test_an_option_typed_on_top_of_an_experiment_has_its_own_name():
    assert labels_of("experiment=fast", "experiment=fast optimizer=sgd") == ["fast", "fast, optimizer=sgd"]


def test_many_factors_give_names_and_what_sets_like_names_apart():
    many = "data=csv model=mlp optimizer=sgd optimizer.lr=0.1 data.batch_size=8 trainer.max_epochs=2"
    assert labels_of("", many) == ["image-cnn", "csv-mlp"]
    assert labels_of("", many, f"{many} model.standardize=false") == [
        "image-cnn",
        "csv-mlp, model.standardize=true",
        "csv-mlp, model.standardize=false",
    ]


def test_an_experiment_that_changed_between_runs_gets_what_changed():
    results = results_of("experiment=fast", "experiment=fast", "experiment=solution1")
    results[1].config["trainer"]["max_epochs"] = 2  # as an older version of the experiment's file had it
    factors = find_factors([each.config for each in results], [each.overrides for each in results])
    assert label_groups(factors, results) == ["fast, trainer.max_epochs=1", "fast, trainer.max_epochs=2", "solution1"]


def test_experiment_null_is_no_experiment():
    assert labels_of("experiment=null data=csv", "data=image") == ["data=csv", "data=image"]


@pytest.mark.parametrize(("count", "spelled_out"), [(0, False), (1, True), (5, True), (6, False)])
def test_at_most_five_factors_are_spelled_out(count, spelled_out):
    assert labels_spell_factors([str(index) for index in range(count)], results_of("")) is spelled_out


def test_two_recipes_never_have_the_same_label():
    levels = {"data": ("csv model=mlp", "csv"), "model": ("x", "mlp model=x")}
    assert label_groups(levels, results_of("", "")) == [
        "data=csv model=mlp model=x",
        "data=csv model=mlp model=x (2)",
    ]


def test_the_settings_are_all_that_differ_and_no_copies():
    columns = settings_of([result.config for result in results_of("experiment=solution1", "experiment=fast")])
    assert columns == {
        "optimizer": ("sgd", "adam"),
        "model": ("mlp", "fast"),
        "data.batch_size": ("64", "256"),
        "optimizer.lr": ("0.001", "0.03"),
        "optimizer.momentum": ("0.0", "(none)"),
        "optimizer.betas": ("(none)", "[0.9,0.999]"),
        "model.standardize": ("false", "true"),
        "trainer.max_epochs": ("5", "1"),
    }


def test_a_target_that_the_option_does_not_tell_is_a_setting():
    configs = [result.config for result in results_of("data=csv", "data=csv")]
    configs[1]["model"]["net"]["_target_"] = "nets.OTHER"
    assert settings_of(configs) == {"model.net._target_": ("nets.CNN", "nets.OTHER")}


def test_the_shipped_experiments_give_their_names():
    """With real configurations, whose groups and interpolations are many more than those of the made ones."""
    typed = ["experiment=solution1", "experiment=fast", "experiment=solution1 optimizer.lr=0.01", ""]
    results = []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for run in typed:
            config = OmegaConf.to_container(compose("train", [*run.split(), "run_dir=x"]), resolve=True)
            overrides = [*run.split(), "seed=0"]
            results.append(
                RunResult(status="finished", name=config["name"], seed=0, overrides=overrides, config=config)
            )
    factors = find_factors([each.config for each in results], [each.overrides for each in results])
    assert set(factors) == {"experiment", "optimizer.lr"}
    assert label_groups(factors, results) == ["solution1", "fast", "solution1, optimizer.lr=0.01", "image-cnn"]
    settings = settings_of([each.config for each in results])
    assert settings["model"] == ("mlp", "fast", "mlp", "cnn")
    assert settings["trainer.limit_train_batches"] == ("null", "115", "null", "null")


# --- in the report ---


def header_of(markdown, caption):
    """The header of the table under a caption."""
    line = markdown.split(f"*{caption}")[1].split("\n\n")[1].splitlines()[0]
    return [cell.strip(" `") for cell in line.strip("|").split(" | ")]


def test_the_report_lists_what_short_names_leave_out(tmp_path):
    for typed, acc in (("experiment=solution1", 0.88), ("experiment=fast", 0.99)):
        make_run(tmp_path / typed, typed, acc=acc)
    markdown = write_report(collect([tmp_path]), name="t").markdown
    assert header_of(markdown, "Groups")[:2] == ["group", "n"]
    assert header_of(markdown, "Settings that are not the same") == ["setting", "fast", "solution1"]
    assert "| `trainer.max_epochs` | `1` | `5` |" in markdown


def test_of_many_groups_the_settings_are_columns(tmp_path):
    for size in (8, 16, 32):
        make_run(tmp_path / str(size), "experiment=fast", f"data.batch_size={size}", acc=0.9 - size / 1000)
    markdown = write_report(collect([tmp_path]), name="t").markdown
    assert header_of(markdown, "Settings that are not the same") == ["group", "data.batch_size"]
    assert "| `fast, data.batch_size=16` | `16` |" in markdown


def test_what_labels_spell_out_is_not_listed_again(tmp_path):
    for data in ("csv", "image"):
        make_run(tmp_path / data, f"data={data}")
    markdown = write_report(collect([tmp_path]), name="t").markdown
    assert header_of(markdown, "Groups")[:2] == ["data", "n"]
    assert "What differs" not in markdown
    assert "What differs" not in write_report(collect([tmp_path / "csv"]), name="t").markdown

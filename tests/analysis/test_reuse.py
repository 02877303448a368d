"""Runs that need not be made, because they are known to equal others.

python -m pytest tests/analysis/test_reuse.py -v
"""

import json
import re

import pytest
from made_runs import change_result, make_run

from mnist_exp.analysis import reuse
from mnist_exp.analysis.runs import collect


def both_ways(tmp_path, csv=0.9, **changes):
    """Seed 0 from images and from CSV, seed 1 from images alone."""
    make_run(tmp_path / "image0", "data=image", acc=0.9)
    make_run(tmp_path / "image1", "data=image", acc=0.8, seed=1)
    make_run(tmp_path / "csv0", "data=csv", acc=csv, **changes)
    return collect([tmp_path], borrow=["data"])


def test_the_example_in_the_docstring_is_true(tmp_path):
    rows = re.findall(r"^    ([ABC-])  +(\w+) +(\d) +([\d.]+)", reuse.__doc__, re.MULTILINE)
    *made, (_, *missing) = rows
    for name, data, seed, acc in made:
        make_run(tmp_path / name, f"data={data}", seed=int(seed), acc=float(acc))
    frame = collect([tmp_path], borrow=["data"]).frame
    borrowed = frame[frame["status"] == "borrowed"]
    assert len(made) == 3
    assert borrowed[["data", "seed", "test/acc"]].astype(str).values.tolist() == [missing]
    assert borrowed["borrowed_from"].tolist() == [str(tmp_path / "C")]


def test_a_missing_run_takes_the_accuracy_of_its_equal(tmp_path):
    study = both_ways(tmp_path)
    borrowed = study.frame[study.frame["status"] == "borrowed"].iloc[0]
    assert (borrowed["data"], borrowed["seed"], borrowed["test/acc"]) == ("csv", 1, 0.8)
    assert borrowed["val/acc"] == pytest.approx(0.8 - 0.01 / 3)
    assert borrowed["test/loss"] == pytest.approx(0.2)
    assert borrowed["borrowed_from"] == str(tmp_path / "image1")
    assert study.borrowing == [
        "Borrowed for `data=csv` from `data=image`: 1 value, of runs with the same recipe, seed and data fingerprint. "
        "Where runs were made both ways (1 pair), they agree in test accuracy to the last digit."
    ]
    assert len(study.of("data=csv")) == 1  # what is borrowed is in no group


def test_all_that_is_missing_is_borrowed_in_both_directions(tmp_path):
    for seed, levels in enumerate((["image", "csv"], ["image"], ["csv"])):
        for model in ("mlp", "cnn"):
            for data in levels:
                make_run(tmp_path / f"{data}{model}{seed}", f"data={data}", f"model={model}", seed=seed)
    study = collect([tmp_path], borrow=["data"])
    borrowed = study.frame[study.frame["status"] == "borrowed"]
    assert sorted(borrowed[["data", "model", "seed"]].values.tolist()) == [
        ["csv", "cnn", 1],
        ["csv", "mlp", 1],
        ["image", "cnn", 2],
        ["image", "mlp", 2],
    ]
    assert [sentence.count("2 values, ") + sentence.count("(2 pairs)") for sentence in study.borrowing] == [2, 2]


@pytest.mark.parametrize(
    ("csv", "changes", "reason"),
    [
        (0.9, {"data": {"fingerprint": "sha256:" + "b" * 64}}, "their data fingerprints differ"),
        (0.9, {"data": {}}, "not all of them have a data fingerprint"),
        (0.91, {}, "1 of 1 pair made both ways differ in test accuracy"),
    ],
)
def test_nothing_is_borrowed_from_what_is_not_equal(tmp_path, csv, changes, reason):
    study = both_ways(tmp_path, csv=csv, **changes)
    assert (study.frame["status"] == "finished").all()
    assert study.borrowing == [f"Nothing was borrowed for `data=csv` from `data=image`: {reason}."]


def test_the_last_digit_counts(tmp_path):
    study = both_ways(tmp_path, csv=0.9000001)
    assert "differ in test accuracy" in study.borrowing[0]


def test_nothing_is_borrowed_where_the_group_hides_another_setting(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"image{seed}", "data=image", seed=seed)
    path = make_run(tmp_path / "csv0", "data=csv") / "result.json"
    config = json.loads(path.read_text())["config"]
    config["data"]["batch_size"] = 128  # as a preset of its own would set it
    change_result(tmp_path / "csv0", config=config)
    study = collect([tmp_path], borrow=["data"])
    assert (study.frame["status"] == "finished").all()
    assert "they differ in more than where their pixels come from: data.batch_size." in study.borrowing[0]


def test_nothing_is_borrowed_without_a_pair_that_shows_equality(tmp_path):
    make_run(tmp_path / "image0", "data=image")
    make_run(tmp_path / "csv1", "data=csv", seed=1)
    borrowing = collect([tmp_path], borrow=["data"]).borrowing
    assert len(borrowing) == 2
    assert all("no run was made both ways to show that they agree" in sentence for sentence in borrowing)


def test_nothing_is_said_where_nothing_is_missing(tmp_path):
    make_run(tmp_path / "image0", "data=image")
    make_run(tmp_path / "csv0", "data=csv")
    study = collect([tmp_path], borrow=["data"])
    assert (study.borrowing, len(study.frame)) == ([], 2)


def test_an_unknown_factor_cannot_be_borrowed_across(tmp_path):
    make_run(tmp_path / "a", "data=csv")
    make_run(tmp_path / "b", "data=image")
    with pytest.raises(ValueError, match="do not differ in 'dat': did you mean 'data'"):
        collect([tmp_path], borrow=["dat"])
    make_run(tmp_path / "b", "data=csv", seed=1)
    with pytest.raises(ValueError, match="do not differ in 'data': they differ in nothing but their seeds"):
        collect([tmp_path], borrow=["data"])

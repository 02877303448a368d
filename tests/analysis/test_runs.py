"""Runs found, read, expanded by milestones, and lent.

python -m pytest tests/test_collect.py -v
"""

import json
import os
import re

import pytest
from made_runs import make_run, write_result

from mnist_exp.analysis.runs import collect, find_runs


def failed_run(folder, **changes):
    write_result(folder, {"status": "failed", "seed": 0, "overrides": [], "config": {}, "error": "it broke"} | changes)


def milestones(**acc):
    return [{"epoch": int(epoch.removeprefix("after_")), "test/acc": value} for epoch, value in acc.items()]


def test_runs_are_found_at_any_depth_and_once(tmp_path):
    make_run(tmp_path / "sweeps" / "a" / "data=csv")
    make_run(tmp_path / "single")
    assert len(find_runs([tmp_path, tmp_path / "sweeps", tmp_path / "single"])) == 2


def test_groups_are_ordered_by_mean_and_seeds_fall_together(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"csv{seed}", "data=csv", acc=0.8, seed=seed)
        make_run(tmp_path / f"image{seed}", "data=image", acc=0.9, seed=seed)
    study = collect([tmp_path])
    assert study.groups == ["data=image", "data=csv"]
    assert study.of("data=csv")["seed"].tolist() == [0, 1]


def test_where_nothing_differs_the_group_has_the_name_of_the_runs(tmp_path):
    make_run(tmp_path / "a")
    assert collect([tmp_path]).groups == ["image-cnn"]


def test_a_group_of_one_lucky_seed_is_not_the_best(tmp_path):
    make_run(tmp_path / "a", "data=csv", acc=0.95)
    for seed in (0, 1):
        make_run(tmp_path / f"b{seed}", "data=image", acc=0.9, seed=seed)
    study = collect([tmp_path])
    assert (study.groups[0], study.best) == ("data=csv", "data=image")


def test_failed_unfinished_and_untested_runs_stay_in_the_table(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", "data=csv", metrics={"val/acc": 0.9})
    failed_run(tmp_path / "c")
    (tmp_path / "d" / ".hydra").mkdir(parents=True)
    (tmp_path / "d" / ".hydra" / "config.yaml").touch()
    frame = collect([tmp_path]).frame
    assert frame["status"].tolist() == ["finished", "untested", "failed", "unfinished"]
    assert frame["error"].tolist()[2] == "it broke"


def test_of_a_repeated_run_the_newest_counts(tmp_path):
    old, new = make_run(tmp_path / "a", acc=0.8), make_run(tmp_path / "b", acc=0.9)
    os.utime(old / "result.json", (1, 1))
    study = collect([tmp_path])
    assert study.finished["run"].tolist() == [str(new)]
    assert set(study.frame["status"]) == {"finished", "repeated"}


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"status": "finished", "seed": 0}'])
def test_an_unreadable_result_is_named(tmp_path, content):
    make_run(tmp_path / "a")
    (tmp_path / "a" / "result.json").write_text(content)
    with pytest.raises(ValueError, match=r"cannot read .*a/result\.json.*overwrite=true"):
        collect([tmp_path])


def test_a_missing_folder_is_told_with_its_likely_name(tmp_path):
    (tmp_path / "puzzle").mkdir()
    with pytest.raises(ValueError, match=r"there is no folder .*puzle.*did you mean 'puzzle'"):
        collect([tmp_path / "puzle"])
    with pytest.raises(ValueError, match="no runs in"):
        collect([tmp_path / "puzzle"])


def test_no_finished_run_says_what_became_of_them(tmp_path):
    failed_run(tmp_path / "a")
    with pytest.raises(ValueError, match=r"of 1 run none is finished .* it broke"):
        collect([tmp_path])


# --- milestones ---


def test_each_milestone_is_a_row(tmp_path):
    make_run(tmp_path / "a", "data=csv", acc=0.7, milestones=milestones(after_1=0.5, after_3=0.6))
    study = collect([tmp_path], epochs=[1, 3])
    assert study.factors == ["epochs"]
    assert study.finished[["group", "epoch", "test/acc"]].values.tolist() == [
        ["epochs=1", 1, 0.5],
        ["epochs=3", 3, 0.6],
    ]
    assert study.finished["val/acc"].tolist() == pytest.approx([0.69, 0.7 - 0.01 / 3])
    assert study.finished["fit_seconds"].isna().all()


def test_a_run_without_the_milestone_is_left_out_with_a_word(tmp_path):
    make_run(tmp_path / "a", milestones=milestones(after_1=0.5))
    frame = collect([tmp_path], epochs=[1, 3]).frame
    assert frame["status"].tolist() == ["finished", "untested"]
    assert frame["error"].tolist()[1] == "was not tested after epoch 3"


def test_milestones_that_no_run_has_are_an_error_that_names_those_there_are(tmp_path):
    make_run(tmp_path / "a", milestones=milestones(after_1=0.5))
    with pytest.raises(ValueError, match=r"epochs=\[7\].*only after \[1\]"):
        collect([tmp_path], epochs=[7])


# --- borrowing ---


def both_ways(tmp_path, csv=0.9, **changes):
    """Seed 0 from images and from CSV, seed 1 from images alone."""
    make_run(tmp_path / "image0", "data=image", acc=0.9)
    make_run(tmp_path / "image1", "data=image", acc=0.8, seed=1)
    make_run(tmp_path / "csv0", "data=csv", acc=csv, **changes)
    return collect([tmp_path], borrow=["data"])


def test_a_missing_run_takes_the_accuracy_of_its_equal(tmp_path):
    study = both_ways(tmp_path)
    lent = study.frame[study.frame["status"] == "borrowed"].iloc[0]
    assert (lent["data"], lent["seed"], lent["test/acc"]) == ("csv", 1, 0.8)
    assert lent["borrowed_from"] == str(tmp_path / "image1")
    assert "1 value," in study.lending[0]
    assert len(study.of("data=csv")) == 1  # what is borrowed is in no group


@pytest.mark.parametrize(
    ("csv", "changes", "reason"),
    [
        (0.9, {"data": {"fingerprint": "sha256:" + "b" * 64}}, "fingerprints differ"),
        (0.91, {}, "1 of 1 pair.* differ in test accuracy"),
    ],
)
def test_nothing_is_borrowed_from_what_is_not_equal(tmp_path, csv, changes, reason):
    study = both_ways(tmp_path, csv=csv, **changes)
    assert (study.frame["status"] == "finished").all()
    assert "Nothing was borrowed" in study.lending[0]
    assert re.search(reason, study.lending[0])


def test_nothing_is_borrowed_where_the_group_hides_another_setting(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"image{seed}", "data=image", seed=seed)
    make_run(tmp_path / "csv0", "data=csv")
    path = tmp_path / "csv0" / "result.json"
    result = json.loads(path.read_text())
    result["config"]["data"]["batch_size"] = 128  # as a preset of its own would set it
    path.write_text(json.dumps(result))
    study = collect([tmp_path], borrow=["data"])
    assert (study.frame["status"] == "finished").all()
    assert "data.batch_size" in study.lending[0]


def test_nothing_is_borrowed_without_a_pair_that_shows_equality(tmp_path):
    make_run(tmp_path / "image0", "data=image")
    make_run(tmp_path / "csv1", "data=csv", seed=1)
    assert all("no run was made both ways" in said for said in collect([tmp_path], borrow=["data"]).lending)


def test_an_unknown_factor_cannot_be_borrowed_across(tmp_path):
    make_run(tmp_path / "a", "data=csv")
    make_run(tmp_path / "b", "data=image")
    with pytest.raises(ValueError, match="do not differ in 'dat': did you mean 'data'"):
        collect([tmp_path], borrow=["dat"])

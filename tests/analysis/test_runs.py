"""Runs become one table, whatever some of them are like.

python -m pytest tests/analysis/test_runs.py -v
"""

import pandas as pd
import pytest
from made_runs import change_result, make_config, make_failed_run, make_run

from mnist_exp.analysis.runs import check_level, collect


def milestones(**acc):
    return [{"epoch": int(epoch.removeprefix("after_")), "test/acc": value} for epoch, value in acc.items()]


# --- folders and groups ---


def test_groups_are_ordered_by_mean_and_seeds_fall_together(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"csv{seed}", "data=csv", acc=0.8, seed=seed)
        make_run(tmp_path / f"image{seed}", "data=image", acc=0.9, seed=seed)
    study = collect([tmp_path])
    assert study.groups == ["data=image", "data=csv"]
    assert study.of("data=csv")["seed"].tolist() == [0, 1]
    assert study.label_factors == ["data"]


def test_where_nothing_differs_the_group_has_the_name_of_the_runs(tmp_path):
    make_run(tmp_path / "a")
    assert collect([tmp_path]).groups == ["image-cnn"]


def test_a_group_of_one_lucky_seed_is_not_the_best(tmp_path):
    make_run(tmp_path / "a", "data=csv", acc=0.95)
    make_run(tmp_path / "c", "data.batch_size=8", acc=0.85)
    assert collect([tmp_path]).best == "data=csv data.batch_size=64"  # as long as each has but one
    for seed in (0, 1):
        make_run(tmp_path / f"b{seed}", "data=image", acc=0.9, seed=seed)
    study = collect([tmp_path])
    assert study.groups[0] == "data=csv data.batch_size=64"
    assert study.best == "data=image data.batch_size=64"


def test_experiments_give_their_names_to_groups_and_all_that_differs_is_kept(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"solution1_{seed}", "experiment=solution1", acc=0.88, seed=seed)
        make_run(tmp_path / f"fast_{seed}", "experiment=fast", acc=0.99, seed=seed)
    study = collect([tmp_path])
    assert (study.groups, study.factors, study.label_factors) == (["fast", "solution1"], ["experiment"], [])
    assert study.settings.loc[str(tmp_path / "fast_1"), "optimizer.lr"] == "0.03"
    assert study.settings.loc[str(tmp_path / "solution1_0"), "optimizer"] == "sgd"


def test_each_run_has_its_curve_once(tmp_path):
    make_run(tmp_path / "a", "data=csv", milestones=milestones(after_1=0.5, after_3=0.6))
    curves = collect([tmp_path], epochs=[1, 3]).curves()
    assert curves.columns.tolist() == ["group", "run", "epoch", "val/acc", "train/loss"]
    assert curves["epoch"].tolist() == [1, 2, 3]
    assert curves["group"].unique().tolist() == ["epochs=3"]
    assert curves["train/loss"].tolist() == pytest.approx([0.5, 0.25, 0.5 / 3])


def test_the_table_has_what_a_run_was_and_what_came_out(tmp_path):
    make_run(tmp_path / "a", "data=csv", acc=0.75, seed=3)
    make_run(tmp_path / "b", "data=image", environment={"device": "cuda", "commit": "d" * 40, "dirty": True})
    frame = collect([tmp_path]).frame.set_index("run")
    row = frame.loc[str(tmp_path / "a")].dropna().to_dict()
    assert row == {
        "status": "finished",
        "group": "data=csv",
        "data": "csv",
        "seed": 3,
        "test/acc": 0.75,
        "val/acc": 0.75 - 0.01 / 3,
        "test/loss": 0.25,
        "train/loss": 0.1,
        "epoch": 3,
        "fit_seconds": 13.0,
        "images_per_second": 5000.0,
        "device": "cpu",
        "commit": "c" * 12,
        "fingerprint": "sha256:" + "a" * 64,
    }
    assert frame.loc[str(tmp_path / "b"), "commit"] == "d" * 12 + "+changes"
    first, last = list(frame)[:6], list(frame)[-8:]
    assert first == ["status", "group", "data", "seed", "test/acc", "val/acc"]
    assert last[:3] == ["epoch", "fit_seconds", "images_per_second"]
    assert last[3:] == ["device", "commit", "fingerprint", "borrowed_from", "error"]


# --- runs that do not count ---


def test_failed_unfinished_and_untested_runs_stay_in_the_table(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", "data=csv", metrics={"val/acc": 0.9})
    make_failed_run(tmp_path / "c")
    (tmp_path / "d" / ".hydra").mkdir(parents=True)
    (tmp_path / "d" / ".hydra" / "config.yaml").touch()
    frame = collect([tmp_path]).frame
    assert frame["status"].tolist() == ["finished", "untested", "failed", "unfinished"]
    assert frame["error"].tolist()[1:] == [
        "finished without test/acc",
        "it broke",
        "no result.json: still running, or killed",
    ]
    assert frame["group"].notna().tolist() == [True, False, False, False]
    assert frame["seed"].tolist()[:3] == [0, 0, 0]


def test_no_finished_run_says_what_became_of_them(tmp_path):
    make_failed_run(tmp_path / "a")
    with pytest.raises(ValueError, match=r"of 1 run none is finished .* it broke"):
        collect([tmp_path])


def test_a_level_that_no_run_has_is_told_with_those_there_are(tmp_path):
    make_run(tmp_path / "a", "data=csv", "model.standardize=true")
    make_run(tmp_path / "b", "data=image", "model.standardize=false")
    study = collect([tmp_path])
    assert check_level("model.standardize", True, study) == "true"
    with pytest.raises(ValueError, match=r"no run has data=cvs: did you mean 'csv'\? \(data is one of: csv, image\)"):
        check_level("data", "cvs", study)


def test_settings_and_metrics_cannot_take_the_place_of_a_column(tmp_path):
    for name in ("run", "status", "group", "seed", "error"):
        change_result(make_run(tmp_path / name), metrics={"test/acc": 0.9, name: 0.5})
    config = make_config([], 0) | {"status": "failed", "test/acc": "1.0", "epochs": "7"}
    make_run(tmp_path / "settings", acc=0.7, config=config)
    study = collect([tmp_path])
    assert set(study.frame["status"]) == {"finished", "repeated"}
    assert set(study.factors) == {"config.status", "config.test/acc", "config.epochs"}
    assert study.finished["test/acc"].tolist() == [0.9, 0.7] or study.finished["test/acc"].tolist() == [0.7, 0.9]


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
    assert study.finished["test/loss"].isna().all()  # the milestones have none: not that of the tested checkpoint
    assert study.finished["fit_seconds"].isna().all()


def test_one_milestone_is_no_factor(tmp_path):
    make_run(tmp_path / "a", milestones=milestones(after_1=0.5))
    study = collect([tmp_path], epochs=[1])
    assert (study.factors, study.groups, study.epochs) == ([], ["image-cnn"], [1])


def test_a_run_without_the_milestone_is_left_out_with_the_reason(tmp_path):
    make_run(tmp_path / "a", milestones=milestones(after_1=0.5))
    frame = collect([tmp_path], epochs=[1, 3]).frame
    assert frame["status"].tolist() == ["finished", "untested"]
    assert frame["error"].tolist()[1] == "was not tested after epoch 3"


def test_milestones_that_no_run_has_are_an_error_that_names_those_there_are(tmp_path):
    make_run(tmp_path / "a", milestones=milestones(after_1=0.5))
    with pytest.raises(ValueError, match=r"epochs=\[7\].*only after \[1\]"):
        collect([tmp_path], epochs=[7])


def test_without_any_milestone_the_error_says_how_to_get_some(tmp_path):
    make_run(tmp_path / "a")
    with pytest.raises(ValueError, match=r"no run was tested after these epochs\. Train with milestones="):
        collect([tmp_path], epochs=[1])


def test_the_table_can_be_written_and_read_again(tmp_path):
    make_run(tmp_path / "a", "data=csv", seed=2)
    make_failed_run(tmp_path / "b")
    collect([tmp_path]).frame.to_csv(tmp_path / "runs.csv", index=False)
    again = pd.read_csv(tmp_path / "runs.csv")
    assert again["seed"].tolist() == [2, 0]
    assert again["test/acc"].tolist()[0] == 0.9

"""No folder, whatever is in it, can spoil the comparison of the others.

python -m pytest tests/analysis/test_run_folders.py -v
"""

import json
import os
import zipfile
from io import BytesIO

import numpy as np
import pytest
from made_runs import change_result, make_run

from mnist_exp.analysis.run_folders import find_runs, read_predictions_file, read_run
from mnist_exp.analysis.runs import collect

# --- found ---


def test_runs_are_found_at_any_depth_and_once(tmp_path):
    make_run(tmp_path / "sweeps" / "a" / "data=csv")
    make_run(tmp_path / "single")
    assert len(find_runs([tmp_path, tmp_path / "sweeps", tmp_path / "single"])) == 2


def test_of_a_repeated_run_the_newest_counts(tmp_path):
    old, new = make_run(tmp_path / "a", acc=0.8), make_run(tmp_path / "b", acc=0.9)
    other_seed = make_run(tmp_path / "c", seed=1)
    os.utime(old / "result.json", (1, 1))
    study = collect([tmp_path])
    assert study.finished["run"].tolist() == [str(new), str(other_seed)]
    assert study.frame["status"].tolist() == ["repeated", "finished", "finished"]
    assert study.frame["error"].tolist()[0] == f"run again as {new}, which counts"


def test_a_run_that_only_measured_more_on_the_way_is_a_repetition(tmp_path):
    old, new = make_run(tmp_path / "a"), make_run(tmp_path / "b", "milestones=[1]")
    os.utime(old / "result.json", (1, 1))
    assert collect([tmp_path]).finished["run"].tolist() == [str(new)]


def test_a_missing_folder_is_told_with_its_likely_name(tmp_path):
    (tmp_path / "puzzle").mkdir()
    with pytest.raises(ValueError, match=r"there is no folder .*puzle.*did you mean 'puzzle'"):
        collect([tmp_path / "puzle"])
    with pytest.raises(ValueError, match="no runs in"):
        collect([tmp_path / "puzzle"])
    with pytest.raises(ValueError, match="there is no folder"):
        collect([tmp_path / "nowhere" / "puzzle"])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"notes\.txt is not a folder: give"):
        find_runs([tmp_path / "notes.txt"])


# --- files from anywhere ---

DEEP = "[" * 100_000 + "]" * 100_000
NESTED = json.loads("[" * 50 + "]" * 50)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "cannot read"),
        ("{", "cannot read"),
        ('{"status": "finished", "name"', "cannot read"),
        ("\x00\x01\x02", "cannot read"),
        (DEEP, "cannot read"),
        ("[]", "is not a run's result"),
        ("null", "is not a run's result"),
        ("{}", "lacks"),
        ('{"status": "finished", "seed": 0}', "lacks"),
        ('{"a": NaN}', "cannot read"),
    ],
)
def test_a_file_that_is_no_result_is_listed_and_the_others_are_compared(tmp_path, content, reason):
    make_run(tmp_path / "good")
    make_run(tmp_path / "odd", "data=csv")
    (tmp_path / "odd" / "result.json").write_text(content)
    frame = collect([tmp_path]).frame
    assert frame["status"].tolist() == ["finished", "unreadable"]
    assert reason in frame["error"][1]
    assert "odd/result.json" in frame["error"][1]
    assert "move the folder away" in frame["error"][1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 99}, "schema 99"),
        ({"status": "fnished"}, "status"),
        ({"metrics": {"test/acc": -5}}, "test/acc in metrics is out of range: -5"),
        ({"metrics": {"test/acc": 1.001}}, "test/acc in metrics is out of range: 1.001"),
        ({"metrics": {"test/acc": 98.5}}, "out of range"),
        ({"metrics": {"test/acc": 0.9, "test/loss": -0.1}}, "test/loss in metrics is out of range"),
        ({"metrics": {"test/acc": "0.9"}}, "test/acc in metrics is no finite number: '0.9'"),
        ({"metrics": {"test/acc": True}}, "no finite number: True"),
        ({"metrics": {"test/acc": [0.9]}}, "no finite number"),
        ({"metrics": {"test/acc": 0.9, "val/acc": 10**400}}, "val/acc in metrics is no finite number"),
        ({"metrics": {f"{index}/acc": 0.5 for index in range(1001)}}, "metrics has more than 1000 entries"),
        ({"metrics": []}, "metrics"),
        ({"history": [3]}, "an entry of history has no epoch: 3"),
        ({"history": [{"val/acc": 0.5}]}, "an entry of history has no epoch"),
        ({"history": [{"epoch": "1"}]}, "an entry of history has no epoch"),
        ({"history": [{"epoch": 1, "val/acc": "high"}]}, "val/acc in history is no finite number"),
        ({"milestones": [{"epoch": 1, "test/acc": 2}]}, "test/acc in milestones is out of range"),
        ({"seconds": {"fit": "long"}}, "fit in seconds is no finite number"),
        ({"seconds": {"fit": -1}}, "fit in seconds is out of range"),
        ({"images_per_second": -1.0}, "images_per_second in result is out of range"),
        ({"epoch": -1}, "epoch is -1"),
        ({"epoch": 2**63}, "epoch is 9223372036854775808"),
        ({"seed": "0"}, "seed"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"seed": 1}, "seed is 1, but 0 in the configuration"),
        ({"overrides": [1]}, "overrides are not all texts"),
        ({"config": {"a": NESTED}}, "nested more than 20 levels deep"),
        ({"config": {str(index): 0 for index in range(2001)}}, "more than 2000 settings"),
        ({"data": {"fingerprint": ["x"]}}, "data.fingerprint is no text but ['x']"),
        ({"environment": {"device": 1}}, "environment.device is no text but 1"),
        ({"environment": {"commit": {}}}, "environment.commit is no text but {}"),
        ({"name": 7}, "name"),
    ],
)
def test_a_result_that_cannot_be_true_is_listed_with_its_reason(tmp_path, change, reason):
    make_run(tmp_path / "good")
    change_result(make_run(tmp_path / "odd", "data=csv"), **change)
    study = collect([tmp_path])
    assert study.frame["status"].tolist() == ["finished", "unreadable"]
    assert reason in study.frame["error"][1]
    assert "odd/result.json" in study.frame["error"][1]
    assert "move the folder away" in study.frame["error"][1]
    assert study.groups == ["image-cnn"]


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_an_accuracy_that_is_not_finite_is_listed(tmp_path, text):
    make_run(tmp_path / "good")
    path = make_run(tmp_path / "odd", acc=0.5) / "result.json"
    path.write_text(path.read_text().replace('"test/acc": 0.5', f'"test/acc": {text}'))
    assert collect([tmp_path]).frame["status"].tolist() == ["finished", "unreadable"]


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {"test/acc": 0}},
        {"metrics": {"test/acc": 1}},
        {"metrics": {"test/acc": 0.5, "val/acc": None}},
        {"history": [{"epoch": 1, "train/loss": None}]},
        {"history": []},
        {"epoch": None},
        {"config": {"seed": 0, "a": json.loads("[" * 18 + "]" * 18)}},
        {"config": {"seed": 0} | {str(index): 0 for index in range(1999)}},
        {"environment": {}},
        {"data": {}},
    ],
)
def test_a_result_at_the_edge_of_what_is_possible_counts(tmp_path, change):
    change_result(make_run(tmp_path / "a"), **change)
    assert collect([tmp_path]).frame["status"].tolist() == ["finished"]


def test_a_result_of_version_0_1_counts(tmp_path):
    path = make_run(tmp_path / "a") / "result.json"
    result = json.loads(path.read_text())
    del result["schema"]
    path.write_text(json.dumps(result))
    assert collect([tmp_path]).frame["status"].tolist() == ["finished"]


@pytest.mark.posix
def test_a_result_that_is_no_ordinary_file_is_not_opened(tmp_path):
    make_run(tmp_path / "good")
    for name in ("folder", "pipe", "large"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder" / "result.json").mkdir()
    os.mkfifo(tmp_path / "pipe" / "result.json")  # reading it would wait for ever
    with (tmp_path / "large" / "result.json").open("wb") as file:
        file.truncate(50_000_001)
    frame = collect([tmp_path]).frame
    assert frame["status"].tolist() == ["unreadable", "finished", "unreadable", "unreadable"]
    assert frame["error"].str.contains("it is no file of at most 50,000,000 bytes").sum() == 3


# --- predictions ---


def npz(**arrays):
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bomb():
    """A few kB that unpack to more than 100 MB."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("labels.npy", "preds.npy"):
            archive.writestr(name, bytes(100_000_001))
    return buffer.getvalue()


def header_only(shape):
    """Arrays whose header claims a shape, with no data behind it."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("labels.npy", "preds.npy"):
            header = BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": shape})
            archive.writestr(name, header.getvalue())
    return buffer.getvalue()


TEN = np.arange(10)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        npz(labels=TEN, preds=TEN)[:-200],
        npz(labels=TEN, preds=TEN)[:100],
        npz(labels=TEN, preds=TEN).replace(b"\x05\x00\x00", b"\x06\x00\x00"),  # a checksum fails
        npz(labels=TEN),
        npz(labels=TEN, preds=TEN[:9]),
        npz(labels=TEN, preds=TEN.astype(float)),
        npz(labels=TEN, preds=-TEN),
        npz(labels=TEN, preds=TEN + 1),
        npz(labels=TEN[:0], preds=TEN[:0]),
        npz(labels=TEN[None], preds=TEN[None]),
        npz(labels=np.array(0), preds=np.array(0)),
        npz(labels=TEN, preds=np.array([print] * 10, dtype=object)),
        bomb(),
        header_only((10**13,)),
        header_only((10,)),
    ],
    ids=range(17),
)
def test_a_run_whose_predictions_cannot_be_used_is_listed(tmp_path, content):
    make_run(tmp_path / "good")
    (make_run(tmp_path / "odd", "data=csv") / "predictions.npz").write_bytes(content)
    frame = collect([tmp_path]).frame
    assert frame["status"].tolist() == ["finished", "unreadable"]
    assert "odd/predictions.npz" in frame["error"][1]
    assert "move the folder away" in frame["error"][1]


@pytest.mark.posix
def test_predictions_that_are_no_ordinary_file_are_not_opened(tmp_path):
    path = make_run(tmp_path / "odd") / "predictions.npz"
    path.unlink()
    os.mkfifo(path)  # reading it would wait for ever
    assert read_run(tmp_path / "odd").status == "unreadable"


def test_a_run_without_predictions_counts(tmp_path):
    (make_run(tmp_path / "a") / "predictions.npz").unlink()
    assert collect([tmp_path]).frame["status"].tolist() == ["finished"]
    assert read_predictions_file(tmp_path / "a") is None


def test_predictions_are_read_as_they_were_written(tmp_path):
    predictions = read_predictions_file(make_run(tmp_path / "a", acc=0.75))
    assert predictions.correct.sum() == 750
    assert predictions.labels[:12].tolist() == [*range(10), 0, 1]


def test_reading_a_run_raises_nothing_whatever_bytes_are_cut_or_changed(tmp_path):
    folder = make_run(tmp_path / "a")
    whole = (folder / "result.json").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(100):
        torn = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(rng.integers(3)):
            if torn:
                torn[rng.integers(len(torn))] = rng.integers(256)
        (folder / "result.json").write_bytes(torn)
        run = read_run(folder)
        assert (run.status == "finished") == (run.reason is None)

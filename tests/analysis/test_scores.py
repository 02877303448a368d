"""Scores of answers on a suite, by hand, and where they are written.

python -m pytest tests/analysis/test_scores.py -v
"""

import hashlib
import json
import sys

import numpy as np
import pytest
import scipy.stats
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_exp.analysis.scores import (
    accuracy,
    column_names,
    describe_checkpoint,
    score,
    table,
    worst_mistakes,
    write_evaluation,
)
from mnist_exp.data.digits import Digits, Refused


def digits_of(labels):
    """Images that differ: each has its index as the value of all pixels."""
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None].expand(-1, 28, 28)
    return Digits(images, torch.tensor(labels))


def answers(preds, confidence=1.0):
    """Probabilities, float32 (N, 10): `confidence` for the answer, the rest for all others alike."""
    probs = np.eye(10, dtype=np.float32)[preds] * (confidence - (1 - confidence) / 9) + (1 - confidence) / 9
    return probs.astype(np.float32)


@pytest.fixture
def three():
    """Two subsets of a family and one without, with answers: 4 of 5 right."""
    subsets = {"pen/thin": digits_of([0, 1]), "pen/thick": digits_of([1, 1]), "paper": digits_of([7])}
    return subsets, {"pen/thin": answers([0, 1]), "pen/thick": answers([1, 7]), "paper": answers([7])}


# --- scores ---


def test_scores_by_hand(three):
    scores = score(*three)
    assert (scores["acc"], scores["n"], scores["ece"]) == (0.8, 5, pytest.approx(0.2))
    assert scores["by_class"]["1"] == {"acc": pytest.approx(2 / 3), "n": 3}
    assert scores["by_class"]["9"] == {"acc": None, "n": 0}
    assert list(scores["by_class"]) == list("0123456789")
    assert {name: (part["acc"], part["n"]) for name, part in scores["by_subset"].items()} == {
        "pen": (0.75, 4), "pen/thin": (1, 2), "pen/thick": (0.5, 2), "paper": (1, 1)
    }  # fmt: skip
    assert list(scores["by_subset"]) == ["pen", "pen/thin", "pen/thick", "paper"]
    assert [name for name, part in scores["by_subset"].items() if "interval" not in part] == ["pen"]
    assert [sum(row) for row in scores["confusion"]] == [1, 3, 0, 0, 0, 0, 0, 1, 0, 0]
    assert scores["confusion"][1] == [0, 2, 0, 0, 0, 0, 0, 1, 0, 0]


def test_the_risk_coverage_curve_counts_a_refused_picture_as_not_answered():
    digits = digits_of([1, 2])
    refused = Digits(digits.images, digits.labels, (Refused("blank.png", 3, "blank"),))
    first = score({"mine": refused}, {"mine": answers([1, 3])})["risk_coverage"][0]
    assert first == {"min_confidence": 0.0, "answered": pytest.approx(2 / 3), "error": 0.5}


def test_an_accuracy_may_have_its_interval():
    correct = np.arange(10) < 7
    interval = scipy.stats.binomtest(7, 10).proportion_ci(method="wilson")
    assert accuracy(correct) == {"acc": 0.7, "n": 10}
    assert accuracy(correct, interval=True) == {"acc": 0.7, "n": 10, "interval": pytest.approx(list(interval))}


# --- mistakes ---


@pytest.fixture
def drawn(monkeypatch):
    """What the picture of mistakes is drawn from: title -> (value of the pixels, label, answer, note) of each."""
    rows = {}

    def record(shown, **_):
        rows.update({title: [(m.image[0, 0], m.label, m.answer, m.note) for m in row] for title, row in shown.items()})

    monkeypatch.setattr("mnist_exp.analysis.figures.mistakes", record)
    monkeypatch.setattr("mnist_exp.analysis.figures.pixels", lambda _: None)
    return rows


def test_the_worst_mistakes_are_the_most_confident(drawn):
    probs = np.concatenate([answers([0], 0.9), answers([2], 0.6), answers([3], 0.8), answers([4], 0.6)])
    worst_mistakes({"test": digits_of([0, 1, 2, 3])}, {"test": probs})
    assert drawn == {"test": [(2, 2, 3, "80% #2"), (1, 1, 2, "60% #1"), (3, 3, 4, "60% #3")]}


def test_a_family_has_a_row_for_its_members(drawn, three):
    worst_mistakes(*three)
    assert drawn == {"pen": [(1, 1, 7, "100% #1\nthick")]}


@pytest.mark.parametrize(("subsets", "each"), [(1, 36), (3, 12), (5, 7), (36, 1), (40, 1)])
def test_each_subset_shows_as_many_mistakes_and_all_together_36_at_most(drawn, subsets, each):
    names = [f"s{number}" for number in range(subsets)]
    worst_mistakes({name: digits_of([1] * 50) for name in names}, {name: answers([2] * 50) for name in names})
    assert {len(row) for row in drawn.values()} == {each}
    assert list(drawn) == names[:36]


def test_without_a_mistake_the_picture_says_so(drawn):
    worst_mistakes({"test": digits_of([1])}, {"test": answers([1])})
    assert drawn == {"No mistakes": []}


# --- where they go ---


def evaluation_of(three, **checkpoint):
    return score(*three) | {"checkpoint": {"name": "cnn", "path": "best.ckpt", "epoch": 2, **checkpoint}}


def test_an_evaluation_replaces_the_earlier_one_of_its_suite_alone(three, tmp_path):
    for name in ("events.out.tfevents.1.training", "events.out.tfevents.1.evaluation-other"):
        (tmp_path / name).touch()
    for _ in range(2):
        path = write_evaluation(tmp_path, "mine", evaluation_of(three), *three)
    assert path == tmp_path / "evaluation-mine.json"
    assert json.loads(path.read_text()) == evaluation_of(three)
    names = sorted(file.name.rpartition(".")[2] for file in tmp_path.glob("events*"))
    assert names == ["evaluation-mine", "evaluation-other", "training"]


def test_tensorboard_gets_the_scores_at_the_epoch_of_the_checkpoint(three, tmp_path):
    write_evaluation(tmp_path, "mine", evaluation_of(three), *three)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "mine/acc", "mine/ece", "mine/pen/acc", "mine/pen/thin/acc", "mine/pen/thick/acc", "mine/paper/acc"
    }  # fmt: skip
    assert [(event.step, event.value) for event in events.Scalars("mine/acc")] == [(2, pytest.approx(0.8))]
    assert events.Scalars("mine/pen/acc")[0].value == 0.75
    assert events.Tags()["images"] == ["mine/worst_mistakes"]


def test_a_suite_of_one_subset_has_its_accuracy_once(tmp_path):
    one = {"test": digits_of([1, 2])}, {"test": answers([1, 3])}
    write_evaluation(tmp_path, "test", evaluation_of(one), *one)
    assert EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"] == ["test/acc", "test/ece"]


def test_a_checkpoint_is_described_by_its_bytes_and_its_run(tmp_path):
    path = tmp_path / "best.ckpt"
    torch.save({"epoch": 1}, path)
    assert describe_checkpoint(path, {"name": "cnn", "seed": 3, "data": {}}) == {
        "path": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "name": "cnn",
        "seed": 3,
        "epoch": 2,  # Lightning counts from 0
    }


# --- the table ---


def shown(evaluations):
    console = Console(width=120, record=True, file=sys.stderr)
    console.print(table("mine", evaluations))
    return [line.split() for line in console.export_text().splitlines() if line.strip()]


def test_the_table_sets_checkpoints_side_by_side(three):
    lines = shown([evaluation_of(three, name=name) for name in ("image-cnn", "csv-cnn")])
    assert ["subset", "n", "image-cnn", "csv-cnn"] in lines
    assert ["pen", "4", "75.00", "75.00"] in lines
    assert ["thick", "2", "50.00", "(9.45–90.55)", "50.00", "(9.45–90.55)"] in lines
    assert ["all", "images", "5", "80.00", "80.00"] in lines
    assert ["calibration", "error", "20.00", "20.00"] in lines
    risk = ["20.00", "(100.0", "answered)"]
    assert ["errors", "among", "answers", "of", "0.9", "and", "more", *risk, *risk] in lines


def test_one_subset_is_all_images():
    one = {"test": digits_of([1, 2])}, {"test": answers([1, 3])}
    lines = shown([evaluation_of(one)])
    assert [line[:2] for line in lines if line[0] in ("test", "all")] == [["test", "2"]]


def test_checkpoints_with_the_same_name_are_told_apart_by_their_paths():
    two = [{"name": "cnn", "path": "a.ckpt"}, {"name": "cnn", "path": "b.ckpt"}]
    assert column_names(two) == ["a.ckpt", "b.ckpt"]
    assert column_names([two[0], {"name": "mlp", "path": "b.ckpt"}]) == ["cnn", "mlp"]


def test_a_name_that_looks_like_markup_is_shown_as_it_is(three):
    assert ["subset", "n", "[/b]"] in shown([evaluation_of(three, name="[/b]")])

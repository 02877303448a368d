"""The images that only one of two groups gets right, against answers written by hand.

python -m pytest tests/analysis/test_disagreements.py -v
"""

import numpy as np
import pytest
from made_runs import make_two_groups

from mnist_exp.analysis.disagreements import PICTURES_A_ROW, disagreements, only_right, pictured
from mnist_exp.analysis.pairs import read_predictions
from mnist_exp.analysis.run_folders import Predictions
from mnist_exp.analysis.runs import collect


def predictions_of(labels, preds):
    return Predictions(np.array(labels), np.array(preds))


@pytest.fixture
def two(tmp_path):
    make_two_groups(tmp_path)
    return collect([tmp_path])


def test_the_images_that_one_side_alone_gets_right_are_counted_and_listed(two):
    drawn = {}
    text = disagreements(two, ["data=csv", "data=image"], read_predictions(two), lambda _: None, drawn)
    assert "A is `data=csv`, B is `data=image`." in text
    assert "With every common seed (2), A alone gets 1 image right, and B alone gets 1." in text
    assert [line for line in text.splitlines() if line.startswith("| only")] == [
        "| only A is right | 2 | 3 | 9 | 2 |",
        "| only A is right | 1 | 3 | 9 | 1 |",
        "| only A is right | 3 | 3 | 8 | 1 |",
        "| only A is right | 4 | 3 | 8 | 1 |",
        "| only B is right | 5 | 3 | 8 | 2 |",
    ]
    assert "There are no pictures" in text
    assert drawn == {}


def test_nothing_is_said_of_one_group_or_without_predictions(two):
    predictions = read_predictions(two)
    assert disagreements(two, ["data=csv"], predictions, lambda _: None, {}) == ""
    assert disagreements(two, ["data=csv", "data=image"], {}, lambda _: None, {}) == ""


def test_groups_that_agree_on_all_images_have_no_table(two):
    predictions = dict.fromkeys(two.results, predictions_of([3] * 6, [3] * 6))
    text = disagreements(two, ["data=csv", "data=image"], predictions, lambda _: 1 / 0, {})
    assert "A alone gets 0 images right, and B alone gets 0." in text
    assert "| only" not in text


def test_the_clearest_cases_come_first_with_the_commonest_mistake():
    labels = [1] * 12
    others = [predictions_of(labels, [7] * 12), predictions_of(labels, [4] * 12), predictions_of(labels, [4] * 12)]
    lead = np.array([0, 3, 1, 2, -1, 1, 1, 1, 1, 1, 1, 1])
    rows = only_right("side", lead, others)
    assert rows[0] == ["side", 1, 1, 4, 3]
    assert [row[1] for row in rows] == [1, 3, 2, 5, 6, 7, 8, 9, 10, 11][:PICTURES_A_ROW]


def test_pictures_are_drawn_as_far_as_there_are_images():
    images = np.arange(2, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    drawn = {}
    assert "(figures/disagreements.png)" in pictured([["A", 1, 3, 9, 2], ["B", 0, 4, 8, 1]], images, drawn)
    [sides] = drawn.pop("disagreements").args
    assert {side: (each.label, each.answer) for side, [each] in sides.items()} == {"A": (3, 9), "B": (4, 8)}
    assert np.array_equal(sides["A"][0].image, images[1])
    assert "There are no pictures" in pictured([["A", 2, 3, 9, 2]], images, drawn)  # an image that is not there
    assert "There are no pictures" in pictured([["A", 0, 3, 9, 2]], None, drawn)
    assert drawn == {}

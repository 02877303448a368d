"""What the robust recipe promises: python -m pytest tests/imaging/test_robust.py -m slow (trains for some 13 minutes)

The digits are drawn as photos, with other strokes than those that the recipe is trained on.
"""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_photos import draw_line, paper

import mnist_exp
from mnist_exp.imaging.photo import to_mnist_form

Stroke = list[tuple[float, float]]


def one_with_a_flag(hand: random.Random) -> list[Stroke]:
    """A flag of 0.15 to 0.6 of the height, at 20 to 60 degrees to the stem; every second 1 has a foot."""
    length, angle = hand.uniform(0.15, 0.6), np.radians(hand.uniform(20, 60))
    top, bottom = (0.5, 0.0), (0.5 + hand.uniform(-0.05, 0.05), 1.0)
    strokes = [[(0.5 - length * np.sin(angle), length * np.cos(angle)), top, bottom]]
    if hand.random() < 0.5:
        strokes.append([(0.5 - hand.uniform(0.1, 0.3), 1.0), (0.5 + hand.uniform(0.1, 0.3), 1.0)])
    return strokes


def seven(hand: random.Random) -> list[Stroke]:
    """With or without a bar."""
    strokes = [[(hand.uniform(0.1, 0.2), hand.uniform(-0.04, 0.04)), (0.75, 0.0), (hand.uniform(0.25, 0.45), 1.0)]]
    if hand.random() < 0.5:
        strokes.append([(hand.uniform(0.2, 0.35), 0.5), (hand.uniform(0.65, 0.8), hand.uniform(0.42, 0.52))])
    return strokes


def photo_of(strokes: list[Stroke], hand: random.Random) -> np.ndarray:
    """uint8 (28, 28), written with a pen of 3 to 20 pixels on a page of 240 by 300."""
    page, pen, slant = paper(), hand.uniform(3, 20), hand.uniform(-0.1, 0.25)
    for stroke in strokes:
        points = [(60 + 140 * (x + slant * (0.5 - y)), 80 + 140 * y) for x, y in stroke]
        page = draw_line(page, points, pen=pen, ink=50)
    return to_mnist_form(page)


def photos(digit: int, number: int = 100) -> torch.Tensor:
    """uint8 (number, 28, 28)"""
    hands = [random.Random(index) for index in range(number)]
    write = {1: one_with_a_flag, 7: seven}[digit]
    return torch.from_numpy(np.stack([photo_of(write(hand), hand) for hand in hands]))


@pytest.mark.slow
def test_a_1_with_a_flag_is_no_7(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    data_dir = pytestconfig.rootpath / "data"
    settings = ["experiment=robust", "logger=none", "threads=1", f"data_dir={data_dir}", f"run_dir={tmp_path}"]
    result = mnist_exp.run(*settings)
    assert result.metrics["test/acc"] > 0.994
    model = mnist_exp.load(tmp_path / "checkpoints" / "best.ckpt")
    right = {digit: (model(photos(digit)).argmax(1) == digit).float().mean() for digit in (1, 7)}
    assert right[1] >= 0.95
    assert right[7] >= 0.98

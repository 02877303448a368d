"""Digits drawn from strokes: python -m pytest tests/imaging/test_strokes.py -v"""

import pytest
import torch
from scipy import ndimage

from mnist_exp.imaging.strokes import FORMS, curve, draw_digits, draw_form, draw_segments, read_form, read_forms

LINES = FORMS.strip().splitlines()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_every_digit_is_drawn_white_on_black_in_a_box_of_20() -> None:
    labels = torch.arange(10).repeat(20)
    drawn = draw_digits(labels)
    assert (drawn.shape, drawn.dtype) == ((200, 28, 28), torch.float32)
    assert drawn.min() == 0
    assert drawn.max() == 1
    ink = drawn > 0.5
    longest = torch.stack([ink.any(dim).sum(1) for dim in (1, 2)]).amax(0)
    assert longest.min() >= 17
    assert longest.max() <= 23  # broad strokes stand out by half of their width


def test_a_digit_is_drawn_differently_each_time() -> None:
    assert len(draw_digits(torch.full((50,), 4)).unique(dim=0)) == 50


def test_no_labels_are_no_trouble() -> None:
    assert draw_digits(torch.zeros(0, dtype=torch.int64)).shape == (0, 28, 28)


def test_every_label_has_forms_of_its_own() -> None:
    forms, chances = read_forms()
    assert {form.label for form in forms} == set(range(10))
    for number, form in enumerate(forms):
        assert chances[:, number].nonzero().tolist() == [[form.label]]


@pytest.mark.parametrize("line", LINES)
def test_every_form_is_one_piece_or_has_parts_that_nearly_touch(line: str) -> None:
    drawn = draw_form(read_form(line), torch.zeros(20))
    for image in drawn:
        assert ndimage.label(image > 0.01, structure=torch.ones(3, 3))[1] <= 2


def test_a_form_says_where_its_points_are_and_how_far_they_may_be_from_there() -> None:
    form = read_form("7  2  10+-5,0 - 90,0+-3 - 40,100 ; 30,50 ~ 60,40 ~ 90,50")
    assert (form.label, form.weight) == (7, 2)
    percent = [[10, 0], [90, 0], [40, 100], [30, 50], [60, 40], [90, 50]]
    torch.testing.assert_close(form.middle, torch.tensor(percent) / 100)
    torch.testing.assert_close(form.reach[:2], torch.tensor([[0.05, 0], [0, 0.03]]))
    ends = form.ends @ form.middle
    assert ends[:2].tolist() == form.middle[1:3].tolist()  # straight lines
    assert len(ends) == 2 + 2 * 4  # and a curve in two spans
    assert torch.equal(ends[-1], form.middle[-1])


def test_a_corner_ends_a_curve() -> None:
    smooth, corner = (read_form(f"3  1  0,0 ~ 100,50 {way} 0,100") for way in "~<")
    assert len(smooth.starts) == 8
    assert len(corner.starts) == 2


def test_a_curve_goes_through_its_points() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.5], [0.2, 1.0], [0.8, 0.1]])
    assert torch.allclose(curve(points)[::4], points)


def test_a_segment_has_round_ends_soft_edges_and_its_width() -> None:
    start, end = torch.tensor([[[-5.5, 0.5]]]), torch.tensor([[[6.5, 0.5]]])
    drawn = draw_segments(start, end, half_width=torch.tensor([[[1.5]]]))[0]
    assert drawn[14].nonzero()[:, 0].tolist() == list(range(7, 22))
    assert drawn[12:17, 14].tolist() == [0, 1, 1, 1, 0]

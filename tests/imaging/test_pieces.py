"""Which pieces of ink make the digit: python -m pytest tests/imaging/test_pieces.py -v

The pictures are 100 pixels wide and high, so that a length in pixels is a percentage of the side.
"""

import numpy as np
import pytest

from mnist_exp.imaging.pieces import (
    Pieces,
    are_frames,
    are_large,
    extent,
    find_pieces,
    has_second_digit,
    join_digit,
    longer_sides,
)

Bar = tuple[int, int, int, int]  # top, left, bottom, right


def pieces_of(*bars: Bar, darkness: tuple[float, ...] = (), height: int = 100, width: int = 100) -> Pieces:
    """Filled rectangles, numbered from top to bottom, then from left to right."""
    ink = np.zeros((height, width))
    for (top, left, bottom, right), dark in zip(bars, darkness or [1.0] * len(bars), strict=True):
        ink[top:bottom, left:right] = dark
    return find_pieces(ink > 0, ink)


def members_of(*bars: Bar, darkness: tuple[float, ...] = ()) -> list[bool]:
    return join_digit(pieces_of(*bars, darkness=darkness)).tolist()


def outline(top: int, left: int, bottom: int, right: int) -> list[Bar]:
    """A frame 2 pixels thick."""
    return [
        (top, left, top + 2, right),
        (bottom - 2, left, bottom, right),
        (top, left, bottom, left + 2),
        (top, right - 2, bottom, right),
    ]


DIGIT = (30, 45, 70, 50)  # an upright stroke in the middle, 40 high


def test_pieces_are_described() -> None:
    pieces = pieces_of((0, 10, 4, 20), (40, 40, 60, 45), darkness=(0.5, 1.0))
    assert pieces.boxes.tolist() == [[0, 10, 4, 20], [40, 40, 60, 45]]
    assert pieces.area.tolist() == [40, 100]
    assert pieces.darkness.tolist() == [0.5, 1.0]
    assert pieces.cut.tolist() == [True, False]
    assert pieces.labels[2, 15] == 1
    assert pieces.labels[50, 42] == 2
    assert extent(pieces.boxes).tolist() == [60, 35]
    assert longer_sides(pieces.boxes).tolist() == [10, 20]
    assert pieces.pixels_of(np.array([False, True])).sum() == 100


def test_a_corner_is_enough_to_hang_together() -> None:
    assert len(pieces_of((10, 10, 20, 20), (20, 20, 30, 30)).area) == 1
    assert len(pieces_of((10, 10, 20, 20), (21, 20, 30, 30)).area) == 2


@pytest.mark.parametrize("box", [(0, 40, 9, 50), (40, 0, 50, 9), (91, 40, 100, 50), (40, 91, 50, 100)])
def test_any_border_cuts(box: Bar) -> None:
    assert pieces_of(box).cut.tolist() == [True]


def test_the_weight_falls_from_the_middle_to_the_border() -> None:
    weights = [pieces_of((row, 50, row + 1, 51), height=101, width=101).central[0] for row in (50, 75, 90, 99, 100)]
    assert weights == pytest.approx([1, 0.5, 0.2, 0.05, 0.05])
    assert pieces_of((50, 75, 51, 76), height=101, width=101).central[0] == pytest.approx(0.5)


@pytest.mark.parametrize(("length", "large"), [(5, True), (4, False)])
def test_a_digit_is_larger_than_a_twentieth_of_the_side(length: int, large: bool) -> None:
    assert are_large(pieces_of((50, 50, 50 + length, 51))).tolist() == [large]
    assert are_large(pieces_of((50, 50, 51, 50 + length))).tolist() == [large]


# --- which piece is first ---


def test_the_digit_starts_with_the_largest_piece_near_the_middle() -> None:
    corner, middle = (2, 80, 22, 98), (45, 45, 60, 60)
    assert members_of(corner, middle) == [False, True]
    assert members_of((2, 50, 42, 98), (45, 3, 60, 6)) == [True, False]


@pytest.mark.parametrize(("width", "first"), [(40, True), (41, False)])
def test_a_flat_piece_is_first_only_if_there_is_nothing_better(width: int, first: bool) -> None:
    """40 by 10 is not yet flat. The other piece is a fifth as large, near the border, and too far away to join."""
    flat, other = (50, 30, 60, 30 + width), (10, 5, 18, 15)
    assert members_of(other, flat) == [not first, first]
    assert members_of(flat) == [True]


# --- which pieces join ---


@pytest.mark.parametrize(("gap", "joins"), [(8, True), (9, False)])
def test_a_piece_joins_within_a_quarter_of_the_digit(gap: int, joins: bool) -> None:
    """The digit is 40 high, a quarter is 10. Over a gap of 9 rows, the distance from pixel to pixel is 10."""
    assert members_of(DIGIT, (70 + gap, 45, 78 + gap, 50)) == [True, joins]


@pytest.mark.parametrize(("gap", "joins"), [(5, True), (6, False)])
def test_a_small_digit_counts_as_a_quarter_of_the_side(gap: int, joins: bool) -> None:
    assert members_of((45, 45, 55, 50), (55 + gap, 45, 62 + gap, 50)) == [True, joins]


def test_the_digit_grows_by_four_rounds() -> None:
    """The sixth dot is first. Each round reaches one dot more on either side, so the first dot is not reached."""
    dots = [(10 + 8 * index, 48, 14 + 8 * index, 52) for index in range(10)]
    assert members_of(*dots) == [False] + [True] * 9


@pytest.mark.parametrize(("tall", "joins"), [(60, True), (61, False)])
def test_a_piece_joins_up_to_one_and_a_half_times_the_digit(tall: int, joins: bool) -> None:
    """It stands further out, so that the smaller piece is first."""
    digit, other = (30, 42, 70, 58), (20, 60, 20 + tall, 61)
    assert members_of(other, digit) == [joins, True]


@pytest.mark.parametrize(("width", "joins"), [(40, True), (41, False)])
def test_a_flat_piece_joins_up_to_the_size_of_the_digit(width: int, joins: bool) -> None:
    assert members_of(DIGIT, (73, 30, 76, 30 + width)) == [True, joins]


@pytest.mark.parametrize(("area", "joins"), [(7, True), (6, False)])
def test_a_speck_does_not_join(area: int, joins: bool) -> None:
    """3% of 40 x 5 is 6."""
    assert members_of(DIGIT, (72, 45, 73, 45 + area)) == [True, joins]


@pytest.mark.parametrize(("darkness", "joins"), [(0.51, True), (0.5, False)])
def test_a_smudge_does_not_join(darkness: float, joins: bool) -> None:
    assert members_of(DIGIT, (72, 45, 80, 50), darkness=(1.0, darkness)) == [True, joins]


def test_what_the_border_cuts_does_not_join() -> None:
    digit = (60, 45, 95, 50)
    assert members_of(digit, (90, 52, 99, 55)) == [True, True]
    assert members_of(digit, (90, 52, 100, 55)) == [True, False]


def test_a_frame_does_not_join() -> None:
    frame = outline(25, 38, 75, 57)
    assert members_of(*frame, DIGIT) == [False, True]


# --- frames ---


@pytest.mark.parametrize(("tall", "is_frame"), [(13, True), (12, False)])
def test_a_frame_holds_a_piece_of_more_than_a_fifth_of_its_height(tall: int, is_frame: bool) -> None:
    frame = outline(20, 20, 80, 80)
    assert are_frames(pieces_of(*frame, (40, 50, 40 + tall, 53))).tolist() == [is_frame, False]


@pytest.mark.parametrize(("reach", "is_frame"), [(35, True), (36, False)])
def test_a_frame_has_no_ink_in_its_middle(reach: int, is_frame: bool) -> None:
    """The frame is 60 wide and high: its middle begins 15 inside of it, at 35."""
    tongue = (50, 20, 52, reach)
    assert are_frames(pieces_of(*outline(20, 20, 80, 80), tongue, (30, 60, 70, 63))).tolist() == [is_frame, False]
    tongue = (20, 50, reach, 52)
    assert are_frames(pieces_of(*outline(20, 20, 80, 80), tongue, (30, 60, 70, 63))).tolist() == [is_frame, False]
    tongue = (50, 100 - reach, 52, 80)
    assert are_frames(pieces_of(*outline(20, 20, 80, 80), tongue, (30, 30, 70, 33))).tolist() == [is_frame, False]
    tongue = (100 - reach, 50, 80, 52)
    assert are_frames(pieces_of(*outline(20, 20, 80, 80), tongue, (30, 60, 70, 63))).tolist() == [is_frame, False]


@pytest.mark.parametrize("side", range(4))
def test_three_sides_are_no_frame_if_the_piece_sticks_out(side: int) -> None:
    inside = [(10, 45, 60, 50), (40, 10, 60, 50), (40, 45, 90, 50), (40, 45, 60, 90)][side]
    three = [bar for index, bar in enumerate(outline(20, 20, 80, 80)) if index != (0, 2, 1, 3)[side]]
    assert not are_frames(pieces_of(*three, inside)).any()


# --- a second digit ---


def second(*bars: Bar, members: list[bool], darkness: tuple[float, ...] = ()) -> bool:
    return has_second_digit(pieces_of(*bars, darkness=darkness), np.array(members))


@pytest.mark.parametrize(("tall", "found"), [(24, False), (25, True), (63, True), (64, False)])
def test_a_second_digit_is_about_as_tall(tall: int, found: bool) -> None:
    """The digit is 40 high: 0.6 and 1.6 of that are 24 and 64."""
    other = (20, 62, 20 + tall, 66)
    assert second(other, DIGIT, members=[False, True]) == found
    assert not second(DIGIT, members=[True])


@pytest.mark.parametrize(("left", "found"), [(82, True), (83, False)])
def test_a_second_digit_near_the_border_is_a_neighbour(left: int, found: bool) -> None:
    """At column 84 the weight is 0.3."""
    assert second(DIGIT, (30, left, 70, left + 4), members=[True, False]) == found


@pytest.mark.parametrize(("darkness", "found"), [(0.5, False), (0.51, True)])
def test_a_faint_second_digit_shines_through(darkness: float, found: bool) -> None:
    assert second(DIGIT, (30, 62, 70, 66), members=[True, False], darkness=(1.0, darkness)) == found


def test_a_frame_and_what_the_border_cuts_are_no_second_digit() -> None:
    assert not second(*outline(22, 30, 78, 70), DIGIT, members=[False, True])
    cut = (0, 45, 40, 60)
    digit = (50, 40, 90, 60)
    assert not second(cut, digit, members=[False, True])
    assert second((1, 45, 41, 60), digit, members=[False, True])


@pytest.mark.parametrize(("gap", "found"), [(8, False), (9, True)])
def test_clear_paper_between_two_tall_members_means_two_digits(gap: int, found: bool) -> None:
    """A fifth of 40 is 8. The members are given from right to left, and a low one between them does not count."""
    right, left = (30, 50 + gap, 70, 54 + gap), (31, 40, 70, 50)
    low = (60, 51, 65, 53)
    assert second(right, left, low, members=[True, True, True]) == found

"""Which ink is a printed line: python -m pytest tests/imaging/test_printed_lines.py -v

The pictures are 100 pixels wide and high, so that a length in pixels is a percentage of the side.
"""

import numpy as np
import pytest

from mnist_exp.imaging.printed_lines import are_printed, find_lines, pixels_of, vertical_runs


def find_printed_lines(mask: np.ndarray) -> np.ndarray:
    return pixels_of(find_lines(mask), mask)


def picture(*bars: tuple[slice, slice], height: int = 100, width: int = 100) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    for rows, columns in bars:
        mask[rows, columns] = True
    return mask


def slanted(slope: float, *, first: float = 30, thickness: int = 2) -> np.ndarray:
    """A line from the left border to the right one."""
    mask = picture()
    for column in range(100):
        row = round(first + slope * column)
        mask[row : row + thickness, column] = True
    return mask


ALL = slice(None)
LEVEL = (slice(10, 12), ALL)


def test_the_worked_example() -> None:
    """The table at the top of printed_lines.py."""
    mask = picture(
        LEVEL,
        (slice(30, 32), slice(20, 81)),
        (slice(50, 52), slice(0, 61)),
        (slice(70, 85), ALL),
        (slice(5, 46), slice(45, 49)),
    )
    expected = picture(LEVEL)
    expected[:, 45:49] = False
    np.testing.assert_array_equal(find_printed_lines(mask), expected)
    np.testing.assert_array_equal(find_printed_lines(mask.T), expected.T)
    np.testing.assert_array_equal(find_printed_lines(mask[:, ::-1]), expected[:, ::-1])


def test_a_crossing_of_two_lines_belongs_to_both() -> None:
    cross = picture(LEVEL, (ALL, slice(60, 62)))
    np.testing.assert_array_equal(find_printed_lines(cross), cross)


@pytest.mark.parametrize(("length", "is_line"), [(96, True), (95, False)])
def test_a_line_reaches_the_other_border(length: int, is_line: bool) -> None:
    """But for a gap of less than a twentieth of the side."""
    for columns in (slice(0, length), slice(100 - length, 100)):
        bar = picture((slice(40, 42), columns))
        np.testing.assert_array_equal(find_printed_lines(bar), bar & is_line)


@pytest.mark.parametrize(("length", "is_line"), [(75, True), (74, False)])
def test_a_line_may_end_at_another_one(length: int, is_line: bool) -> None:
    corner = picture((slice(80, 82), slice(0, length)), (slice(0, 82), slice(length - 2, length)))
    assert find_printed_lines(corner)[80, 20] == is_line
    assert find_printed_lines(corner)[20, length - 1] == is_line


def test_a_line_may_end_beside_another_one() -> None:
    two = picture((slice(10, 12), slice(0, 80)), (slice(80, 82), slice(0, 80)))
    np.testing.assert_array_equal(find_printed_lines(two), two)


def test_a_single_line_is_printed_where_it_goes_on_beyond_the_digit() -> None:
    lines = find_lines(picture(LEVEL))
    for left, right, expected in ((8, 92, True), (7, 80, False), (20, 93, False)):
        assert are_printed(lines, np.array([20, left, 100, right])) == expected
    upright = find_lines(picture(LEVEL).T)
    assert not are_printed(upright, np.array([7, 20, 80, 60]))


@pytest.mark.parametrize("other", [(slice(80, 82), ALL), (ALL, slice(80, 82))])
def test_several_lines_are_printed(other: tuple[slice, slice]) -> None:
    assert are_printed(find_lines(picture(LEVEL, other)), np.array([0, 0, 100, 100]))


@pytest.mark.parametrize(("thickness", "is_line"), [(10, True), (11, False)])
def test_a_line_is_at_most_a_tenth_of_the_side_thick(thickness: int, is_line: bool) -> None:
    bar = picture((slice(40, 40 + thickness), ALL))
    assert find_printed_lines(bar).any() == is_line


@pytest.mark.parametrize(("slope", "is_line"), [(0.19, True), (-0.19, True), (0.21, False), (-0.21, False)])
def test_a_line_is_at_most_11_degrees_askew(slope: float, is_line: bool) -> None:
    line = slanted(slope, first=30 if slope > 0 else 70)
    found = find_printed_lines(line)
    assert (found.sum() > 0.95 * line.sum()) == is_line
    assert found.any() == is_line


def test_a_line_may_leave_the_picture_at_the_top_or_bottom() -> None:
    for line in (slanted(0.15, first=90), slanted(0.15, first=90)[::-1]):
        assert line[:, -1].sum() == 0
        assert find_printed_lines(line).sum() > 0.95 * line.sum()


@pytest.mark.parametrize(("gap", "is_line"), [(4, True), (5, False)])
def test_a_line_has_no_gap_of_a_twentieth_of_the_side(gap: int, is_line: bool) -> None:
    bar = picture((slice(40, 42), slice(0, 40)), (slice(40, 42), slice(40 + gap, 100)))
    np.testing.assert_array_equal(find_printed_lines(bar), bar & is_line)


@pytest.mark.parametrize(("step", "is_line"), [(2, True), (3, False)])
def test_a_line_may_wobble_a_little(step: int, is_line: bool) -> None:
    """In six columns the ink is `step` rows lower. Within 1/80 of the side of the fitted line there is no gap."""
    bar = picture((slice(40, 42), ALL))
    bar[:, 50:56] = np.roll(bar[:, 50:56], step, axis=0)
    assert find_printed_lines(bar)[41, 20] == is_line


@pytest.mark.parametrize(("inked", "is_line"), [(3, True), (2, False)])
def test_a_line_starts_in_most_columns_at_the_border(inked: int, is_line: bool) -> None:
    """Of the first five columns, half of LINE_WIDTH. At the right border there is no ink."""
    bar = picture((slice(40, 42), slice(5 - inked, 96)))
    np.testing.assert_array_equal(find_printed_lines(bar), bar & is_line)


@pytest.mark.parametrize(("height", "stays"), [(5, True), (4, False)])
def test_a_stroke_that_crosses_stays_where_it_is_taller_than_the_line(height: int, stays: bool) -> None:
    """Of a line 2 thick, 1.5 times 2, and 2 more: 5 pixels."""
    mask = picture((slice(40, 42), ALL), (slice(40, 40 + height), slice(50, 53)))
    assert (~find_printed_lines(mask)[40:42, 50:53]).all() == stays


def test_strokes_that_hang_from_a_line_do_not_make_it_thicker() -> None:
    """Four broad ones and a small one, all taller than the line: the line is fitted, and measured, without them."""
    strokes = [(slice(40, 60), slice(left, left + 12)) for left in (8, 28, 48, 68)] + [(slice(40, 48), slice(90, 92))]
    mask, expected = picture((slice(40, 42), ALL), *strokes), picture((slice(40, 42), ALL))
    for _, columns in strokes:
        expected[:, columns] = False
    np.testing.assert_array_equal(find_printed_lines(mask), expected)


def test_the_length_counts_the_line_and_two_pixels_of_its_blurred_end() -> None:
    other = (slice(10, 12), ALL)
    bar = picture((slice(40, 42), slice(0, 80)), (slice(40, 42), slice(86, 100)), other)
    found = find_printed_lines(bar[:, :90])
    np.testing.assert_array_equal(found[:, :80], bar[:, :80])
    end = (slice(40, 41), slice(80, 84)), (slice(39, 40), slice(82, 84))
    longer = picture((slice(40, 42), slice(0, 80)), *end, other)
    assert find_printed_lines(longer)[40, :84].all()


def test_vertical_runs_are_those_of_an_odd_length() -> None:
    column = np.zeros((20, 1), bool)
    column[1:4] = column[6:11] = True  # 3 and 5 pixels
    assert vertical_runs(column, 3).sum() == 8
    assert vertical_runs(column, 4).sum() == 5
    assert vertical_runs(column, 5).sum() == 5
    assert vertical_runs(column, 6).sum() == 0
    edge = np.ones((2, 1), bool)  # what is outside is no ink
    assert not vertical_runs(edge, 3).any()

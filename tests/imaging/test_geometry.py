"""Where the geometry puts things: python -m pytest tests/imaging/test_geometry.py -v"""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from mnist_exp.imaging.geometry import affine, centre_by_mass, displace, project, tilt

COS, SIN = math.cos(0.3), math.sin(0.3)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))


def dot(row: int, column: int) -> Tensor:
    image = torch.zeros(1, 28, 28)
    image[0, row, column] = 1
    return image


def blob(row: float, column: float) -> Tensor:
    """A soft dot, whose place can be measured to a tenth of a pixel."""
    at = torch.arange(28)
    return torch.exp(-((at[:, None] - row) ** 2 + (at - column) ** 2) / 4)[None]


def place(image: Tensor) -> tuple[float, float]:
    """Row and column of the centre of mass."""
    return ndimage.center_of_mass(image[0].numpy())


def test_doing_nothing_changes_nothing(x: Tensor) -> None:
    for same in (affine(x), tilt(x, about_y=0.0, about_x=0.0), displace(x, torch.zeros(3, 28, 28, 2))):
        torch.testing.assert_close(same, x, atol=1e-5, rtol=0)


def test_every_image_has_its_own_quarter_turn(x: Tensor) -> None:
    turned = affine(x, angle=torch.tensor([0.0, math.pi / 2, -math.pi / 2]))
    expected = torch.stack([x[0], x[1].rot90(-1), x[2].rot90(1)])  # rot90(1) turns counterclockwise
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)


def test_shifts_are_pixels_to_the_right_and_down() -> None:
    torch.testing.assert_close(affine(dot(10, 10), dx=3, dy=torch.tensor([-2.0])), dot(8, 13), atol=1e-5, rtol=0)
    flow = torch.tensor([3.0, -2.0]).view(1, 1, 1, 2)  # one pixel looks there, so the image moves the other way
    torch.testing.assert_close(displace(dot(10, 10), flow), dot(12, 7), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("how", "row", "column"),
    [
        ({"angle": 0.3}, 13.5 - 5.5 * COS + 3.5 * SIN, 13.5 + 3.5 * COS + 5.5 * SIN),  # clockwise
        ({"slant": -0.5}, 8, 17 + 0.5 * 5.5),  # the top goes right
        ({"rise": -0.5}, 8 - 0.5 * 3.5, 17),  # the right goes up
        ({"scale_x": 1.5}, 8, 13.5 + 1.5 * 3.5),
        ({"scale_y": 1.5}, 13.5 - 1.5 * 5.5, 17),
        ({"scale_y": 1.2, "slant": -0.5}, 13.5 - 1.2 * 5.5, 17 + 0.5 * 1.2 * 5.5),  # scaled first
        ({"slant": 0.5, "angle": math.pi / 2}, 13.5 + 3.5 - 0.5 * 5.5, 13.5 + 5.5),  # sheared before it is turned
        ({"angle": math.pi / 2, "dx": 2}, 13.5 + 3.5, 13.5 + 5.5 + 2),  # shifted last
    ],
)  # fmt: skip
def test_a_point_goes_where_the_formula_says(how: dict[str, float], row: float, column: float) -> None:
    assert place(affine(blob(8, 17), **how)) == pytest.approx((row, column), abs=0.1)


def test_flow_is_applied_last() -> None:
    flow = torch.zeros(1, 28, 28, 2)
    flow[..., 0] = 4  # every pixel shows what is 4 to its right: the image moves 4 to the left
    torch.testing.assert_close(
        affine(blob(8, 17), angle=math.pi / 2, flow=flow),
        displace(affine(blob(8, 17), angle=math.pi / 2), flow),
        atol=1e-4,
        rtol=0,
    )


def test_what_recedes_gets_smaller(x: Tensor) -> None:
    page = torch.ones_like(x)
    for receding in (tilt(page, about_y=0.4, about_x=0.0), tilt(page, about_y=0.0, about_x=0.4).mT):
        assert receding[:, :, -4:].sum() < page[:, :, -4:].sum() / 2
        torch.testing.assert_close(receding[:, :, :4], page[:, :, :4])


def test_tilt_divides_by_the_distance() -> None:
    x, y = (17 - 13.5) / 14, (8 - 13.5) / 14  # of the blob, from -1 to 1 across the image
    distance = 1 + 0.5 * x - 0.3 * y
    row, column = place(tilt(blob(8, 17), about_y=0.5, about_x=-0.3))
    assert (row, column) == pytest.approx((13.5 + 14 * y / distance, 13.5 + 14 * x / distance), abs=0.25)


def test_images_of_another_size_are_moved_as_well() -> None:
    image = torch.zeros(1, 10, 10)
    image[0, 4, 4] = 1
    moved = project(image, torch.tensor([[[1.0, 0, 0.4], [0, 1, 0], [0, 0, 1]]]))  # 0.4 of 10 / 2 pixels
    assert (moved > 1e-3).nonzero().tolist() == [[0, 4, 6]]


def test_the_centre_of_mass_comes_to_14() -> None:
    digit = np.zeros((20, 12), np.float32)
    digit[:, 2:4] = 1
    digit[15:, 4:12] = 0.5
    image = centre_by_mass(digit)
    assert (image.shape, image.dtype) == ((28, 28), np.uint8)
    assert ndimage.center_of_mass(image) == pytest.approx((14, 14), abs=0.51)
    assert sorted(np.unique(image)) == [0, 128, 255]
    assert image.astype(int).sum() == 20 * 2 * 255 + 5 * 8 * 128


@pytest.mark.parametrize(("ink_row", "top"), [(0, 8), (10, 4), (19, 0)])
def test_a_digit_stays_inside_the_image(ink_row: int, top: int) -> None:
    """20 rows fit from row 0 to row 8: the mass comes to 14 only where the digit does not stick out."""
    digit = np.full((20, 1), 1e-6)
    digit[ink_row] = 1
    rows = np.flatnonzero(centre_by_mass(digit).any(1))
    assert rows.tolist() == [top + ink_row]

"""Where the geometry puts things: python -m pytest tests/test_warp.py -v"""

import math

import pytest
import torch
from torch import Tensor

from mnist_exp.imaging.geometry import affine, displace, tilt


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))


def dot(row: int, column: int) -> Tensor:
    image = torch.zeros(1, 28, 28)
    image[0, row, column] = 1
    return image


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


def test_slant_leans_and_rise_climbs() -> None:
    assert affine(dot(3, 13), slant=-0.5).sum(1).argmax() > 15  # the top goes right
    assert affine(dot(13, 24), rise=-0.5).sum(2).argmax() < 11  # the right goes up


def test_what_recedes_gets_smaller(x: Tensor) -> None:
    page = torch.ones_like(x)
    receding = tilt(page, about_y=0.4, about_x=0.0)
    assert receding[:, :, -4:].sum() < page[:, :, -4:].sum() / 2
    torch.testing.assert_close(receding[:, :, :4], page[:, :, :4])

"""Geometry for whole batches of digits: every image gets its own transformation, in one call of grid_sample.

Images are float (N, H, W), square; what comes in from outside the frame is 0, the background. Parameters are numbers or
tensors (N,); `dx`, `dy` and `flow` are in pixels, and the other coordinates run from -1 to 1 across the image, x to the
right and y down. Nothing here draws at random: corruptions.py does so from its seeded generator.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def affine(
    x: Tensor,
    *,
    angle: Tensor | float = 0.0,
    slant: Tensor | float = 0.0,
    rise: Tensor | float = 0.0,
    scale_x: Tensor | float = 1.0,
    scale_y: Tensor | float = 1.0,
    dx: Tensor | float = 0.0,
    dy: Tensor | float = 0.0,
    flow: Tensor | None = None,
) -> Tensor:
    """Scale, then shear, rotate and shift each image about its centre.

    `slant` moves points sideways by their height (italics), `rise` moves them up or down by their distance from the
    middle (a baseline that climbs); `angle` is in radians, clockwise; `flow` is applied last, as by `displace`.
    """
    ones = x.new_ones(len(x))
    angle = ones * angle
    rotation = _matrices([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    shear = _matrices([[ones, ones * slant], [ones * rise, ones]])
    linear = rotation @ shear * torch.stack([ones * scale_x, ones * scale_y], dim=-1)[:, None]
    shift = torch.stack([ones * dx, ones * dy], dim=-1)[..., None] * 2 / x.shape[-1]
    last_row = x.new_tensor([0.0, 0.0, 1.0]).expand(len(x), 1, 3)
    return project(x, torch.cat([torch.cat([linear, shift], dim=2), last_row], dim=1), flow=flow)


def tilt(x: Tensor, *, about_y: Tensor | float, about_x: Tensor | float) -> Tensor:
    """Perspective: the right side (`about_y` > 0) or the bottom (`about_x` > 0) recedes; |about_y| + |about_x| < 1."""
    ones = x.new_ones(len(x))
    zeros = torch.zeros_like(ones)
    rows = [[ones, zeros, zeros], [zeros, ones, zeros], [ones * about_y, ones * about_x, ones]]
    return project(x, _matrices(rows))


def project(x: Tensor, matrix: Tensor, *, flow: Tensor | None = None) -> Tensor:
    """Move the points of each image by a homography (N, 3, 3), in homogeneous coordinates; then as `displace` does."""
    start = _grid(x) if flow is None else _grid(x) + flow.flatten(1, 2) * 2 / x.shape[-1]
    points = F.pad(start, (0, 1), value=1.0) @ torch.linalg.inv(matrix).mT  # (N, H * W, 3)
    return _sample(x, points[..., :2] / points[..., 2:])


def displace(x: Tensor, flow: Tensor) -> Tensor:
    """Let each pixel look `flow` (N, H, W, 2) pixels away, x before y."""
    return _sample(x, _grid(x) + flow.flatten(1, 2) * 2 / x.shape[-1])


def _matrices(rows: list[list[Tensor]]) -> Tensor:
    """(N, rows, columns) from entries (N,)."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _grid(x: Tensor) -> Tensor:
    """The pixel centres of the images, (H * W, 2)."""
    size = x.shape[-1]
    centres = (torch.arange(size, device=x.device, dtype=x.dtype) + 0.5) * 2 / size - 1
    return torch.cartesian_prod(centres, centres).flip(-1)


def _sample(x: Tensor, points: Tensor) -> Tensor:
    grid = points.view(*x.shape, 2)
    return F.grid_sample(x[:, None], grid, mode="bilinear", align_corners=False)[:, 0]

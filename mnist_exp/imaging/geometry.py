"""Geometry: rotate, shear, scale, shift and bend whole batches of digits, and centre one digit by its mass.

A batch is float (N, H, W), square. Every image gets its own transformation, in one call of grid_sample. What comes in
from outside the frame is 0, the background. Parameters are numbers, or tensors (N,) with a value for each image. `dx`,
`dy` and `flow` are in pixels. All other coordinates run from -1 to 1 across the image, x to the right and y down.
Nothing here draws at random: the callers do.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
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
    """Scale, then shear, rotate and shift each image about its centre: (N, H, W).

    angle: radians, clockwise.
    slant: how far points move sideways for each unit of y: negative values give italics.
    rise: how far points move down for each unit of x: negative values let the baseline climb.
    flow: (N, H, W, 2), a displacement as in `displace`, applied last, in the same sampling of the image.
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
    """The images as seen from the side: (N, H, W).

    The right side recedes if `about_y` is positive, the bottom if `about_x` is; |about_y| + |about_x| stays below 1.
    """
    ones = x.new_ones(len(x))
    zeros = torch.zeros_like(ones)
    rows = [[ones, zeros, zeros], [zeros, ones, zeros], [ones * about_y, ones * about_x, ones]]
    return project(x, _matrices(rows))


def project(x: Tensor, matrix: Tensor, *, flow: Tensor | None = None) -> Tensor:
    """Move the points of each image by a homography: a matrix (N, 3, 3) on homogeneous coordinates (x, y, 1).

    Returns (N, H, W). `flow` as in `affine`.
    """
    points = _pixel_centres(x) if flow is None else _displaced(x, flow)
    sources = F.pad(points, (0, 1), value=1.0) @ torch.linalg.inv(matrix).mT  # (N, H * W, 3)
    return _sample(x, sources[..., :2] / sources[..., 2:])


def displace(x: Tensor, flow: Tensor) -> Tensor:
    """Let each pixel show what is `flow` (N, H, W, 2) pixels away from it, x before y: (N, H, W)."""
    return _sample(x, _displaced(x, flow))


def _matrices(rows: list[list[Tensor]]) -> Tensor:
    """Matrices (N, rows, columns) from their entries, each (N,)."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _displaced(x: Tensor, flow: Tensor) -> Tensor:
    """The pixel centres moved by `flow` (N, H, W, 2) in pixels: (N, H * W, 2)."""
    return _pixel_centres(x) + flow.flatten(1, 2) * 2 / x.shape[-1]


def _pixel_centres(x: Tensor) -> Tensor:
    """The pixel centres of an image, (H * W, 2), x before y."""
    size = x.shape[-1]
    centres = (torch.arange(size, device=x.device, dtype=x.dtype) + 0.5) * 2 / size - 1
    return torch.cartesian_prod(centres, centres).flip(-1)


def _sample(x: Tensor, points: Tensor) -> Tensor:
    """The images at the points (N, H * W, 2), between pixel centres by bilinear interpolation: (N, H, W)."""
    return F.grid_sample(x[:, None], points.view(*x.shape, 2), mode="bilinear", align_corners=False)[:, 0]


def centre_by_mass(digit: np.ndarray) -> np.ndarray:
    """One digit placed on a black image as MNIST's digits are, with its centre of mass at pixel (14, 14).

    digit: float [height, width], at most 28x28, 0..1, with some ink. Returns uint8 [28, 28]. A digit that would stick
    out of the image is moved back into it.
    """
    size = 28
    image = np.zeros((size, size), np.uint8)
    mass = ndimage.center_of_mass(digit)
    top, left = (round(min(max(size / 2 - m, 0), size - n)) for m, n in zip(mass, digit.shape, strict=True))
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = np.round(255 * digit)
    return image

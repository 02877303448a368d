"""Image filters that augment.py and corruptions.py share: blur, thin, thicken, gaps, grain, smooth noise.

Images are float32 (N, 28, 28) in 0..1, white ink on black. Nothing here draws at random: random numbers are arguments.
A parameter of type Tensor holds one value for each image, with the shape (N, 1, 1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 28  # height and width of every image, in pixels

THIN_BLUR = 0.8  # sigma in pixels: makes one smooth ridge of a stroke, whatever the grey of its edges
FAINT = 0.2  # a pixel is compared with this at least, so that specks and tails fainter than this go too
THIN_SOFTNESS = 0.15  # ink fades over this range below the cut, so that edges stay grey
GAP_SHARPNESS = 8.0  # steepness of the sigmoid at the edges of a gap: from ink to no ink in one or two pixels


def pixel_offsets(device: torch.device | None = None) -> Tensor:
    """The distances of the pixel centres from the middle of the image, in pixels: -13.5 to 13.5, (28,)."""
    return torch.arange(SIZE, device=device) - (SIZE - 1) / 2


def gaussian(distance: Tensor, sigma: float) -> Tensor:
    """The Gaussian of `distance`, 1 at distance 0."""
    return torch.exp(-(distance**2) / (2 * sigma**2))


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with one `sigma` in pixels for all images. White stays white at the border."""
    offsets = pixel_offsets(x.device)
    weights = F.normalize(gaussian(offsets[:, None] - offsets, sigma), p=1, dim=1)
    return weights @ x @ weights.T


def blur_each(x: Tensor, *, sigma_x: Tensor, sigma_y: Tensor) -> Tensor:
    """Gaussian blur with a sigma for each image (N, 1, 1), or one for all (), along x and along y.

    Equal to `blur` up to rounding: its weights come from a softmax, which allows any small sigma.
    """
    offsets = pixel_offsets(x.device)
    squares = (offsets[:, None] - offsets) ** 2
    weights_x, weights_y = (torch.softmax(-squares / (2 * sigma**2), dim=-1) for sigma in (sigma_x, sigma_y))
    return weights_y @ x @ weights_x.mT


def smooth_noise(draws: Tensor, *, sigma: float) -> Tensor:
    """Spread normal draws (N, cells, cells) over the image by Gaussians of `sigma` pixels: (N, 28, 28).

    The mean is 0 and the variance 1, or about 1 if there are fewer cells than pixels.
    """
    cells = draws.shape[-1]
    centres = (torch.arange(cells, device=draws.device) + 0.5) * SIZE / cells - SIZE / 2
    weights = F.normalize(gaussian(pixel_offsets(draws.device)[:, None] - centres, sigma), p=2, dim=1)
    return weights @ draws @ weights.T


def dilate(x: Tensor) -> Tensor:
    """Each pixel becomes the brightest of the 3x3 pixels around it."""
    x = F.pad(x, (1, 1, 1, 1))  # with 0, which is never the brightest; max_pool2d is ten times slower
    x = torch.maximum(torch.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    return torch.maximum(torch.maximum(x[:, :, :-2], x[:, :, 1:-1]), x[:, :, 2:])


def thicken(x: Tensor, amount: Tensor | float) -> Tensor:
    """Strokes with `amount` (0..1) pixels more ink on every side."""
    return torch.lerp(x, dilate(x), amount)


def thin(x: Tensor, cut: Tensor | float, *, blurred: Tensor) -> Tensor:
    """Thinner strokes, which do not break: the middle of a stroke is its own brightest neighbour, and always stays.

    blurred: `x` blurred by THIN_BLUR pixels.
    cut: 0..1. A pixel goes where its blurred value is less than `cut` times the brightest of the 3x3 around it.
    """
    ridge = blurred / dilate(blurred).clamp(min=FAINT)
    return x * ((ridge - cut) / THIN_SOFTNESS + 1).clamp(0, 1)


def break_strokes(x: Tensor, noise: Tensor, threshold: Tensor | float) -> Tensor:
    """Gaps in the strokes where `noise` (N, 28, 28) is below the threshold."""
    return x * torch.sigmoid((noise - threshold) * GAP_SHARPNESS)


def add_grain(x: Tensor, noise: Tensor, depth: Tensor | float) -> Tensor:
    """Paper grain: each pixel loses up to `depth` (0..1) of its ink. `noise` (N, 28, 28) in 0..1 says how much."""
    return x * (1 - depth * noise)


def shrink(x: Tensor, pixels: int) -> Tensor:
    """The images at a lower resolution, (N, pixels, pixels)."""
    return F.interpolate(x[:, None], size=pixels, mode="bilinear", antialias=True)[:, 0]


def enlarge(x: Tensor, *, mode: str = "bilinear") -> Tensor:
    """Square images of any size at 28x28: (N, 28, 28). `mode` as in torch.nn.functional.interpolate."""
    return F.interpolate(x[:, None], size=SIZE, mode=mode)[:, 0]

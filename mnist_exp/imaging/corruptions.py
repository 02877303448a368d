"""Digit images made harder to read: by other hands, pens and cameras, and by the fifteen corruptions of MNIST-C.

    harder = corrupt(images, "fog", severity=3, seed=0)  # uint8 (N, 28, 28) to uint8 (N, 28, 28)

`FAMILIES` lists the names of all corruptions, by family:

mnist_c  the fifteen of Mu and Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision" (2019, arXiv:1906.02337),
         written anew from their parameters (github.com/google-research/mnist-c). They publish one strength of each,
         which is severity 3 here. The images look alike, but are not equal to theirs byte for byte. One effect is left
         out: their zigzag also turns every grey pixel of the digit to white.
hand     how other people write (ours, as are the next two)
pen      what they write with
camera   how the paper gets into the computer

A corruption is a function of three arguments: images (N, 28, 28) in 0..1, white ink on black; its parameter at one
severity, from its `levels`; and the generator it draws from. `corrupt` clamps the result to 0..1 and turns it into
uint8. With one seed the draws are the same at every severity, so that an image gets worse and not different. Only
shot_noise draws differently at each severity.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mnist_exp.imaging.filters import (
    SIZE,
    THIN_BLUR,
    add_grain,
    blur,
    blur_each,
    break_strokes,
    dilate,
    enlarge,
    gaussian,
    shrink,
    smooth_noise,
    thicken,
    thin,
)
from mnist_exp.imaging.geometry import affine, displace, tilt
from mnist_exp.suggestions import did_you_mean

CHUNK = 1000  # images worked on at once: limits the memory to about 150 MB and keeps the work in the processor's cache
ROW = torch.arange(float(SIZE))[:, None]
COLUMN = torch.arange(float(SIZE))[None, :]

Corruption = Callable[[Tensor, Any, Generator], Tensor]
FAMILIES: dict[str, tuple[str, ...]] = {"mnist_c": (), "hand": (), "pen": (), "camera": ()}
_REGISTRY: dict[str, tuple[Corruption, tuple[Any, ...]]] = {}


def corrupt(images: Tensor, name: str, *, severity: int, seed: int) -> Tensor:
    """Return a corrupted copy of the images, uint8 (N, 28, 28), on the same device.

    name: one of those in `FAMILIES`.
    severity: 0 (changes nothing) to 5 (hardest).
    seed: the same seed gives the same bytes. Each image has its own draw, from a generator of the whole batch. So
        corrupt a test set in one call: half of it alone gets other draws. torch's global generator is left alone.

    Raises ValueError for an unknown name, another severity, and images of another dtype or shape.
    """
    if name not in _REGISTRY:
        suggestion = did_you_mean(name, _REGISTRY)
        raise ValueError(f"there is no corruption {name!r}{suggestion or '.'} There are: {', '.join(_REGISTRY)}.")
    if type(severity) is not int or not 0 <= severity <= 5:
        raise ValueError(f"severity is a whole number from 0 (changes nothing) to 5 (hardest), not {severity!r}")
    if images.dtype != torch.uint8 or images.shape[1:] != (SIZE, SIZE):
        raise ValueError(
            f"corrupt takes uint8 images of shape (N, 28, 28), not {images.dtype} of shape {tuple(images.shape)}"
        )
    if severity == 0 or len(images) == 0:
        return images.clone()
    function, levels = _REGISTRY[name]
    generator = torch.Generator().manual_seed(seed)
    chunks = [
        function(chunk.cpu().float() / 255, levels[severity - 1], generator).clamp(0, 1).mul(255).round().byte()
        for chunk in images.split(CHUNK)
    ]
    return torch.cat(chunks).to(images.device)


def corruption(family: str, *, levels: tuple[Any, ...]) -> Callable[[Corruption], Corruption]:
    """Decorator that adds a function to a family under its own name, with its parameters at the severities 1 to 5."""
    assert len(levels) == 5

    def register(function: Corruption) -> Corruption:
        _REGISTRY[function.__name__] = function, levels
        FAMILIES[family] += (function.__name__,)
        return function

    return register


# --- random draws and shapes that several corruptions use ---


def uniform(g: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform draws from `low` to `high`, of the given shape."""
    return low + (high - low) * torch.rand(shape, generator=g)


def random_sign(g: Generator, num: int) -> Tensor:
    """-1.0 or 1.0 for each of `num` images."""
    return torch.randint(2, (num,), generator=g) * 2.0 - 1


def random_smooth_noise(g: Generator, num: int, sigma: float) -> Tensor:
    """Smooth noise (num, 28, 28) of mean 0 and variance 1, correlated over about `sigma` pixels."""
    return smooth_noise(torch.randn(num, SIZE, SIZE, generator=g), sigma=sigma)


def shifted_copies(x: Tensor, angle: Tensor, offsets: Tensor) -> Tensor:
    """The images shifted in directions `angle` (N,) by each of the offsets (K,) in pixels: (K, N, 28, 28)."""
    direction = torch.stack([angle.cos(), angle.sin()], dim=-1)[:, None, None]
    return torch.stack([displace(x, -offset * direction) for offset in offsets])


def line_profile(distance: Tensor) -> Tensor:
    """The white of MNIST-C's drawn lines at a distance in pixels from their middle: 1 at 0, falling to 0 at 1.45."""
    return (1 + torch.log1p(-distance.clamp(max=2.2) / 2.3)).clamp(min=0)


# --- MNIST-C: the third level is the published strength ---


@corruption("mnist_c", levels=(12, 5, 3, 2, 1.3))
def shot_noise(x: Tensor, photons: float, g: Generator) -> Tensor:
    """Too little light: a white pixel catches `photons` on average."""
    return torch.poisson(x * photons, generator=g) / photons


@corruption("mnist_c", levels=(0.06, 0.11, 0.17, 0.25, 0.35))
def impulse_noise(x: Tensor, amount: float, g: Generator) -> Tensor:
    """Salt and pepper: this fraction of the pixels becomes black or white."""
    draw = torch.rand(x.shape, generator=g)
    return x.masked_fill(draw < amount / 2, 0).masked_fill(draw > 1 - amount / 2, 1)


@corruption("mnist_c", levels=((0.5, 1), (0.6, 1), (0.7, 2), (0.8, 3), (0.9, 4)))
def glass_blur(x: Tensor, level: tuple[float, int], g: Generator) -> Tensor:
    """Frosted glass: blur, let pixels change places with a neighbour, and blur again.

    The pixels take their turns from the lower right to the upper left, so that some travel far. As in MNIST-C, the
    neighbours are those above and to the left, and both blurs only go up and down: scikit-image was told that the last
    axis, here the columns, holds colours.

    level: sigma of both blurs, how many turns each pixel has.
    """
    sigma, turns = level
    sigmas = {"sigma_x": torch.tensor(0.01), "sigma_y": torch.tensor(sigma)}
    pixels = blur_each(x, **sigmas).flatten(1).T.contiguous()  # (784, N)
    steps = torch.tensor([0, 0, 0, 0, 0, 1, SIZE, SIZE + 1])  # back to the other pixel; 0 for five in eight: no change
    for row in [*range(SIZE - 1, 1, -1)] * turns:
        chosen = steps[torch.randint(len(steps), (SIZE, len(x)), generator=g)]
        for column in range(SIZE - 1, 1, -1):
            here = row * SIZE + column
            other = (here - chosen[column])[None]
            before = pixels[here].clone()
            pixels[here] = pixels.gather(0, other)[0]
            pixels.scatter_(0, other, before[None])
    return blur_each(pixels.T.reshape(x.shape), **sigmas)


@corruption("mnist_c", levels=(1.5, 2.2, 3, 3.7, 4.5))
def motion_blur(x: Tensor, sigma: float, g: Generator) -> Tensor:
    """The digit is smeared to one side by half a Gaussian of `sigma` pixels, at up to 45 degrees from level."""
    offsets = torch.arange(math.ceil(2.5 * sigma) + 1.0)
    weights = F.normalize(gaussian(offsets, sigma), p=1, dim=0)
    trail = shifted_copies(x, uniform(g, -math.pi / 4, math.pi / 4, len(x)), -offsets)
    return torch.tensordot(weights, trail, dims=1)


@corruption("mnist_c", levels=(0.15, 0.28, 0.4, 0.55, 0.7))
def shear(x: Tensor, angle: float, g: Generator) -> Tensor:
    """Italics, to the left or to the right: upright strokes lean by `angle` in radians.

    They also grow higher by 1 / cos(angle), as MNIST-C's do: scikit-image kept the width of a stroke, not its height.
    """
    return affine(x, slant=math.sin(angle) * random_sign(g, len(x)), scale_y=1 / math.cos(angle))


@corruption("mnist_c", levels=(0.9, 0.8, 0.7, 0.6, 0.5))
def scale(x: Tensor, factor: float, _: Generator) -> Tensor:
    """Smaller, with the aspect kept."""
    return affine(x, scale_x=factor, scale_y=factor)


@corruption("mnist_c", levels=(0.13, 0.27, 0.4, 0.55, 0.7))
def rotate(x: Tensor, radians: float, g: Generator) -> Tensor:
    """Turned clockwise or counterclockwise."""
    return affine(x, angle=radians * random_sign(g, len(x)))


@corruption("mnist_c", levels=(0.2, 0.35, 0.5, 0.65, 0.8))
def brightness(x: Tensor, added: float, _: Generator) -> Tensor:
    """Every pixel gets whiter by the same amount."""
    return x + added


@corruption("mnist_c", levels=(1, 2, 3, 4, 5))
def translate(x: Tensor, pixels: int, g: Generator) -> Tensor:
    """Shift towards one of the four corners."""
    return affine(x, dx=pixels * random_sign(g, len(x)), dy=pixels * random_sign(g, len(x)))


@corruption("mnist_c", levels=(3, 5, 7, 8, 9))
def stripe(x: Tensor, width: int, _: Generator) -> Tensor:
    """The leftmost and the rightmost `width` columns are inverted."""
    return torch.where((COLUMN - (SIZE - 1) / 2).abs() > SIZE / 2 - width, 1 - x, x)


@corruption("mnist_c", levels=(1, 2, 3, 4, 5))
def fog(x: Tensor, thickness: float, g: Generator) -> Tensor:
    """Fog up to `thickness` times as bright as white, then darkened until white is as white as before."""
    white = x.amax((1, 2), keepdim=True)
    return (x + thickness * plasma(g, len(x))) * white / (white + thickness)


def plasma(g: Generator, num: int) -> Tensor:
    """MNIST-C's clouds, 0 to 1: the corners (num, 28, 28) of maps of 256x256 pixels by the diamond-square algorithm.

    Fournier, Fussell and Carpenter, "Computer rendering of stochastic models" (1982). Each map repeats at its borders.
    """
    grid = torch.zeros(num, 1, 1)
    for octave in range(8):
        if octave == 5:  # the lightest and the darkest of 32x32 points. From here on, only the corner is needed
            low, high = grid.amin((1, 2), keepdim=True), grid.amax((1, 2), keepdim=True)
            grid = grid.roll((2, 2), (1, 2))[:, :8, :8]  # two points on each side: at the new borders it is wrong
        grid = refine(grid, 1.96**-octave, g)
    return ((grid[:, 16 : 16 + SIZE, 16 : 16 + SIZE] - low) / (high - low)).clamp(0, 1)


def refine(grid: Tensor, amplitude: float, g: Generator) -> Tensor:
    """One step of the diamond-square algorithm: (N, size, size) to (N, 2 * size, 2 * size).

    Each new point is the mean of its four neighbours and up to `amplitude` more or less.
    """

    def mean(*points: Tensor) -> Tensor:
        return torch.stack(points).mean(0) + uniform(g, -amplitude, amplitude, *grid.shape)

    right, below = grid.roll(-1, 2), grid.roll(-1, 1)
    middle = mean(grid, right, below, right.roll(-1, 1))
    upper = mean(grid, right, middle, middle.roll(1, 1))
    left = mean(grid, below, middle, middle.roll(1, 2))
    rows = torch.stack([grid, upper], dim=3).flatten(2), torch.stack([left, middle], dim=3).flatten(2)
    return torch.stack(rows, dim=2).flatten(1, 2)


@corruption("mnist_c", levels=(0.6, 0.3, 0, -0.2, -0.4))
def spatter(x: Tensor, threshold: float, g: Generator) -> Tensor:
    """Blots of mud, a quarter white, where smooth noise is above the threshold."""
    mud = blur((random_smooth_noise(g, len(x), 1.0) > threshold).float(), 1.5)
    mud = mud * (mud >= 0.8)  # drops small blots and the soft edges of large ones
    return x * (1 - mud) + 0.25 * mud


@corruption("mnist_c", levels=((0.35, 1), (0.65, 1), (1.0, 1), (1.0, 2), (1.0, 3)))
def dotted_line(x: Tensor, level: tuple[float, int], g: Generator) -> Tensor:
    """Dotted lines from the left edge to the right one. level: how white, how many."""
    opacity, count = level
    start, end = uniform(g, 0, SIZE - 2, 2, len(x), 3, 1, 1)
    dots = COLUMN % 4 >= 2  # two columns of four
    line = line_profile((ROW - start - (end - start) * COLUMN / (SIZE - 1)).abs()) * dots
    return x + opacity * line[:, :count].amax(1)


@corruption("mnist_c", levels=((0.35, 1), (0.65, 1), (1.0, 1), (1.0, 2), (1.0, 3)))
def zigzag(x: Tensor, level: tuple[float, int], g: Generator) -> Tensor:
    """Zigzag lines, 2 pixels up and down with a period of 8, on a slightly tilted base. level: how white, how many."""
    opacity, count = level
    left, width = 2, 23  # the base goes from column 2 to column 25, and 5 rows up or down at most
    start = uniform(g, 0, SIZE - 2, len(x), 3, 1, 1)
    angle = torch.atan(uniform(g, -5, 5, len(x), 3, 1, 1) / width)
    along = (COLUMN - left) * angle.cos() + (ROW - start) * angle.sin()
    across = (ROW - start) * angle.cos() - (COLUMN - left) * angle.sin()
    wave = ((along - 2) % 8 - 4).abs() - 2
    line = line_profile((across - wave).abs()) * (along >= 0) * (along * angle.cos() <= width)
    return x + opacity * line[:, :count].amax(1)


@corruption("mnist_c", levels=((0.4, 1.0), (0.7, 1.0), (1.0, 1.0), (1.0, 1.4), (1.0, 1.8)))
def canny_edges(x: Tensor, level: tuple[float, float], _: Generator) -> Tensor:
    """Canny's edge detector in place of the digit.

    level: the fraction of the edges in a mix with the digit, sigma of the detector's blur.
    """
    fraction, sigma = level
    smooth = torch.tensor([1.0, 2.0, 1.0])
    slope = torch.outer(smooth, torch.tensor([-1.0, 0.0, 1.0]))  # Sobel's kernel
    dx, dy = F.conv2d(blur(x, sigma)[:, None], torch.stack([slope, slope.T])[:, None], padding=1).unbind(1)
    strength = torch.hypot(dx, dy)

    direction = (torch.atan2(dy, dx) * 4 / math.pi).round() % 4  # of the gradient: level, falling, upright, rising
    strongest = torch.zeros_like(x, dtype=torch.bool)  # of the pixels in the direction of the gradient
    for number, step in enumerate([(0, 1), (1, 1), (1, 0), (1, -1)]):
        before, after = strength.roll(step, (1, 2)), strength.roll((-step[0], -step[1]), (1, 2))
        strongest |= (direction == number) & (strength > before) & (strength >= after)

    weak_edge, strong_edge = 0.1, 0.2  # scikit-image's thresholds
    weak = (strongest & (strength > weak_edge)).float()
    edges = weak * (strength > strong_edge)
    for _round in range(10):  # a weak edge counts if it touches a strong one, or another weak one that counts
        edges = dilate(edges) * weak
    return torch.lerp(x, edges, fraction)


# --- hand: how other people write ---


@corruption("hand", levels=(10, 18, 26, 34, 42))
def hand_rotation(x: Tensor, degrees: float, g: Generator) -> Tensor:
    """The paper lies askew, by up to `degrees`."""
    return affine(x, angle=math.radians(degrees) * uniform(g, -1, 1, len(x)))


@corruption("hand", levels=(0.2, 0.35, 0.5, 0.65, 0.8))
def hand_slant(x: Tensor, slope: float, g: Generator) -> Tensor:
    """Italics: upright strokes lean to the right, or in some hands to the left."""
    return affine(x, slant=slope * uniform(g, -1, 0.5, len(x)))


@corruption("hand", levels=(0.15, 0.27, 0.4, 0.53, 0.65))
def hand_climb(x: Tensor, slope: float, g: Generator) -> Tensor:
    """Level strokes climb or fall, upright ones stay upright: a shear the other way."""
    return affine(x, rise=slope * uniform(g, -1, 1, len(x)))


@corruption("hand", levels=(1.1, 1.2, 1.35, 1.5, 1.7))
def hand_size(x: Tensor, factor: float, g: Generator) -> Tensor:
    """Small or large, narrow or wide: width and height are each divided by up to `factor` or multiplied by its root."""
    scale_x, scale_y = factor ** uniform(g, -1, 0.5, 2, len(x))
    return affine(x, scale_x=scale_x, scale_y=scale_y)


@corruption("hand", levels=(0.5, 0.85, 1.2, 1.55, 1.9))
def hand_elastic(x: Tensor, pixels: float, g: Generator) -> Tensor:
    """An unsteady hand: smooth random displacements with this standard deviation (Simard et al. 2003)."""
    bend_x, bend_y = (random_smooth_noise(g, len(x), sigma=3.5) for _ in range(2))
    return displace(x, pixels * torch.stack([bend_x, bend_y], dim=-1))


# --- pen: what they write with ---


@corruption("pen", levels=(0.65, 0.75, 0.83, 0.9, 0.95))
def pen_thin(x: Tensor, cut: float, _: Generator) -> Tensor:
    """A fine tip: strokes keep what is at least `cut` times as white as their middle."""
    return thin(x, cut, blurred=blur(x, THIN_BLUR))


@corruption("pen", levels=(0.3, 0.6, 1.0, 1.4, 1.8))
def pen_thick(x: Tensor, pixels: float, _: Generator) -> Tensor:
    """A felt tip: this many pixels more ink on every side."""
    return dilate(thicken(x, pixels - 1)) if pixels > 1 else thicken(x, pixels)


@corruption("pen", levels=((0.2, 0.9), (0.4, 0.8), (0.6, 0.7), (0.8, 0.6), (0.95, 0.5)))
def pen_pencil(x: Tensor, level: tuple[float, float], g: Generator) -> Tensor:
    """Grey, and the paper's grain shows through. level: depth of the grain, darkness of the lead."""
    depth, lead = level
    return add_grain(x * lead, torch.rand(x.shape, generator=g), depth)


@corruption("pen", levels=(-1.9, -1.6, -1.3, -1.0, -0.7))
def pen_broken(x: Tensor, threshold: float, g: Generator) -> Tensor:
    """A ball pen that skips, where smooth noise is below the threshold."""
    return break_strokes(x, random_smooth_noise(g, len(x), 1.0), threshold)


@corruption("pen", levels=(0.4, 0.8, 1.2, 1.6, 2))
def pen_fountain(x: Tensor, half_width: float, g: Generator) -> Tensor:
    """A broad nib held at about 45 degrees: strokes along its edge are thin, strokes across it wide."""
    angle = uniform(g, -60, -30, len(x)).deg2rad()
    thin_strokes = thin(x, 0.7, blurred=blur(x, THIN_BLUR))
    return shifted_copies(thin_strokes, angle, torch.linspace(-half_width, half_width, 9)).amax(0)


# --- camera: how the paper gets into the computer ---


@corruption("camera", levels=(0.05, 0.1, 0.17, 0.25, 0.35))
def camera_noise(x: Tensor, std: float, g: Generator) -> Tensor:
    """Sensor noise, the same on ink and paper."""
    return x + std * torch.randn(x.shape, generator=g)


@corruption("camera", levels=(0.8, 1.2, 1.7, 2.2, 2.8))
def camera_defocus(x: Tensor, radius: float, _: Generator) -> Tensor:
    """Out of focus: each point becomes a disc of `radius` pixels."""
    offsets = torch.arange(-3.0, 4.0)
    disc = (radius + 0.5 - torch.hypot(offsets[:, None], offsets)).clamp(0, 1)
    return F.conv2d(x[:, None], (disc / disc.sum())[None, None], padding=3)[:, 0]


@corruption("camera", levels=(2, 3, 4, 5.5, 7))
def camera_motion(x: Tensor, pixels: float, g: Generator) -> Tensor:
    """A shaken camera: a straight smear of this length in any direction."""
    return shifted_copies(x, uniform(g, 0, math.pi, len(x)), torch.linspace(-pixels / 2, pixels / 2, 9)).mean(0)


# JPEG's quantisation steps for grey values at quality 50 (ITU-T T.81, table K.1).
JPEG_STEPS = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


@corruption("camera", levels=(40, 25, 15, 8, 4))
def camera_jpeg(x: Tensor, quality: int, _: Generator) -> Tensor:
    """JPEG at a quality below 50 on libjpeg's scale: blocks of 8x8 pixels as sums of cosines, with rounded amounts."""
    steps = (JPEG_STEPS * 50 / quality + 0.5).floor().clamp(max=255)
    cosines = torch.cos(torch.arange(8.0)[:, None] * (torch.arange(8.0) + 0.5) * math.pi / 8) / 2
    cosines[0] /= math.sqrt(2)
    padded = F.pad(x[:, None], (0, 4, 0, 4), mode="replicate")[:, 0] * 255 - 128
    blocks = padded.unflatten(2, (4, 8)).unflatten(1, (4, 8)).transpose(2, 3)  # (N, 4, 4, 8, 8)
    amounts = (cosines @ blocks @ cosines.T / steps).round() * steps
    blocks = cosines.T @ amounts @ cosines
    return blocks.transpose(2, 3).reshape(-1, 32, 32)[:, :SIZE, :SIZE].add(128) / 255


@corruption("camera", levels=(0.15, 0.3, 0.45, 0.6, 0.75))
def camera_light(x: Tensor, depth: float, g: Generator) -> Tensor:
    """A shadow: the paper loses up to `depth` of its light towards one side. White on black, it gets whiter there."""
    angle = uniform(g, 0, 2 * math.pi, len(x), 1, 1)
    ramp = ((COLUMN - 13.5) * angle.cos() + (ROW - 13.5) * angle.sin()) / 27 + 0.5
    return 1 - (1 - depth * ramp.clamp(0, 1)) * (1 - x)


@corruption("camera", levels=(0.7, 0.5, 0.35, 0.25, 0.15))
def camera_contrast(x: Tensor, contrast: float, g: Generator) -> Tensor:
    """Faint ink on grey paper: everything moves towards one grey, so that only `contrast` of the contrast is left."""
    grey = uniform(g, 0.2, 0.6, len(x), 1, 1)
    return torch.lerp(grey, x, contrast)


@corruption("camera", levels=(0.15, 0.24, 0.33, 0.41, 0.49))
def camera_perspective(x: Tensor, most: float, g: Generator) -> Tensor:
    """The paper is seen from the side. At 1, its far edge would be infinitely far away."""
    about_y, about_x = most * uniform(g, -1, 1, 2, len(x))
    return tilt(x, about_y=about_y, about_x=about_x)


@corruption("camera", levels=(20, 16, 12, 10, 8))
def camera_lowres(x: Tensor, pixels: int, _: Generator) -> Tensor:
    """From far away: `pixels` high and wide, then enlarged again."""
    return enlarge(shrink(x, pixels))

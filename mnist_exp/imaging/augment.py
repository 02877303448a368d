"""Training images as other hands, pens, papers and cameras would have made them.

    harder = Handwriting()(images, labels)  # uint8 (B, 28, 28) to uint8 (B, 28, 28)

It works on whole batches, on their own device, in plain torch. Every image has its own random draws. They come from
torch's global generator, which `SeedEveryEpoch` seeds. Some images are replaced by digits drawn from strokes, in forms
that MNIST lacks. A few images stay as they are. All others are changed in geometry. Each of the other effects changes a
random fraction of the batch, so that most images get a few effects and some get none.

An effect is a function of float images (N, 28, 28) in 0..1, white ink on black. Its result may go beyond 0..1, and is
clamped at the end. The range of each draw goes from hardly visible to hardly readable. What each part is worth was
measured by leaving it out (docs/real-world.md).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mnist_exp.imaging.filters import (
    SIZE,
    THIN_BLUR,
    add_grain,
    blur_each,
    break_strokes,
    dilate,
    enlarge,
    pixel_offsets,
    shrink,
    smooth_noise,
    thicken,
    thin,
)
from mnist_exp.imaging.geometry import affine
from mnist_exp.imaging.strokes import BOX, draw_digits, uniform

INK = 0.3  # a row or column with a pixel above this counts as part of the digit
NARROWEST = 7  # pixels: narrower digits, such as 1, are stretched as if they were so wide, by a factor of 3 at most
MORE_ONES = 4  # a 1 is drawn so many times as often as another digit
BEND_CELLS = 5  # the elastic displacement is drawn on 5x5 points, so that it bends a stroke once or twice
NIB_EDGES = ((1, -1), (1, 1), (0, 1), (1, 0))  # directions of a broad nib's edge, in rows and columns

Effect = Callable[[Tensor], Tensor]


class Handwriting:
    """Augmentation of a batch: geometry for all images, other effects for a fraction of them.

    strength: 0 changes nothing, 1 is the recipe; scales the geometry and all fractions.
    drawn: fraction replaced by a digit of the same label that is drawn from strokes (strokes.py); of the ones, four
        times as many, because MNIST has hardly any with a flag.
    geometry: how far to rotate, slant, scale and shift; 1 is up to 20 degrees and 3 pixels.
    elastic: standard deviation in pixels of a smooth random displacement.
    stretch: fraction of the digits stretched to fill their box.
    squeeze: fraction made narrower, by up to a half. In MNIST only 1 is narrow; elsewhere every digit may be. A 7 is
        made narrower by a quarter at most: a narrow 7 looks like a 1 with a flag.
    pen: fraction of the digits written with a thinner, thicker or broader pen.
    ink: fraction that is faint, grainy, broken or hollow.
    camera: fraction that is blurred, of low resolution, noisy or badly lit.
    paper: fraction with lines, blots or covered parts.
    unchanged: fraction left as MNIST has them, whatever the strength.
    without: one of the parts above to leave out, to measure what it is worth; or relatives, the effects that resemble
        corruptions of MNIST-C: noise and dust, outlines, stray lines and covered parts.

    Raises ValueError if `without` names none of these.
    """

    def __init__(
        self,
        *,
        strength: float = 1.0,
        drawn: float = 0.1,
        geometry: float = 1.0,
        elastic: float = 0.5,
        stretch: float = 0.2,
        squeeze: float = 0.25,
        pen: float = 0.6,
        ink: float = 0.3,
        camera: float = 0.4,
        paper: float = 0.25,
        unchanged: float = 0.1,
        without: str | None = None,
    ) -> None:
        parts = {
            "drawn": drawn, "geometry": geometry, "elastic": elastic, "stretch": stretch, "squeeze": squeeze,
            "pen": pen, "ink": ink, "camera": camera, "paper": paper,
        }  # fmt: skip
        if without not in (None, *parts, "relatives"):
            raise ValueError(f"augment.without is one of {', '.join(parts)}, relatives, or null, not {without!r}")
        parts = {part: strength * value * (part != without) for part, value in parts.items()}
        self.drawn, self.geometry, self.elastic = parts["drawn"], parts["geometry"], parts["elastic"]
        self.stretch, self.squeeze = parts["stretch"], parts["squeeze"]
        self.unchanged = unchanged
        # (fraction of the batch, {effect: its portion of that fraction}); the pen writes before the paper is turned
        self.pens: tuple[float, dict[Effect, float]] = (parts["pen"], {fine_pen: 0.6, felt_pen: 0.2, broad_nib: 0.2})
        self.effects: list[tuple[float, dict[Effect, float]]] = [
            (parts["ink"], {faint_ink: 0.4, paper_grain: 0.2, skipping_pen: 0.2, outline: 0.2}),
            (parts["camera"], {out_of_focus: 0.25, low_resolution: 0.3, noise_and_dust: 0.25, uneven_light: 0.2}),
            (parts["paper"], {stray_line: 0.6, covered_part: 0.4}),
        ]
        if without == "relatives":
            self.effects = [
                (fraction, {effect: portion for effect, portion in effects.items() if effect not in RELATIVES})
                for fraction, effects in self.effects
            ]

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """An augmented copy of the images, uint8 (B, 28, 28). Labels: int64 (B,)."""
        if not len(images):
            return images
        with torch.autocast(images.device.type, enabled=False):  # a trainer in bf16-mixed would make it bfloat16
            x = images.float() / 255
            share = self.drawn * torch.where(labels == 1, MORE_ONES, 1)
            replaced = (torch.rand(len(x), device=x.device) < share).nonzero()[:, 0]
            x[replaced] = draw_digits(labels[replaced])
            x = apply_one_of(x, *self.pens)
            x = self.change_geometry(x, labels)
            for fraction, effects in self.effects:
                x = apply_one_of(x, fraction, effects)
        augmented = x.clamp(0, 1).mul(255).round().byte()
        return torch.where(torch.rand(len(x), 1, 1, device=x.device) < self.unchanged, images, augmented)

    def change_geometry(self, x: Tensor, labels: Tensor) -> Tensor:
        """Rotate, shear, scale, shift and bend all images, in one sampling: a second one would blur them more."""

        def draw(low: float, high: float) -> Tensor:
            return uniform(x, low, high).flatten() * self.geometry

        scale_x, scale_y = draw(-0.25, 0.2).exp(), draw(-0.25, 0.2).exp()  # factors of 0.78 to 1.22
        self.change_width(x, labels, scale_x, scale_y)
        angle = draw(-0.35, 0.35)  # radians: 20 degrees
        slant = draw(-0.4, 0.3)  # more to the right than to the left, as people write
        rise = draw(-0.15, 0.15)  # of the baseline
        dx, dy = draw(-3, 3), draw(-3, 3)  # pixels: MNIST's margin is 4
        flow = self.elastic * torch.stack([bend(x), bend(x)], dim=-1) if self.elastic else None
        return affine(x, angle=angle, slant=slant, rise=rise, scale_x=scale_x, scale_y=scale_y, dx=dx, dy=dy, flow=flow)

    def change_width(self, x: Tensor, labels: Tensor, scale_x: Tensor, scale_y: Tensor) -> None:
        """Stretch some digits in their box and squeeze others: changes the factors `scale_x` and `scale_y` (N,)."""
        choice = torch.rand(len(x), device=x.device)  # low: stretched, high: squeezed, so that no digit is both
        chosen = (choice < self.stretch).nonzero()[:, 0]
        for scale, dim in ((scale_x, 1), (scale_y, 2)):
            extent = uniform(chosen, 0, 1.5).flatten().clamp(max=1)  # 1 fills the box, which a third of them do
            scale[chosen] *= factor_to_fill_box(x[chosen].amax(dim)) ** extent
        narrower = uniform(x, 0.5, 1).flatten()
        narrower = torch.where(labels == 7, (1 + narrower) / 2, narrower)
        scale_x *= torch.where(choice > 1 - self.squeeze, narrower, 1)


def apply_one_of(x: Tensor, fraction: float, effects: dict[Effect, float]) -> Tensor:
    """A copy of the images in which at most one of the effects is applied to each.

    fraction: how many of the images get an effect, 0..1.
    effects: each effect with its portion of that fraction; the portions add up to 1 at most.
    """
    choice = torch.rand(len(x), device=x.device) / fraction if fraction else torch.ones(len(x), device=x.device)
    x = x.clone()
    low = 0.0
    for effect, portion in effects.items():
        chosen = ((choice >= low) & (choice < low + portion)).nonzero()[:, 0]
        if len(chosen):
            x[chosen] = effect(x[chosen])
        low += portion
    return x


# --- random draws and measures that several effects use ---


def random_smooth_noise(x: Tensor, cells: int) -> Tensor:
    """Smooth noise (N, 28, 28) of mean 0 and variance about 1, from `cells` times `cells` normal draws an image."""
    draws = torch.randn(len(x), cells, cells, device=x.device)
    return smooth_noise(draws, sigma=0.6 * SIZE / cells)  # the Gaussians of neighbouring cells overlap


def bend(x: Tensor) -> Tensor:
    """Displacements of an unsteady hand along one axis, (N, 28, 28), with a standard deviation of about 1."""
    return random_smooth_noise(x, BEND_CELLS)


def factor_to_fill_box(profile: Tensor) -> Tensor:
    """The factor (N,) by which to scale a digit so that it spans the box of 20 pixels: 1 or more.

    profile: the brightest pixel of each column, or of each row: (N, 28).
    """
    span = (profile > INK).sum(1)
    return (BOX / span.clamp(min=NARROWEST)).clamp(min=1)


# --- pens ---


def thin_strokes(x: Tensor, cut: Tensor) -> Tensor:
    sigma = torch.tensor(THIN_BLUR, device=x.device)
    return thin(x, cut, blurred=blur_each(x, sigma_x=sigma, sigma_y=sigma))


def fine_pen(x: Tensor) -> Tensor:
    """A ball pen or pencil: a line of a pixel or two."""
    return thin_strokes(x, uniform(x, 0.65, 0.98))


def felt_pen(x: Tensor) -> Tensor:
    """A felt tip or marker: up to one and a half pixels more ink on every side."""
    more = uniform(x, 0.2, 1.5)
    return thicken(thicken(x, more.clamp(max=1)), (more - 1).clamp(min=0))


def broad_nib(x: Tensor) -> Tensor:
    """A broad nib: strokes across its edge are wide, strokes along it are thin."""
    strokes = thin_strokes(x, uniform(x, 0.7, 0.95))
    edges = [torch.maximum(strokes.roll((i, j), (1, 2)), strokes.roll((-i, -j), (1, 2))) for i, j in NIB_EDGES]
    chosen = torch.randint(len(edges), (len(x),), device=x.device)
    sides = torch.stack(edges)[chosen, torch.arange(len(x), device=x.device)]
    ink_at_sides = uniform(x, 0.4, 1)
    return torch.maximum(strokes, sides * ink_at_sides)


# --- ink ---


def faint_ink(x: Tensor) -> Tensor:
    """A light hand, or a hard pencil."""
    ink = uniform(x, 0.2, 0.9)
    return x * ink


def paper_grain(x: Tensor) -> Tensor:
    """The paper's grain shows through."""
    depth = uniform(x, 0.2, 0.9)
    return add_grain(x, torch.rand_like(x), depth)


def skipping_pen(x: Tensor) -> Tensor:
    """A pen that skips, over spots of 2 to 3 pixels."""
    noise = random_smooth_noise(x, cells=12)
    threshold = uniform(x, -2, -0.8)  # standard deviations: gaps take 2% to 20% of the strokes
    return break_strokes(x, noise, threshold)


def outline(x: Tensor) -> Tensor:
    """Only the outline of the strokes."""
    removed = uniform(x, 0.6, 1)  # of the ink inside
    return (dilate(x) - x * removed).clamp(min=0)


# --- camera ---


def out_of_focus(x: Tensor) -> Tensor:
    """Blurred, with an own sigma in pixels along x and y: the camera was out of focus, or moved."""
    sigma_x, sigma_y = uniform(x, 0.3, 2), uniform(x, 0.3, 2)
    return blur_each(x, sigma_x=sigma_x, sigma_y=sigma_y)


def low_resolution(x: Tensor) -> Tensor:
    """A low resolution, one for the batch: grey or black and white, enlarged smoothly or as blocks."""
    pixels = int(torch.randint(9, 33, (1,)))
    small = shrink(x, pixels)
    threshold = uniform(x, 0.2, 0.5)  # of the brightest pixel
    bitmap = (small > threshold * small.amax((1, 2), keepdim=True)).float()
    is_bitmap = torch.rand(len(x), 1, 1, device=x.device) < 0.5
    small = torch.where(is_bitmap, bitmap, small)
    blocks = enlarge(small, mode="nearest-exact")
    smooth = enlarge(small)
    is_blocks = torch.randint(0, 2, (len(x), 1, 1), device=x.device).float()
    return torch.lerp(smooth, blocks, is_blocks)


def noise_and_dust(x: Tensor) -> Tensor:
    """Noise of the sensor, and specks of dust, black and white."""
    noise_level = uniform(x, 0, 0.2)
    x = x + noise_level * torch.randn_like(x)
    draw = torch.rand_like(x)
    speck = draw / uniform(x, 0.01, 0.2)  # below 1 on 1% to 20% of the pixels
    return torch.where(speck < 1, (speck < 0.5).float(), x)


def uneven_light(x: Tensor) -> Tensor:
    """Grey paper, a shadow across it, and less contrast."""
    grey, shadow = uniform(x, 0, 0.6), uniform(x, 0, 0.25)
    paper = grey + shadow * random_smooth_noise(x, cells=4)
    covering, ink = uniform(x, 0, 1), uniform(x, 0.3, 1)  # covering: how much of the paper's grey the ink hides
    return paper + (1 - paper * covering) * ink * x


# --- paper ---


def stray_line(x: Tensor) -> Tensor:
    """A piece of a line, printed or scribbled: about level or upright, straight or wavy, whole or dashed."""
    quarter_turns, skew = uniform(x, 0, 4).floor(), uniform(x, -0.25, 0.25)
    angle = quarter_turns * math.pi / 2 + skew
    column, row = pixel_offsets(x.device), pixel_offsets(x.device)[:, None]
    along = column * angle.cos() + row * angle.sin()
    across = row * angle.cos() - column * angle.sin()

    wave_height = uniform(x, -2, 3).clamp(min=0)  # pixels; 0, a straight line, for two of five
    wave_number = uniform(x, 0.2, 1)  # radians a pixel: a wave is 6 to 31 pixels long
    phase = angle * 9  # any number that differs from image to image
    across = across + wave_height * torch.sin(along * wave_number + phase)

    half_width, position = uniform(x, 0.3, 2), uniform(x, -SIZE / 2, SIZE / 2)
    line = (half_width + 0.5 - (across - position).abs()).clamp(0, 1)
    start = uniform(x, -30, 10)  # three of five lines begin inside the image
    is_dashed = uniform(x, 0, 1) < 0.3
    gaps = (along % 4 < 2) & is_dashed
    ink = uniform(x, 0.3, 1)
    return torch.maximum(x, line * ink * (along > start) * ~gaps)


def covered_part(x: Tensor) -> Tensor:
    """A rectangle that is wiped clean, inverted or painted over in grey."""
    inside = torch.ones_like(x, dtype=torch.bool)
    for offsets in (pixel_offsets(x.device), pixel_offsets(x.device)[:, None]):
        centre, half_size = uniform(x, -SIZE / 2, SIZE / 2), uniform(x, 0, 2.2).exp()  # 1 to 9 pixels, mostly few
        inside = inside & ((offsets - centre).abs() < half_size)
    kind = uniform(x, 0, 1)  # half are wiped clean, a quarter inverted, a quarter painted in a grey of 0.75 to 1
    content = torch.where(kind < 0.5, torch.zeros_like(x), torch.where(kind < 0.75, 1 - x, kind))
    return torch.where(inside, content, x)


# of dotted_line, zigzag, stripe, canny_edges, shot_noise and impulse_noise in MNIST-C
RELATIVES = (noise_and_dust, outline, stray_line, covered_part)

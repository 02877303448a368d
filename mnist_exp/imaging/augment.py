"""Training images as other hands, pens, papers and cameras would have made them.

    harder = Handwriting()(images)  # uint8 (B, 28, 28) to uint8 (B, 28, 28)

Whole batches on their own device, in plain torch, with a draw for each image; the draws come from torch's global
generator, which `SeedEveryEpoch` seeds. Every effect works on a random share of the batch, so each image gets a few and
some get none but the geometry. Images are float (N, 28, 28) in 0..1 between the effects, white ink on black.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_exp.imaging.corruptions import SIZE, dilate
from mnist_exp.imaging.geometry import affine

NIB_EDGES = ((1, -1), (1, 1), (0, 1), (1, 0))  # the directions, in rows and columns, that a broad nib may have
Effect = Callable[[Tensor], Tensor]


class Handwriting:
    """Augmentation of a batch: geometry for all images, other effects for shares of it.

    strength: 0 changes nothing, 1 is the recipe; scales the geometry and all shares.
    geometry: how far to rotate, slant, scale and shift; 1 is up to 20 degrees and 3 pixels.
    elastic: standard deviation in pixels of a smooth random displacement.
    stretch: share of the digits stretched to fill their box.
    squeeze: share made narrower, by up to a half: in MNIST hardly a digit but 1 is narrow, elsewhere all are.
    pen: share of the digits written with a thinner, thicker or broader pen.
    ink: share that is faint, grainy, broken or hollow.
    camera: share that is blurred, of low resolution, noisy or badly lit.
    paper: share with lines, blots or covered parts.
    without: one of these parts to leave out, to learn what it is worth.

    Raises ValueError where there is no such part.
    """

    def __init__(
        self,
        *,
        strength: float = 1.0,
        geometry: float = 1.0,
        elastic: float = 0.5,
        stretch: float = 0.2,
        squeeze: float = 0.25,
        pen: float = 0.6,
        ink: float = 0.3,
        camera: float = 0.4,
        paper: float = 0.2,
        without: str | None = None,
    ) -> None:
        parts = {
            "geometry": geometry, "elastic": elastic, "stretch": stretch, "squeeze": squeeze,
            "pen": pen, "ink": ink, "camera": camera, "paper": paper,
        }  # fmt: skip
        if without not in (None, *parts):
            raise ValueError(f"augment.without is one of {', '.join(parts)}, or null, not {without!r}")
        parts = {part: strength * value * (part != without) for part, value in parts.items()}
        self.geometry, self.elastic = parts["geometry"], parts["elastic"]
        self.stretch, self.squeeze = parts["stretch"], parts["squeeze"]
        self.pens: tuple[float, dict[Effect, float]] = (parts["pen"], {fine: 0.6, felt: 0.2, nib: 0.2})
        self.effects: list[tuple[float, dict[Effect, float]]] = [  # (share, {effect: its part of that share})
            (parts["ink"], {faint: 0.5, grain: 0.2, broken: 0.2, hollow: 0.1}),
            (parts["camera"], {soften: 0.25, coarsen: 0.3, noise: 0.25, light: 0.2}),
            (parts["paper"], {rule: 0.6, cover: 0.4}),
        ]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        if not len(images):
            return images
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 would blur what a trainer in bf16-mixed sees
            x = apply(images.float() / 255, *self.pens)
            x = self.move(x)
            for share, effects in self.effects:
                x = apply(x, share, effects)
        return x.clamp(0, 1).mul(255).round().byte()

    def move(self, x: Tensor) -> Tensor:
        """Another hand: all geometry in one sampling of the images."""
        g = self.geometry
        wide, high = ((between(x, -0.25, 0.2) * g).exp() for _ in range(2))
        draw = torch.rand(len(x), device=x.device)
        chosen = (draw < self.stretch).nonzero()[:, 0]
        for scale, dim in ((wide, 1), (high, 2)):
            scale[chosen] *= fill(x[chosen], dim) ** between(chosen, 0, 1.5).clamp(max=1)  # a third of them wholly
        wide *= torch.where(draw > 1 - self.squeeze, between(x, 0.5, 1), 1)
        return affine(
            x,
            angle=between(x, -0.35, 0.35) * g,
            slant=between(x, -0.4, 0.3) * g,
            rise=between(x, -0.15, 0.15) * g,
            scale_x=wide,
            scale_y=high,
            dx=between(x, -3, 3) * g,
            dy=between(x, -3, 3) * g,
            flow=self.elastic * torch.stack([clouds(x, 5), clouds(x, 5)], dim=-1) if self.elastic else None,
        )


def apply(x: Tensor, share: float, effects: dict[Effect, float]) -> Tensor:
    """At most one of the effects for each image: `share` of all images, split among the effects by their parts."""
    draw = torch.rand(len(x), device=x.device) / share if share else torch.ones(len(x), device=x.device)
    x = x.clone()
    low = 0.0
    for effect, part in effects.items():
        chosen = ((draw >= low) & (draw < low + part)).nonzero()[:, 0]
        if len(chosen):
            x[chosen] = effect(x[chosen])
        low += part
    return x


# --- what several share ---


def between(x: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """A uniform draw for each image: (N,), or (N, *shape)."""
    return low + (high - low) * torch.rand(len(x), *shape, device=x.device)


def axis(x: Tensor) -> Tensor:
    """Pixel centres from the middle of the image, (28,)."""
    return torch.arange(SIZE, device=x.device) - (SIZE - 1) / 2


def clouds(x: Tensor, cells: int) -> Tensor:
    """Smooth noise (N, 28, 28) of variance about 1, from `cells` by `cells` normal draws."""
    centres = (torch.arange(cells, device=x.device) + 0.5) * SIZE / cells - SIZE / 2
    weights = torch.exp(-((axis(x)[:, None] - centres) ** 2) / (2 * (0.6 * SIZE / cells) ** 2))
    weights = F.normalize(weights, p=2, dim=1)
    return weights @ torch.randn(len(x), cells, cells, device=x.device) @ weights.T


def blur(x: Tensor, *, across: Tensor, down: Tensor) -> Tensor:
    """Gaussian blur with each image's own sigma (N,) in either direction."""
    return bell(axis(x), down) @ x @ bell(axis(x), across).mT


def bell(positions: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian weights (..., 28, 28) from each row (or column) to each other one, for sigma (...) in pixels."""
    squares = (positions[:, None] - positions) ** 2
    return torch.softmax(-squares / (2 * sigma[..., None, None] ** 2), dim=-1)


def fill(x: Tensor, dim: int) -> Tensor:
    """By how much to scale each digit so that it spans 20 pixels; at most 3."""
    inked = (x.amax(dim) > 0.3).sum(1)
    return (20 / inked.clamp(min=7)).clamp(min=1)


# --- pens ---


def narrowed(x: Tensor, cut: Tensor) -> Tensor:
    """Strokes narrowed without breaking: only what is fainter than `cut` (N,) times its brightest neighbour goes."""
    weights = bell(axis(x), torch.tensor(0.8, device=x.device))
    soft = weights @ x @ weights.T
    ridge = soft / dilate(soft).clamp(min=0.2)
    return x * ((ridge - cut[:, None, None]) / 0.15 + 1).clamp(0, 1)


def fine(x: Tensor) -> Tensor:
    """A ball pen or pencil: a line of a pixel or two."""
    return narrowed(x, between(x, 0.65, 0.98))


def felt(x: Tensor) -> Tensor:
    """A felt tip: up to a pixel more ink on every side."""
    return torch.lerp(x, dilate(x), between(x, 0.2, 1, 1, 1))


def nib(x: Tensor) -> Tensor:
    """A broad nib: strokes across its edge are wide, strokes along it thin."""
    thin = narrowed(x, between(x, 0.7, 0.95))
    edges = [torch.maximum(thin.roll((i, j), (1, 2)), thin.roll((-i, -j), (1, 2))) for i, j in NIB_EDGES]
    edge = torch.randint(len(edges), (len(x),), device=x.device)
    sides = torch.stack(edges)[edge, torch.arange(len(x), device=x.device)]
    return torch.maximum(thin, sides * between(x, 0.4, 1, 1, 1))


# --- ink ---


def faint(x: Tensor) -> Tensor:
    """A light hand, or a hard pencil."""
    return x * between(x, 0.2, 0.9, 1, 1)


def grain(x: Tensor) -> Tensor:
    """The paper's grain shows through."""
    return x * (1 - between(x, 0.2, 0.9, 1, 1) * torch.rand_like(x))


def broken(x: Tensor) -> Tensor:
    """A pen that skips."""
    return x * torch.sigmoid((clouds(x, 12) - between(x, -2, -0.8, 1, 1)) * 8)


def hollow(x: Tensor) -> Tensor:
    """Only the outline of the strokes."""
    return (dilate(x) - x * between(x, 0.6, 1, 1, 1)).clamp(min=0)


# --- camera ---


def soften(x: Tensor) -> Tensor:
    """Out of focus or shaken."""
    return blur(x, across=between(x, 0.3, 2), down=between(x, 0.3, 2))


def coarsen(x: Tensor) -> Tensor:
    """Low resolution (one for the batch): grey or black and white, enlarged smoothly or as blocks."""
    pixels = int(torch.randint(9, 25, (1,)))
    small = F.interpolate(x[:, None], size=pixels, mode="bilinear", antialias=True)
    bitmap = (small > between(x, 0.2, 0.5, 1, 1, 1) * small.amax((1, 2, 3), keepdim=True)).float()
    small = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, bitmap, small)
    blocks = F.interpolate(small, size=SIZE, mode="nearest-exact")
    smooth = F.interpolate(small, size=SIZE, mode="bilinear")
    return torch.lerp(smooth, blocks, torch.randint(0, 2, (len(x), 1, 1, 1), device=x.device).float())[:, 0]


def noise(x: Tensor) -> Tensor:
    """Of the sensor, and specks of dust, black and white."""
    x = x + between(x, 0, 0.2, 1, 1) * torch.randn_like(x)
    speck = torch.rand_like(x) / between(x, 0.01, 0.2, 1, 1)
    return torch.where(speck < 1, (speck < 0.5).float(), x)


def light(x: Tensor) -> Tensor:
    """Grey paper, a shadow across it, and less contrast."""
    paper = between(x, 0, 0.6, 1, 1) + between(x, 0, 0.25, 1, 1) * clouds(x, 4)
    return paper + (1 - paper * between(x, 0, 1, 1, 1)) * between(x, 0.3, 1, 1, 1) * x


# --- paper ---


def rule(x: Tensor) -> Tensor:
    """A piece of a line, printed or scribbled: along either edge, askew, straight or wavy, dashed or not."""
    angle = between(x, 0, 4, 1, 1).floor() * math.pi / 2 + between(x, -0.25, 0.25, 1, 1)
    column, row = axis(x), axis(x)[:, None]
    along = column * angle.cos() + row * angle.sin()
    across = row * angle.cos() - column * angle.sin()
    across = across + between(x, -2, 3, 1, 1).clamp(min=0) * torch.sin(along * between(x, 0.2, 1, 1, 1) + angle * 9)
    line = (between(x, 0.3, 2, 1, 1) + 0.5 - (across - between(x, -14, 14, 1, 1)).abs()).clamp(0, 1)
    start = between(x, -30, 10, 1, 1)
    gaps = (along % 4 < 2) & (between(x, 0, 1, 1, 1) < 0.3)
    return torch.maximum(x, line * between(x, 0.3, 1, 1, 1) * (along > start) * ~gaps)


def cover(x: Tensor) -> Tensor:
    """A rectangle that is wiped clean, inverted or painted over."""
    inside = torch.ones_like(x, dtype=torch.bool)
    for distance in (axis(x), axis(x)[:, None]):
        inside = inside & ((distance - between(x, -14, 14, 1, 1)).abs() < between(x, 0, 2.2, 1, 1).exp())
    kind = between(x, 0, 1, 1, 1)
    other = torch.where(kind < 0.5, torch.zeros_like(x), torch.where(kind < 0.75, 1 - x, kind))
    return torch.where(inside, other, x)

"""Digits to try every filter on, and numbers that describe what the filters made of them.

The numbers are stored in tests/assets/imaging.json. After an intended change of an image, write them anew:

    python tests/imaging/stored_results.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_photos import PHOTOS, STROKES
from torch import Tensor

from mnist_exp.imaging import augment
from mnist_exp.imaging.augment import Handwriting
from mnist_exp.imaging.corruptions import FAMILIES, corrupt
from mnist_exp.imaging.photo import to_mnist_form

STORED = Path(__file__).parents[1] / "assets" / "imaging.json"
CORRUPTIONS = [name for names in FAMILIES.values() for name in names]
EFFECTS = [
    "fine_pen",
    "felt_pen",
    "broad_nib",
    "faint_ink",
    "paper_grain",
    "skipping_pen",
    "outline",
    "out_of_focus",
    "low_resolution",
    "noise_and_dust",
    "uneven_light",
    "stray_line",
    "covered_part",
]
PARTS = ["drawn", "geometry", "elastic", "stretch", "squeeze", "pen", "ink", "camera", "paper"]
TOLERANCE = 0.15  # another processor may round a few pixels to the next grey level


def soft_strokes() -> Tensor:
    """Twelve soft pen strokes: rings, bars and hooks of four sizes, uint8 (12, 28, 28)."""
    y, x = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    distances = []
    for size in (5.0, 6.5, 8.0, 9.5):
        ring = (torch.hypot(x * 1.3, y) - size).abs()
        bar = torch.hypot(x + y * 0.3, (y.abs() - size).clamp(min=0))
        distances += [ring, bar, torch.minimum(bar, torch.hypot((x.abs() - 4).clamp(min=0), y + size))]
    return ((2 - torch.stack(distances)).clamp(0, 1) * 255).byte()


def describe(images: Tensor | np.ndarray) -> list[float]:
    """Four numbers: mean, root mean square, and two sums with random signs, over pixels and over blocks of 4x4 pixels.

    A change of a few pixels by one grey level moves the sums by less than TOLERANCE, a small shift of all strokes by
    much more.
    """
    pixels = np.asarray(images, np.float64).reshape(-1, 28, 28)
    random = np.random.default_rng(0)
    numbers = [pixels.mean(), (pixels**2).mean() ** 0.5]
    for block in (1, 4):
        signs = np.kron(random.choice([-1, 1], (len(pixels), 28 // block, 28 // block)), np.ones((block, block)))
        numbers.append((signs * pixels).sum() / pixels.size**0.5)
    return [round(float(number), 2) for number in numbers]


def describe_corruption(name: str) -> list[list[float]]:
    """One description for each of the severities 1 to 5."""
    return [describe(corrupt(soft_strokes(), name, severity=severity, seed=3)) for severity in range(1, 6)]


def describe_effect(name: str) -> list[float]:
    torch.manual_seed(4)
    changed = getattr(augment, name)(soft_strokes().repeat(4, 1, 1).float() / 255)
    return describe(changed.clamp(0, 1) * 255)


def describe_handwriting(settings: dict[str, float]) -> list[float]:
    torch.manual_seed(5)
    return describe(Handwriting(**settings)(soft_strokes().repeat(10, 1, 1), torch.arange(120) % 10))


def handwriting_settings() -> dict[str, dict[str, float]]:
    """All parts together, at other strengths, and each part alone."""
    nothing = dict.fromkeys(PARTS, 0.0)
    alone = dict.fromkeys(PARTS, 0.9) | {"geometry": 1.0, "elastic": 0.5}
    return {"default": {}, "half": {"strength": 0.5}} | {part: nothing | {part: alone[part]} for part in PARTS}


def describe_photos(name: str) -> list[list[float]]:
    """One description for each digit, written in one of the kinds of photos."""
    pages = (PHOTOS[name](digit).clip(0, 255).astype(np.uint8) for digit in STROKES)
    return [describe(to_mnist_form(page)) for page in pages]


def stored() -> dict[str, Any]:
    return json.loads(STORED.read_text(encoding="utf-8"))


def assert_close(found: object, expected: object, *, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def main() -> None:
    torch.set_num_threads(1)
    results = {
        "corruptions": {name: describe_corruption(name) for name in CORRUPTIONS},
        "effects": {name: describe_effect(name) for name in EFFECTS},
        "handwriting": {name: describe_handwriting(settings) for name, settings in handwriting_settings().items()},
        "photos": {name: describe_photos(name) for name in PHOTOS},
    }
    kinds = []
    for kind, values in results.items():
        lines = ",\n".join(f'  "{name}": {json.dumps(value)}' for name, value in values.items())
        kinds.append(f' "{kind}": {{\n{lines}\n }}')
    kinds.insert(0, f' "digits": {json.dumps(describe(soft_strokes()))}')
    STORED.write_text("{\n" + ",\n".join(kinds) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

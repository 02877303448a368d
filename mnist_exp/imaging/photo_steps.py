"""A picture of what the photo preprocessing did, step by step: `draw_steps(steps)`."""

import numpy as np
from PIL import Image, ImageDraw

from mnist_exp.imaging.photo import Steps

PANEL = 240  # pixels: the longer side of each step's picture
CAPTION = 20  # pixels: the height of the text above it


def draw_steps(steps: Steps, outcome: str) -> Image.Image:
    """The steps side by side, each below its caption, and the `outcome` as a last line."""
    sheet = Image.new("L", (max(len(steps), 2) * (PANEL + CAPTION), PANEL + 2 * CAPTION), 90)
    pen = ImageDraw.Draw(sheet)
    for column, (caption, picture) in enumerate(steps):
        left = column * (PANEL + CAPTION) + CAPTION // 2
        panel = Image.fromarray((255 * picture.astype(np.float32)).astype(np.uint8))
        scale = PANEL / max(panel.size)
        size = (max(1, round(panel.width * scale)), max(1, round(panel.height * scale)))
        method = Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.NEAREST
        sheet.paste(panel.resize(size, method), (left, CAPTION))
        pen.text((left, 4), caption, fill=255)
    pen.text((CAPTION // 2, PANEL + CAPTION + 4), outcome, fill=255)
    return sheet

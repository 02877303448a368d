"""Headless Chromium, and how each digit is drawn in it."""

import shutil
from collections.abc import Iterator
from math import cos, radians, sin
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright and Chromium")

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, rx: float, ry: float, start: int, end: int) -> Stroke:
    """Points on an ellipse; degrees clockwise, 0 at the right."""
    step = 10 if end > start else -10
    return [(x + rx * cos(radians(a)), y + ry * sin(radians(a))) for a in range(start, end + step, step)]


STROKES: list[list[Stroke]] = [  # how each digit is written, on a paper of 100
    [arc(50, 50, 20, 32, -90, 270)],
    [[(40, 28), (53, 16), (51, 84)]],
    [[*arc(50, 34, 19, 18, -170, 40), (30, 82), (72, 82)]],
    [[*arc(48, 33, 18, 16, -150, 80), *arc(48, 66, 21, 18, -80, 150)]],
    [[(38, 18), (30, 56), (72, 56)], [(62, 20), (60, 84)]],
    [[(68, 18), (38, 18), (35, 46), *arc(48, 63, 20, 20, -120, 150)]],
    [[(62, 16), (44, 36), *arc(50, 64, 18, 19, -170, 190)]],
    [[(28, 20), (70, 20), (46, 84)]],
    [[*arc(50, 33, 16, 16, -60, -270), *arc(50, 66, 18, 17, -90, 270), *arc(50, 33, 16, 16, 90, -60)]],
    [[*arc(48, 35, 17, 17, 0, -360), (64, 40), (58, 84)]],
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium: the system's, or the one that playwright installed."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


def draw(page: Any, strokes: list[Stroke]) -> str:
    """Draws with the mouse on a cleared paper. Returns what the page then says."""
    page.keyboard.press("Escape")
    box = page.locator("#board").bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x / 100 * box["width"], box["y"] + y / 100 * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    return verdict(page)


def verdict(page: Any) -> str:
    """What the page says once all is answered."""
    page.wait_for_selector("#verdict[aria-busy=false]")
    return page.inner_text("#verdict")

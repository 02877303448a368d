"""The page in headless Chromium, if it and playwright are there: python -m pytest tests/web/test_index_html.py -v"""

import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from browsing import STROKES, browser, draw, verdict
from conftest import Compose
from PIL import Image
from serving import MODEL, encoded, serving

from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.train import train
from mnist_exp.web import server
from mnist_exp.web.server import answer
from mnist_exp.web.shown_models import show_models
from mnist_exp.web.uploads import MAX_DECODED_PIXELS, SMALL_BYTES

__all__ = ["browser"]

ONE_BY_KEYBOARD = [*["ArrowUp"] * 3, "Space", *["ArrowDown"] * 18, "Space"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    hostile = replace(MODEL, name="<img src=x onerror=alert(1)>", kind="${oc.env:HOME}", test_accuracy=0.98634)
    with serving(MODEL, hostile) as address:
        yield address


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page, which has had no error and no warning in its console when the test ends."""
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    console: list[str] = []
    opened.on("console", lambda message: console.append(message.text))
    opened.on("pageerror", lambda error: console.append(str(error)))
    opened.goto(url)
    opened.wait_for_selector("article")
    yield opened
    opened.close()
    assert console == []


def paper(page: Any) -> str:
    return page.evaluate("document.getElementById('board').toDataURL()")


def test_a_drawing_is_answered_by_every_model(page: Any):
    assert draw(page, STROKES[3]).startswith("Both say ")
    assert page.locator("tr.best").count() == 2


def test_a_model_that_is_not_sure_names_two_digits_with_their_probabilities(browser: Any):
    with serving(min_confidence=1.0) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("article")
        said = draw(page, STROKES[3])
        shares = [int(text.rstrip("%")) for text in page.locator(".percent").all_text_contents()]
        (best, second) = sorted(range(10), key=lambda digit: -shares[digit])[:2]
        assert said == f"Not sure: {best} ({shares[best]}%) or {second} ({shares[second]}%)"
        assert page.inner_text(".answer").split("\n") == [
            f"{best}?",
            f"{shares[best]}%, or {second}: {shares[second]}%",
        ]
        assert page.locator("tr.best").count() == 1


def test_several_models_that_are_not_sure_name_all_digits_that_they_see(browser: Any):
    with serving(MODEL, replace(MODEL, name="other"), min_confidence=1.0) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("article")
        assert re.fullmatch(r"Not sure: \d or \d", draw(page, STROKES[3]))


def test_a_card_says_what_its_model_is_and_nothing_in_it_is_markup(page: Any):
    names = [name.replace("\u200b", "") for name in page.locator("h2").all_text_contents()]
    assert names == ["csv-linear", "<img src=x onerror=alert(1)>"]
    assert page.locator(".about").all_text_contents() == ["linear", "${oc.env:HOME}\nTest accuracy 98.63%"]
    assert page.locator("img").count() == 0


def test_undo_takes_back_the_last_stroke_and_clearing(page: Any):
    assert page.is_disabled("#undo")
    draw(page, STROKES[4][:1])
    one = paper(page)
    draw(page, STROKES[4])
    two = paper(page)
    assert one != two
    page.keyboard.press("Control+z")
    assert paper(page) == one
    page.click("#clear")
    assert page.is_disabled("#clear")
    assert verdict(page) == "Nothing to see yet."
    page.click("#undo")
    assert paper(page) == one
    assert verdict(page).startswith("Both say ")


def test_a_digit_can_be_drawn_by_keyboard(page: Any):
    assert not page.is_visible("#pen")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "board"
    assert page.is_visible("#pen")
    empty = paper(page)
    page.keyboard.press("ArrowDown")
    assert paper(page) == empty  # the pen is up
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert page.inner_text("#pen-state") == "Pen down"
    page.keyboard.press("Space")
    assert page.inner_text("#pen-state") == "Pen up"
    page.keyboard.press("Control+z")
    for key in ONE_BY_KEYBOARD:
        page.keyboard.press(key)
    assert verdict(page).startswith("Both say ")
    page.keyboard.press("Control+z")
    assert paper(page) == empty


def test_two_arrow_keys_at_once_move_the_pen_diagonally_and_shift_makes_small_steps(page: Any):
    def place() -> list[float]:
        return page.eval_on_selector("#pen", "pen => [pen.style.left, pen.style.top].map(parseFloat)")

    page.focus("#board")
    page.keyboard.press("ArrowDown")
    left, top = place()
    page.keyboard.down("ArrowDown")
    page.keyboard.down("ArrowRight")
    assert place() == pytest.approx([left + 3.75, top + 7.5])
    page.keyboard.up("ArrowDown")
    page.keyboard.up("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    assert place() == pytest.approx([left + 3.75 - 0.9375, top + 7.5])


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The picture files that the server gets."""
    files: list[bytes] = []

    def recorded(models: Any, picture: BytesIO) -> dict[str, Any]:
        files.append(picture.getvalue())
        return answer(models, picture)

    monkeypatch.setattr(server, "answer", recorded)
    return files


def test_a_photo_above_the_limits_is_reduced_before_it_is_sent(page: Any, received: list[bytes], tmp_path: Path):
    photo = Image.new("RGBA", (2600, 2200))
    photo.paste("black", (1250, 500, 1400, 1700))
    (tmp_path / "photo.png").write_bytes(encoded(photo))
    page.set_input_files("#file", tmp_path / "photo.png")
    page.wait_for_selector("tr.best")
    assert verdict(page).startswith("Both say ")
    body = Image.open(BytesIO(received[-1]))
    assert (body.format, max(body.size)) == ("JPEG", 2000)
    assert body.width * body.height <= MAX_DECODED_PIXELS


def test_a_photo_within_the_limits_is_sent_as_it_is(page: Any, received: list[bytes], tmp_path: Path):
    photo = Image.new("L", (300, 300), "white")
    photo.paste("black", (140, 50, 160, 250))
    (tmp_path / "photo.png").write_bytes(encoded(photo))
    page.set_input_files("#file", tmp_path / "photo.png")
    page.wait_for_selector("tr.best")
    assert verdict(page).startswith("Both say ")
    assert received == [encoded(photo)]


def test_a_drawing_is_sent_as_a_small_grey_picture(page: Any, received: list[bytes]):
    draw(page, STROKES[1])
    sent = Image.open(BytesIO(received[-1]))
    assert (sent.format, sent.mode, sent.size) == ("PPM", "L", (160, 160))
    assert len(received[-1]) <= SMALL_BYTES


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_stands_out_of_the_window(page: Any, width: int):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_ten_digits_drawn_in_a_browser_are_recognised(
    browser: Any, composed: Compose, pytestconfig: pytest.Config, tmp_path: Path
):
    data = pytestconfig.rootpath / "data"
    train(composed(f"data_dir={data}", "data=csv", "data.batch_size=64", "data.val_size=5000", "trainer.max_epochs=1"))
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    with serving(*show_models({best: load_classifier(best)})) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector("article")
        said = [draw(page, strokes) for strokes in STROKES]
    assert said == [f"It is a {digit}" for digit in range(10)]

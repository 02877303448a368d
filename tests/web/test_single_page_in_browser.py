"""The page without a server, in Chromium: python -m pytest tests/web/test_single_page_in_browser.py -v"""

import base64
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browsing import STROKES, Stroke, browser, draw
from conftest import Compose
from hydra import compose, initialize_config_dir
from PIL import Image, ImageDraw
from test_single_page import HOSTILE, page_of
from torch import Tensor, nn

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.image_datamodule import load_mnist
from mnist_exp.export import export
from mnist_exp.imaging.photo import PhotoError, to_mnist_form
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.models.nets import ConvNet, FastNet
from mnist_exp.train import train

__all__ = ["browser"]

# JavaScript: what the page's network says of images, and what the page makes of grey pictures of 160x160, in base64
ANSWERS = """(data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)), rows = [];
  for (let at = 0; at < bytes.length; at += 784) rows.push(probabilities(NETWORK, bytes.subarray(at, at + 784)));
  return rows;
}"""
FORMS = """(data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)), forms = [];
  for (let at = 0; at < bytes.length; at += 25600) {
    try {
      forms.push(Array.from(toMnistForm({ width: 160, height: 160, data: bytes.subarray(at, at + 25600) })));
    } catch (error) {
      forms.push(error.message);
    }
  }
  return forms;
}"""


def in_base64(pixels: np.ndarray | Tensor) -> str:
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()


def opened(browser: Any, path: Path) -> Iterator[Any]:
    """The page from its file. When the test ends, it has had no error and has asked for nothing else."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    console: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("article")
    yield page
    page.close()
    assert console == []
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]


@pytest.fixture(scope="module")
def models() -> dict[str, DigitClassifier]:
    torch.manual_seed(0)
    nets: dict[str, nn.Module] = {
        HOSTILE: FastNet(channels=(4, 6), hidden=8),
        "convnet": ConvNet(channels=(3, 4, 5, 6), hidden=7, residual=True),
    }
    for net in nets.values():
        for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
            nn.init.uniform_(norm.running_var, 0.1, 2)
            nn.init.normal_(norm.weight)
    return {name: DigitClassifier(name=name, net=net).eval() for name, net in nets.items()}


@pytest.fixture
def page(browser: Any, models: dict[str, DigitClassifier], tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "model.html").write_text(page_of(models[HOSTILE], HOSTILE), encoding="utf-8")
    yield from opened(browser, tmp_path / "model.html")


@pytest.mark.parametrize("number", [0, 1])
def test_javascript_calculates_the_probabilities_of_torch(
    browser: Any, models: dict[str, DigitClassifier], tmp_path: Path, number: int
):
    name, model = list(models.items())[number]
    (tmp_path / "model.html").write_text(page_of(model, name), encoding="utf-8")
    images = torch.randint(0, 256, (20, 28, 28), dtype=torch.uint8)
    for page in opened(browser, tmp_path / "model.html"):
        found = torch.tensor(page.evaluate(ANSWERS, in_base64(images)))
        torch.testing.assert_close(found, model.probabilities(images), atol=1e-5, rtol=0)


def test_a_drawing_is_answered_and_a_name_is_no_markup(page: Any):
    assert re.match("It is a |Not sure: ", draw(page, STROKES[3]))
    assert page.locator("tr.best").count() == 1
    assert page.text_content("h2").replace("\u200b", "") == HOSTILE
    page.keyboard.press("Escape")
    assert page.is_hidden("#choose")
    assert page.text_content("#verdict") == "Nothing to see yet."


def drawn_by_hand(strokes: list[Stroke], rng: np.random.Generator) -> np.ndarray:
    """The strokes with a size, slant, place and shake of their own, as the page's `drawing` makes them: (160, 160)."""
    paper = Image.new("L", (640, 640), 255)
    angle, slant, size = rng.normal(0, 0.15), rng.normal(0, 0.2), rng.uniform(0.4, 1.1)
    turn = size * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    place = 50 + rng.uniform(-20, 20, 2)
    for stroke in strokes:
        points = np.array(stroke) - 50 + rng.normal(0, 0.5, (len(stroke), 2))
        points[:, 0] += slant * points[:, 1]
        pixels = [tuple(point) for point in 6.4 * (points @ turn + place + rng.normal(0, 2, 2))]
        pen = ImageDraw.Draw(paper)
        pen.line(pixels, fill=0, width=45)
        for x, y in pixels:
            pen.ellipse((x - 22, y - 22, x + 22, y + 22), fill=0)
    grey = np.full((160, 160), 255, np.uint8)
    grey[10:150, 10:150] = np.asarray(paper.resize((140, 140), Image.Resampling.BILINEAR))
    return grey


def many_drawings(count: int) -> np.ndarray:
    """All digits in turn; every fourth with its strokes in two parts, every thirtieth with a second digit."""
    rng, greys = np.random.default_rng(0), []
    for index in range(count):
        strokes = STROKES[index % 10]
        if index % 4 == 3:
            strokes = [
                part for each in strokes for part in (each[: len(each) // 2], each[len(each) // 2 + 1 :]) if part
            ]
        if index % 30 == 29:
            strokes = [*strokes, [(85, 20), (85, 80)]]
        greys.append(drawn_by_hand(strokes, rng))
    return np.stack(greys)


def test_a_drawing_gets_the_form_that_the_demo_gives_it(page: Any):
    greys = many_drawings(30)
    for grey, form in zip(greys, page.evaluate(FORMS, in_base64(greys)), strict=True):
        if isinstance(form, str):
            with pytest.raises(PhotoError, match=form.split(";")[0]):
                to_mnist_form(grey)
        else:
            difference = np.abs(np.array(form).reshape(28, 28) - to_mnist_form(grey).astype(int))
            assert difference.max() <= 1  # a sum that is rounded in another order


def test_an_empty_paper_and_a_speck_are_blank(page: Any):
    greys = np.full((2, 160, 160), 255, np.uint8)
    greys[1, 80:82, 80:82] = 0
    assert [form.split(":")[0] for form in page.evaluate(FORMS, in_base64(greys))] == ["blank", "blank"]


@pytest.mark.slow
def test_the_page_reads_mnist_and_drawings_as_the_demo_does(
    browser: Any, composed: Compose, pytestconfig: pytest.Config, tmp_path: Path
):
    server = pytest.importorskip("mnist_exp.web.server", reason="needs the extra: demo")
    shown_models = pytest.importorskip("mnist_exp.web.shown_models")
    data = pytestconfig.rootpath / "data"
    train(composed(f"data_dir={data}", "data=csv", "data.batch_size=64", "data.val_size=5000", "trainer.max_epochs=1"))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        export(compose("export", [f"ckpt_path={tmp_path}/run", "formats=[html]", f"data_dir={data}"]))
    path, best = tmp_path / "run" / "export" / "model.html", tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert path.stat().st_size < 1_000_000
    shown = shown_models.show_models({best: load_classifier(best)})
    images, greys = load_mnist(data)[1].images[:1000], many_drawings(200)
    expected = [
        server.answer(shown, BytesIO(b"P5 160 160 255\n" + grey.tobytes())).get("answers", {}).get(shown[0].label)
        for grey in greys
    ]
    for page in opened(browser, path):
        labels = torch.tensor(page.evaluate(ANSWERS, in_base64(images))).argmax(dim=1)
        assert torch.equal(labels, shown[0].model.probabilities(images).argmax(dim=1))
        for form, probs in zip(page.evaluate(FORMS, in_base64(greys)), expected, strict=True):
            assert isinstance(form, str) == (probs is None)
            if probs is not None:
                answer = page.evaluate(ANSWERS, in_base64(np.array(form, np.uint8)))[0]
                assert np.argmax(answer) == np.argmax(probs)

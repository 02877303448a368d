"""From a drawing to the models' answers, over HTTP and in a browser: python -m pytest tests/test_demo.py -v"""

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from math import cos, radians, sin
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import torch
from conftest import Compose, drawn
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from mnist_exp.cli.overrides import CONF
from mnist_exp.demo import demo
from mnist_exp.imaging.photo import load_photo
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.train import train

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra: demo")
server = pytest.importorskip("mnist_exp.web.server", reason="needs the extra: demo")


@contextmanager
def serving(*checkpoints: Path) -> Iterator[str]:
    """The address of a server of these checkpoints, in a thread of this process."""
    with server.listen("127.0.0.1", 0) as socket:
        app = server.make_app(server.name_models({path: load_classifier(path) for path in checkpoints}))
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
        thread.start()
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        running.should_exit = True
        thread.join()


@pytest.fixture
def url(checkpoint: Path) -> Iterator[str]:
    with serving(checkpoint) as address:
        yield address


def ask(url: str, picture: bytes, kind: str = "image/png") -> dict:
    with urlopen(Request(f"{url}/answers", picture, {"Content-Type": kind})) as response:
        return json.load(response)


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("demo", list(overrides))


def test_a_picture_is_answered_as_predict_would(url: str, checkpoint: Path):
    picture = png(Image.fromarray(255 - drawn(3, seed=0)).resize((280, 280)))
    reply = ask(url, picture)
    image = load_photo(BytesIO(picture))
    model, _ = load_classifier(checkpoint)
    assert reply["image"] == image.flatten().tolist()
    assert reply["answers"] == {"image-mlp (mlp)": model.probabilities(torch.from_numpy(image)[None])[0].tolist()}


@pytest.mark.parametrize(
    ("picture", "kind", "status", "reason"),
    [
        (lambda: b"no picture", "image/gif", 422, "not a picture"),
        (lambda: png(Image.new("L", (280, 280), "white")), "image/png", 422, "blank"),
        (lambda: png(Image.new("1", (10_000, 10_000))), "image/png", 422, "above 50 megapixels"),
        (lambda: bytes(server.MAX_BYTES + 1), "image/png", 413, "above 10 MB"),
        (lambda: b"a=1", "application/x-www-form-urlencoded", 415, "not a picture"),
    ],
    ids=["no picture", "blank", "100 megapixels", "too many bytes", "a form"],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    url: str, picture: Callable[[], bytes], kind: str, status: int, reason: str
):
    with pytest.raises(HTTPError) as refused:
        ask(url, picture(), kind)
    with refused.value as response:
        assert response.code == status
        assert reason in json.load(response)["detail"]


def test_the_page_may_load_nothing_from_elsewhere(url: str):
    for route, kind in server.PAGE.items():
        with urlopen(url + route) as response:
            assert response.headers.get_content_type() == kind
            assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "//" not in response.read().decode().replace("// ", "")


@pytest.mark.parametrize(
    "path", ["/demo.html", "/server.py", "/../server.py", "/%2e%2e/demo.py", "/docs", "/openapi.json"]
)
def test_there_are_no_other_routes(url: str, path: str):
    with pytest.raises(HTTPError, match="404") as missing:
        urlopen(url + path)
    missing.value.close()


def test_models_that_share_a_name_are_told_apart_by_their_paths(checkpoint: Path, tmp_path: Path):
    last = Path(shutil.copy(checkpoint, checkpoint.with_name("last.ckpt")))
    other = Path(shutil.copytree(tmp_path / "run", tmp_path / "again")) / "checkpoints" / "best.ckpt"
    load = {path: load_classifier(path) for path in (checkpoint, last)}
    assert list(server.name_models(load)) == ["image-mlp (mlp) best.ckpt", "image-mlp (mlp) last.ckpt"]
    load = {path: load_classifier(path) for path in (checkpoint, other)}
    assert list(server.name_models(load)) == ["image-mlp (mlp) run", "image-mlp (mlp) again"]


def test_a_port_in_use_is_named(checkpoint: Path):
    with (
        server.listen("127.0.0.1", 0) as taken,
        pytest.raises(ValueError, match=f"port {(port := taken.getsockname()[1])}.*port={port + 1}"),
    ):
        demo(config(f"ckpt_path={checkpoint}", f"port={port}"))


def test_without_the_extra_the_message_is_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ValueError, match=r"\.\[demo\]"):
        demo(config("ckpt_path=any.ckpt"))


# --- in a browser ---

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


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of headless Chromium: the system's, or the one that playwright installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright and Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


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
    page.wait_for_selector("#verdict[aria-busy=false]")
    return page.inner_text("#verdict")


@pytest.mark.slow
def test_ten_digits_drawn_in_a_browser_are_recognised(
    page: Any, composed: Compose, pytestconfig: pytest.Config, tmp_path: Path
):
    data = pytestconfig.rootpath / "data"
    train(composed(f"data_dir={data}", "data=csv", "data.batch_size=64", "data.val_size=5000", "trainer.max_epochs=1"))
    with serving(tmp_path / "run" / "checkpoints" / "best.ckpt") as url:
        page.goto(url)
        page.wait_for_selector("article")
        said = [draw(page, strokes) for strokes in STROKES]
    assert said == [f"It is a {digit}" for digit in range(10)]

"""What the demo's server answers: python -m pytest tests/web/test_server.py -v"""

from collections.abc import Callable, Iterator
from io import BytesIO
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import torch
from conftest import drawn
from PIL import Image, ImageDraw
from serving import MODEL, ask, encoded, fetch, serving

from mnist_exp.imaging.photo import load_photo
from mnist_exp.web.guard import HEADERS
from mnist_exp.web.server import PAGE
from mnist_exp.web.uploads import MAX_BYTES, MAX_DECODED_PIXELS, MAX_PIXELS


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def two_digits() -> Image.Image:
    paper = Image.new("L", (280, 280), "white")
    pen = ImageDraw.Draw(paper)
    for x in (80, 200):
        pen.line([(x, 60), (x, 220)], fill="black", width=20)
    return paper


@pytest.mark.parametrize("kind", ["PNG", "PPM"])
def test_a_picture_is_answered_as_predict_would(url: str, kind: str):
    picture = encoded(Image.fromarray(255 - drawn(3, seed=0)).resize((280, 280)), kind)
    image = load_photo(BytesIO(picture))
    probabilities = MODEL.model.probabilities(torch.from_numpy(image)[None])[0].tolist()
    assert ask(url, picture) == (
        200,
        {"image": image.flatten().tolist(), "answers": {"csv-linear (linear)": probabilities}},
    )


@pytest.mark.parametrize(
    ("image", "reason"),
    [(Image.new("L", (280, 280), "white"), "blank"), (two_digits(), "more than one digit")],
    ids=["blank", "two digits"],
)
def test_a_picture_without_exactly_one_digit_is_no_error_and_the_reason_is_given(
    url: str, image: Image.Image, reason: str
):
    status, reply = ask(url, encoded(image))
    assert status == 200
    assert list(reply) == ["detail"]
    assert reply["detail"].startswith(reason)


@pytest.mark.parametrize(
    ("picture", "kind", "status", "reason"),
    [
        (lambda: b"no picture", "image/gif", 422, "not a picture"),
        (lambda: encoded(Image.new("L", (280, 280)))[:100], "image/png", 422, "cannot be read"),
        (lambda: encoded(Image.new("L", (5, 5))), "image/png", 422, "5x5 is too small"),
        (lambda: encoded(Image.new("1", (7000, 7000))), "image/png", 422, "7000x7000 is above 4 megapixels"),
        (lambda: bytes(MAX_BYTES + 1), "image/png", 413, "above 10 MB"),
        (lambda: b"a=1", "application/x-www-form-urlencoded", 415, "not a picture"),
    ],
    ids=["no picture", "cut short", "tiny", "49 megapixels", "too many bytes", "a form"],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    url: str, picture: Callable[[], bytes], kind: str, status: int, reason: str
):
    answered, reply = ask(url, picture(), kind)
    assert answered == status
    assert reply["detail"].startswith(reason) or reason in reply["detail"]
    assert "the picture:" not in reply["detail"]


def test_the_page_is_told_the_models_and_the_limits(url: str):
    assert fetch(f"{url}/models") == (
        200,
        {
            "models": [
                {
                    "label": "csv-linear (linear)",
                    "name": "csv-linear",
                    "kind": "linear",
                    "test_accuracy": None,
                    "classes": list("0123456789"),
                }
            ],
            "min_confidence": 0.0,
            "max_bytes": MAX_BYTES,
            "max_pixels": MAX_PIXELS,
            "max_decoded_pixels": MAX_DECODED_PIXELS,
        },
    )


def test_the_page_may_load_nothing_from_elsewhere(url: str):
    for route, kind in PAGE.items():
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
    with missing.value as response:
        assert {name: response.headers[name] for name in HEADERS} == HEADERS

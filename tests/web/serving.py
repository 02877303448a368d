"""A demo server in this process, and the ways to ask it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import torch
from PIL import Image
from torch import nn

pytest.importorskip("uvicorn", reason="needs the extra: demo")
pytest.importorskip("starlette", reason="needs the extra: demo")

from mnist_exp.models.classifier import DigitClassifier
from mnist_exp.web.connection import listen, make_server
from mnist_exp.web.server import make_app
from mnist_exp.web.shown_models import ShownModel

# It has learnt nothing: its answers are arbitrary, and always the same.
torch.manual_seed(0)
CLASSIFIER = DigitClassifier(name="linear", net=nn.Sequential(nn.Flatten(), nn.Linear(784, 10))).eval()
MODEL = ShownModel(CLASSIFIER, name="csv-linear", kind="linear", test_accuracy=None)


@contextmanager
def serving(*models: ShownModel, min_confidence: float = 0.0, hosts: tuple[str, ...] = ()) -> Iterator[str]:
    """The address of a server of these models, in a thread of this process."""
    with listen("127.0.0.1", 0) as listening:
        server = make_server(make_app(models or [MODEL], min_confidence=min_confidence, hosts=hosts))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
    assert not thread.is_alive(), "the server does not stop"


def ask(url: str, picture: bytes, kind: str = "image/png", **headers: str) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of POST /answers."""
    return fetch(Request(f"{url}/answers", picture, {"Content-Type": kind, **headers}))


def fetch(request: Request | str) -> tuple[int, dict[str, Any]]:
    try:
        with urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def connect(url: str) -> socket.socket:
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() resets the connection
    return connection


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()

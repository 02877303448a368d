"""The demo's server: a page to draw on, and what each model answers to a picture.

GET  /         the page; it asks for /demo.css and /demo.js, and nothing from elsewhere
GET  /models   {"names": [...], "max_bytes": int}
POST /answers  the bytes of a picture file as the body, with its image/... Content-Type
               -> {"image": 784 pixels 0..255, "answers": {name: ten probabilities}}
               413 above MAX_BYTES, 415 for another Content-Type, 422 for a picture that is not of one digit; each
               says why in "detail"
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from fastapi import FastAPI, HTTPException, Request, Response

from mnist_exp.imaging.photo import PhotoError, load_photo

if TYPE_CHECKING:
    from mnist_exp.models.classifier import DigitClassifier

MAX_BYTES = 10_000_000  # of an upload; photo.MAX_PIXELS limits what it may unfold to
WORKERS = 2  # pictures unfolded at a time: their memory adds up
PAGE = {"/": "text/html", "/demo.css": "text/css", "/demo.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def make_app(models: "Mapping[str, DigitClassifier]") -> FastAPI:
    """The application; `models` by the names that the page shows, in its order."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # FastAPI's own pages load scripts from elsewhere
    pool = ThreadPoolExecutor(WORKERS, "answers")

    @app.middleware("http")
    async def harden(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    for route, kind in PAGE.items():  # read once: no request leads to a path
        content = Path(__file__).with_name(route.strip("/") or "index.html").read_bytes()
        app.add_api_route(route, page(content, kind))

    @app.get("/models")
    async def names() -> dict[str, Any]:
        return {"names": list(models), "max_bytes": MAX_BYTES}

    @app.post("/answers")
    async def answers(request: Request) -> dict[str, Any]:
        picture = await read_picture(request)
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, answer, models, picture)
        except PhotoError as error:
            raise HTTPException(422, str(error).removeprefix("the picture: ")) from error

    return app


def page(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def respond() -> Response:
        return Response(content, media_type=kind)

    return respond


async def read_picture(request: Request) -> bytes:
    """The body, of which no more than MAX_BYTES are ever held."""
    if not request.headers.get("content-type", "").startswith("image/"):  # no other site's page can send this unasked
        raise HTTPException(415, "not a picture: send an image file")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"the file is above {MAX_BYTES // 10**6} MB; reduce the picture first")
    return bytes(body)


def answer(models: "Mapping[str, DigitClassifier]", picture: bytes) -> dict[str, Any]:
    """What the models see of a picture, which is what `predict` would show them, and what each makes of it."""
    image = torch.from_numpy(load_photo(BytesIO(picture)))
    return {
        "image": image.flatten().tolist(),
        "answers": {name: model.probabilities(image[None])[0].tolist() for name, model in models.items()},
    }


def name_models(loaded: "Mapping[Path, tuple[DigitClassifier, Mapping[str, Any]]]") -> "dict[str, DigitClassifier]":
    """Each model by its run's and its own name; those that share both, also by what only their paths tell."""
    names = {path: f"{config['name']} ({model.name})" for path, (model, config) in loaded.items()}
    parts = {path: path.resolve().parts for path in names}
    named = {}
    for path, name in names.items():
        same = [set(parts[other]) for other in names if names[other] == name]
        own = [part for part in parts[path] if part not in set.intersection(*same)]
        named[" ".join([name, "/".join(own or [path.name])]) if len(same) > 1 else name] = loaded[path][0]
    return named


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises ValueError where there can be none."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "something listens there already; choose another, such as" if taken else f"{error}; try host=127.0.0.1"
        raise ValueError(f"cannot listen at {host}, port {port}: {why} port={port + 1 if taken else 8000}") from error

"""The demo's server: a page to draw on, and what each model makes of a picture.

GET  /         the page, which loads /demo.css, /demo.js and /questions.js, and nothing from elsewhere
GET  /models   {"models": [{"label", "name", "kind", "test_accuracy": 0 to 1 or null, "classes": ten names}],
                "min_confidence": 0 to 1, below which a model is not sure of its answer,
                "max_bytes", "max_pixels", "max_decoded_pixels": limits of an upload}
POST /answers  The body is a picture file; its Content-Type is image/...
               200 {"image": 784 pixels 0 to 255, "answers": {label: ten probabilities}}
               200 {"detail": why} for a picture without exactly one digit, such as a drawing that has just begun
               413 too large a file, 415 another Content-Type, 422 a picture that cannot be read or has too many
               pixels, 503 too many uploads at once; "detail" says why and what to do
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mnist_exp.imaging.photo import PhotoError, read_photo, to_mnist_form
from mnist_exp.web.guard import Guard
from mnist_exp.web.shown_models import ShownModel
from mnist_exp.web.uploads import MAX_BYTES, MAX_DECODED_PIXELS, MAX_PIXELS, Uploads, check_cost

WORKERS = 2  # pictures decoded at a time: their memory adds up
PAGE = {"/": "text/html", "/demo.css": "text/css", "/demo.js": "text/javascript", "/questions.js": "text/javascript"}

log = logging.getLogger(__name__)


def make_app(models: Sequence[ShownModel], *, min_confidence: float = 0.0, hosts: Iterable[str] = ()) -> Starlette:
    """The web application. `hosts` are names of this server, besides localhost and the machine's own."""
    uploads = Uploads()
    pool = ThreadPoolExecutor(WORKERS, "answers")

    async def list_models(_: Request) -> Response:
        shown = [
            {key: getattr(one, key) for key in ("label", "name", "kind", "test_accuracy", "classes")} for one in models
        ]
        limits = {"max_bytes": MAX_BYTES, "max_pixels": MAX_PIXELS, "max_decoded_pixels": MAX_DECODED_PIXELS}
        return JSONResponse({"models": shown, "min_confidence": min_confidence, **limits})

    async def answers(request: Request) -> Response:
        try:
            async with uploads.picture(request) as picture:
                loop = asyncio.get_running_loop()
                return JSONResponse(await loop.run_in_executor(pool, answer, models, picture))
        except ClientDisconnect:
            log.warning("an upload ended before it was complete")
            return Response(status_code=400)  # nobody reads it

    pages = [Route(path, static(path, kind)) for path, kind in PAGE.items()]
    return Starlette(
        routes=[*pages, Route("/models", list_models), Route("/answers", answers, methods=["POST"])],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HTTPException: explain},
    )


def static(path: str, kind: str) -> Any:
    """An endpoint for a file beside this one. It is read once: no request leads to a path."""
    content = Path(__file__).with_name(path.strip("/") or "index.html").read_bytes()

    async def respond(_: Request) -> Response:
        return Response(content, media_type=kind)

    return respond


async def explain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def answer(models: Sequence[ShownModel], picture: BytesIO) -> dict[str, Any]:
    """What the models see of a picture file, as `predict` would show it to them, and each one's probabilities.

    Where it does not show exactly one digit, {"detail": why}. Raises HTTPException 422 for one that cannot be read.
    """
    try:
        check_cost(picture)
        grey = read_photo(picture)
    except ValueError as error:
        raise HTTPException(422, str(error).removeprefix("the picture: ")) from error
    try:
        image = torch.from_numpy(to_mnist_form(grey))
    except PhotoError as error:
        return {"detail": str(error)}
    return {
        "image": image.flatten().tolist(),
        "answers": {one.label: one.model.probabilities(image[None])[0].tolist() for one in models},
    }

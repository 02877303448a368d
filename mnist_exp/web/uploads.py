"""Receive an uploaded picture, and refuse one that would cost too much before it is decoded.

A small file can hold a huge picture: a PNG of 48 KB may decode to 200 MB. So the header's size is checked first.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO

from PIL import Image, PngImagePlugin
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mnist_exp.imaging.photo import FORMATS, WORK_SIDES

MAX_BYTES = 10_000_000  # of a file
MAX_DROPPED_BYTES = 100_000_000  # of a refused file; what comes after that is not read
MAX_PIXELS = 13_000_000  # of a picture: what most phones take
MAX_DECODED_PIXELS = 4_000_000  # JPEGs can be decoded at a half, a quarter or an eighth of their size; others cannot
MAX_SCANS = 50  # of a JPEG: progressive ones have about ten, and each pass costs the time of a whole picture
SMALL_BYTES = 65_536  # the web server buffers this much of every request anyway
LARGE_UPLOADS = 4  # larger files that may be in memory at the same time
WAIT_SECONDS = 5.0  # for one of those places

PngImagePlugin.MAX_TEXT_MEMORY = PngImagePlugin.MAX_TEXT_CHUNK  # 1 MB of text in a PNG in all, not 64


class Uploads:
    """Reads request bodies, of which only a few large ones are in memory at a time."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(LARGE_UPLOADS)

    @asynccontextmanager
    async def picture(self, request: Request) -> AsyncIterator[BytesIO]:
        """The body of `request`, at most MAX_BYTES. A large one takes a place until the block ends.

        Raises HTTPException: 413 for a larger body, 415 for one that is no picture, 503 while all places are taken.
        """
        # Another site's page cannot send this type without asking first, and the answer to that is no.
        if not request.headers.get("content-type", "").startswith("image/"):
            raise await refusal(request, 415, "This is not a picture. Use JPEG, PNG, WebP or another image file.")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) <= SMALL_BYTES:
            yield await read_body(request)
            return
        try:
            await asyncio.wait_for(self._places.acquire(), WAIT_SECONDS)
        except TimeoutError:
            detail = "too many large pictures at once; try again in a few seconds"
            raise await refusal(request, 503, detail) from None
        try:
            yield await read_body(request)
        finally:
            self._places.release()


async def read_body(request: Request) -> BytesIO:
    body = BytesIO()
    async for chunk in request.stream():
        body.write(chunk)
        if body.tell() > MAX_BYTES:
            body.close()
            raise await refusal(request, 413, f"the file is above {MAX_BYTES // 10**6} MB; reduce the picture first")
    body.seek(0)
    return body


async def refusal(request: Request, status: int, detail: str) -> HTTPException:
    """The error to raise, after the rest of the body was read and dropped: a client that still sends sees no answer."""
    dropped = 0
    with suppress(RuntimeError):  # Starlette's, where the body has been read to its end
        async for chunk in request.stream():
            dropped += len(chunk)
            if dropped > MAX_DROPPED_BYTES:
                break
    return HTTPException(status, detail)


def check_cost(picture: BytesIO) -> None:
    """Raises ValueError for a picture that would take too much memory or time to decode. Decodes nothing.

    What is no picture at all passes: the decoder says so better.
    """
    try:
        with Image.open(picture, formats=FORMATS) as image:
            kind, pixels = image.format, image.width * image.height
            size = f"{image.width}x{image.height}"
            image.draft("RGB", (WORK_SIDES[1], WORK_SIDES[1]))  # as photo.py will decode it
            decoded = image.width * image.height
    except Exception:  # Pillow raises a dozen types for damaged files, and will again when it decodes
        return
    finally:
        picture.seek(0)
    limit = MAX_PIXELS if decoded < pixels else MAX_DECODED_PIXELS
    if pixels > limit or decoded > MAX_DECODED_PIXELS:
        raise ValueError(f"{size} is above {limit // 10**6} megapixels; reduce the picture first")
    if kind == "JPEG" and picture.getvalue().count(b"\xff\xda") > MAX_SCANS:
        raise ValueError(f"this JPEG has more than {MAX_SCANS} scans; save it again as a plain JPEG")

"""Files that would cost too much, and too many at once: python -m pytest tests/web/test_uploads.py -v"""

import random
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from serving import ask, connect, encoded, fetch, serving

from mnist_exp.imaging.photo import PhotoError, read_photo
from mnist_exp.web import uploads
from mnist_exp.web.uploads import MAX_BYTES, check_cost

UPLOAD = b"POST /answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def png_header(width: int, height: int, colour: int = 6) -> bytes:
    """The start of a PNG of 8 bits a channel, without any pixels; colour 0 is grey, 6 is RGBA."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT"


def text_bomb() -> bytes:
    """A PNG of 60 KB with 30 MB of text."""
    text = b"zTXtComment\0\0" + zlib.compress(bytes(999_000), 9)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    picture = encoded(Image.new("L", (100, 100), "white"))
    return picture[:33] + 30 * chunk + picture[33:]


def scan_bomb() -> bytes:
    """A progressive JPEG with its last scan 100 times over."""
    picture = encoded(Image.new("RGB", (640, 640), "white"), "JPEG", progressive=True)
    last = picture.rindex(b"\xff\xda")
    return picture[:last] + 100 * picture[last:-2] + b"\xff\xd9"


@pytest.mark.parametrize(
    ("width", "height", "accepted"),
    [(2000, 2000, True), (2001, 2000, False), (8, 500_000, True), (8, 500_001, False)],
)
def test_pixels_are_counted_from_the_header(width: int, height: int, accepted: bool):
    picture = BytesIO(png_header(width, height))  # to decode it would fail, with another message
    if accepted:
        check_cost(picture)
        assert picture.tell() == 0
    else:
        with pytest.raises(ValueError, match=rf"^{width}x{height} is above 4 megapixels; reduce the picture first$"):
            check_cost(picture)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_the_limit_is_the_same_for_all_formats(kind: str):
    with pytest.raises(ValueError, match="2100x2100 is above 4 megapixels"):
        check_cost(BytesIO(encoded(Image.new("L" if kind != "WEBP" else "RGB", (2100, 2100)), kind)))


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ((4000, 3250), None),
        ((4000, 3251), "4000x3251 is above 13 megapixels"),
        ((30_000, 400), "30000x400 is above 4 megapixels"),  # too flat to be decoded at a part of its size
    ],
)
def test_a_jpeg_may_be_larger_where_it_is_decoded_at_a_part_of_its_size(size: tuple[int, int], problem: str | None):
    picture = BytesIO(encoded(Image.new("L", size), "JPEG"))
    if problem is None:
        check_cost(picture)
        assert read_photo(picture).size <= uploads.MAX_DECODED_PIXELS
    else:
        with pytest.raises(ValueError, match=problem):
            check_cost(picture)


def test_a_jpeg_of_many_scans_is_refused_and_a_progressive_one_is_not():
    check_cost(BytesIO(encoded(Image.new("RGB", (640, 640), "white"), "JPEG", progressive=True)))
    with pytest.raises(ValueError, match="more than 50 scans"):
        check_cost(BytesIO(scan_bomb()))


def test_the_text_in_a_png_is_limited():
    picture = BytesIO(text_bomb())
    check_cost(picture)
    with pytest.raises(PhotoError, match=r"(?i)too much memory"):
        read_photo(picture)


@pytest.mark.parametrize("content", [b"", b"no picture", png_header(100, 100)[:30]])
def test_what_is_no_picture_is_left_to_the_decoder(content: bytes):
    check_cost(BytesIO(content))


def test_only_a_few_of_a_hundred_large_uploads_are_in_memory(monkeypatch: pytest.MonkeyPatch):
    now, most, lock = 0, 0, threading.Lock()
    read_body = uploads.read_body

    async def counted(request: uploads.Request) -> BytesIO:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return await read_body(request)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(uploads, "read_body", counted)
    monkeypatch.setattr(uploads, "WAIT_SECONDS", 30.0)
    picture = bytes(200_000)
    with serving() as url, ThreadPoolExecutor(100) as clients:
        replies = list(clients.map(lambda _: ask(url, picture), range(100)))
    assert [status for status, _ in replies] == 100 * [422]
    assert 1 < most <= uploads.LARGE_UPLOADS


def test_an_upload_that_finds_no_place_is_told_to_try_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(uploads, "LARGE_UPLOADS", 1)
    large, small = bytes(uploads.SMALL_BYTES + 1), bytes(uploads.SMALL_BYTES)
    with serving() as url:
        with connect(url) as holder:
            holder.sendall(UPLOAD + b"Content-Length: 100000\r\n\r\n")
            fetch(f"{url}/models")
            status, reply = ask(url, large)
            assert (status, reply["detail"]) == (503, "too many large pictures at once; try again in a few seconds")
            assert ask(url, small)[0] == 422  # drawings never wait for a place
        deadline = time.monotonic() + 30
        while ask(url, large)[0] == 503:  # until the server has seen that the holder left
            assert time.monotonic() < deadline


@pytest.mark.parametrize("length", [MAX_BYTES, MAX_BYTES + 1, MAX_BYTES + 300_000])
def test_bytes_are_counted_as_they_come(length: int):
    announced = f"Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n".encode()  # not by Content-Length
    with serving() as url, connect(url) as client:
        client.sendall(UPLOAD + announced + bytes(length) + b"\r\n0\r\n\r\n")
        status = client.recv(100).split()[1]
    assert status == (b"413" if length > MAX_BYTES else b"422")


@pytest.mark.parametrize("kind", ["image/png", "text/plain"])
def test_a_refused_file_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch, kind: str):
    monkeypatch.setattr(uploads, "MAX_DROPPED_BYTES", 100_000)
    request = UPLOAD.replace(b"image/png", kind.encode()) + b"Content-Length: 1000000000\r\n\r\n"
    with serving() as url, connect(url) as client:
        client.sendall(request + bytes(MAX_BYTES + 1_000_000))
        assert client.recv(100).split()[1] == (b"413" if kind == "image/png" else b"415")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
def test_a_thousand_hostile_requests_are_answered_within_bounded_memory():
    chosen = random.Random(0)
    bombs = [
        (png_header(7000, 7000), "image/png", 422),
        (encoded(Image.new("1", (7000, 7000))), "image/png", 422),
        (encoded(Image.new("RGBA", (2100, 2100))), "image/png", 422),
        (b"P5 60000 60000 255\n", "image/x-portable-graymap", 422),
        (scan_bomb(), "image/jpeg", 422),
        (text_bomb(), "image/png", 422),
        (b"", "image/png", 422),
        (bytes(1000), "image/png", 422),
        (b"a=1", "text/plain", 415),
        (bytes(500_000), "image/png", 422),
    ]
    expensive = [
        (encoded(Image.new("RGBA", (2000, 2000))), "image/png", 200),
        (encoded(Image.new("I;16", (2000, 2000))), "image/png", 200),
        (bytes(MAX_BYTES + 1), "image/png", 413),
    ]
    requests = [chosen.choice(bombs) for _ in range(996)] + [*expensive, expensive[0]]
    chosen.shuffle(requests)
    with serving() as url:
        ask(url, encoded(Image.new("L", (100, 100))))
        before = most = resident_bytes()
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.005):
                most = max(most, resident_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        with ThreadPoolExecutor(8) as clients:
            replies = list(clients.map(lambda request: ask(url, *request[:2])[0], requests))
        done.set()
        watcher.join()
    assert replies == [status for _, _, status in requests]
    assert most <= 1.5 * before

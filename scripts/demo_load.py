"""How fast the demo answers: the median time of one client, and the answers a second to many.

    python -m mnist_exp.demo ckpt_path=...     # in another terminal
    python scripts/demo_load.py                # --clients 1 32 --seconds 5 --url http://127.0.0.1:8000

Each client sends one drawing after the other, as the page does, over a connection of its own.
"""

import argparse
import http.client
import io
import os
import threading
import time
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageDraw

SENT = 160  # pixels a side, as in demo.js
STROKE = [(110, 40), (62, 40), (58, 76), (84, 70), (104, 88), (98, 112), (70, 122), (48, 112)]  # a 5


def drawing() -> bytes:
    """What the page sends for a drawing: a PNG with colours and transparency."""
    image = Image.new("RGBA", (4 * SENT, 4 * SENT), "white")
    ImageDraw.Draw(image).line([(4 * x, 4 * y) for x, y in STROKE], fill="black", width=45, joint="curve")
    file = io.BytesIO()
    image.resize((SENT, SENT)).save(file, "PNG")
    return file.getvalue()


def ask_until(end: float, url: str, seconds: list[float]) -> None:
    """Send drawings until the time `end`, and append how long each answer took."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    picture = drawing()
    while time.monotonic() < end:
        start = time.perf_counter()
        connection.request("POST", "/answers", picture, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        content = answer.read()
        seconds.append(time.perf_counter() - start)
        if answer.status != 200 or b'"answers"' not in content:
            raise RuntimeError(f"the demo answered {answer.status}: {content[:200]!r}")
    connection.close()


def measure(url: str, *, clients: int, duration: float) -> str:
    """One line of the table."""
    taken: list[list[float]] = [[] for _ in range(clients)]
    end = time.monotonic() + duration
    threads = [threading.Thread(target=ask_until, args=(end, url, each)) for each in taken]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - start
    times = np.concatenate([*map(np.array, taken)]) * 1000
    middle, most = np.percentile(times, [50, 95])
    return f"{clients:>7} {len(times):>8} {middle:>7.1f} ms {most:>7.1f} ms {len(times) / passed:>9.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the demo listens")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number of clients")
    asked = parser.parse_args()
    measure(asked.url, clients=1, duration=0.5)  # warm up
    print(f"{'clients':>7} {'answers':>8} {'median':>10} {'95%':>10} {'a second':>9}")
    for clients in asked.clients:
        print(measure(asked.url, clients=clients, duration=asked.seconds), flush=True)
    if hasattr(os, "getloadavg"):
        print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()

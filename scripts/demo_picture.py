"""The picture of the demo in README.md: a photo given to its page, and what the models make of it.

    python -m mnist_exp.demo ckpt_path=[a,b,c]                              # in another terminal
    uv run --no-project --with playwright --with pillow scripts/demo_picture.py photo.jpg

It needs Chromium: the system's, or what `playwright install chromium` fetched.
"""

import argparse
import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def screenshot(url: str, photo: Path) -> bytes:
    """A PNG of the page once all models have answered."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1060, "height": 640}, reduced_motion="reduce")
        page.goto(url)
        page.wait_for_selector("article")
        page.set_input_files("#file", photo)
        page.wait_for_selector("tr.best")
        page.wait_for_selector("#paper:not(.empty)")
        picture = page.screenshot(full_page=True)
        browser.close()
    return picture


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the demo listens")
    parser.add_argument("--output", type=Path, default=Path("docs/images/demo.png"))
    arguments = parser.parse_args()
    picture = Image.open(BytesIO(screenshot(arguments.url, arguments.photo)))
    picture.convert("RGB").quantize(128).save(arguments.output, optimize=True)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")

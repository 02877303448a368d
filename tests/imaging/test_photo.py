"""From photo to MNIST's form, on pictures drawn here. python -m pytest tests/test_photo.py -v"""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from mnist_exp.imaging.photo import PhotoError, load_photo, read_photo, to_mnist_form

STROKES = {  # in a box one high
    1: [[(0.15, 0.2), (0.35, 0.0), (0.35, 1.0)]],
    4: [[(0.45, 0.0), (0.0, 0.65), (0.75, 0.65)], [(0.5, 0.35), (0.5, 1.0)]],
    5: [
        [(0.08, 0.05), (0.06, 0.45), (0.4, 0.4), (0.58, 0.6), (0.5, 0.9), (0, 0.95)],
        [(0.1, 0.0), (0.6, 0.0)],
    ],
    7: [[(0.0, 0.0), (0.6, 0.0), (0.2, 1.0)], [(0.1, 0.5), (0.5, 0.5)]],
}


def paper(width: int = 240, height: int = 300, grey: int = 225) -> np.ndarray:
    """Paper with a little noise, float [height, width]."""
    return grey + np.random.default_rng(0).normal(0, 2, (height, width))


def write(
    page: np.ndarray, digit: int = 5, *, left: int = 80, top: int = 80, tall: int = 140, pen: int = 6, ink: float = 50
) -> np.ndarray:
    """`page` with a digit written on it; `ink` is the grey of the pen."""
    mask = Image.new("L", page.shape[::-1])
    for stroke in STROKES[digit]:
        points = [(left + tall * x, top + tall * y) for x, y in stroke]
        ImageDraw.Draw(mask).line(points, fill=255, width=pen, joint="curve")
    cover = np.asarray(mask) / 255
    return page * (1 - cover) + ink * cover


def form_of(page: np.ndarray) -> np.ndarray:
    return to_mnist_form(page.clip(0, 255).astype(np.uint8))


def same(a: np.ndarray, b: np.ndarray, *, at_least: float = 0.95) -> bool:
    """Whether two digits are the same but for their edges: blurred a little, they correlate `at_least` so much."""
    a, b = (ndimage.gaussian_filter(x.astype(float), 1).ravel() for x in (a, b))
    return bool(np.corrcoef(a, b)[0, 1] > at_least)


def save(page: np.ndarray, path: Path) -> Path:
    Image.fromarray(page.clip(0, 255).astype(np.uint8)).save(path)
    return path


CLEAN = {digit: form_of(write(paper(), digit)) for digit in STROKES}
LIGHT = np.linspace(1, 0.35, 240) * np.linspace(1, 0.7, 300)[:, None]
SHADOW = np.where(np.add.outer(np.arange(300), np.arange(240)) > 250, 1.0, 0.5)


def ruled(page: np.ndarray, *, across: bool = True, down: bool = False, ink: float = 130) -> np.ndarray:
    image = Image.fromarray(page.astype(np.float32))
    for at in range(0, 300, 60):
        if across:
            ImageDraw.Draw(image).line([(0, at), (240, at + 6)], fill=ink, width=2)
        if down:
            ImageDraw.Draw(image).line([(at, 0), (at - 6, 300)], fill=ink, width=2)
    return np.asarray(image, float)


PHOTOS: dict[str, Callable[[int], np.ndarray]] = {
    "faint pencil": lambda digit: write(paper(), digit, ink=185),
    "thin pen": lambda digit: write(paper(), digit, pen=3),
    "light falling off": lambda digit: write(paper(), digit) * LIGHT,
    "sharp shadow": lambda digit: write(paper(), digit) * SHADOW,
    "chalk on a board": lambda digit: write(paper(grey=60), digit, ink=210) * LIGHT,
    "noise": lambda digit: write(paper(), digit) + np.random.default_rng(1).normal(0, 15, (300, 240)),
    "blur": lambda digit: ndimage.gaussian_filter(write(paper(), digit), 3),
    "ruled paper": lambda digit: write(ruled(paper()), digit),
    "squared paper": lambda digit: write(ruled(paper(), down=True), digit),
    "lines darker than the pen": lambda digit: write(ruled(paper(), ink=30), digit, ink=110),
    "small in a large photo": lambda digit: write(paper(1500, 1100), digit, left=900, top=300, tall=250, pen=12),
    "down in a corner": lambda digit: write(paper(), digit, left=140, top=190, tall=100, pen=5),
}


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("photo", PHOTOS.values(), ids=PHOTOS.keys())
def test_a_digit_looks_the_same_whatever_the_photo(photo: Callable[[int], np.ndarray], digit: int):
    assert same(form_of(photo(digit)), CLEAN[digit])


@pytest.mark.parametrize("digit", STROKES)
def test_the_form_is_mnists(digit: int):
    form = CLEAN[digit]
    rows, columns = np.nonzero(form)
    assert (form.dtype, form.shape) == (np.uint8, (28, 28))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert np.abs(np.array(ndimage.center_of_mass(form)) - 14).max() <= 0.5
    assert form.max() == 255
    assert (form == 0).mean() > 0.6


def test_a_digit_in_mnists_form_comes_back_as_it_was():
    seven = CLEAN[7]
    large = np.asarray(Image.fromarray(255 - seven).resize((560, 560), Image.Resampling.BICUBIC))
    page = paper(1000, 900, 255)
    page[200:760, 300:860] = large
    assert same(form_of(page), seven)
    assert same(form_of(seven), seven)


@pytest.mark.parametrize("digit", STROKES)
def test_a_photo_and_its_negative_give_nearly_the_same(digit: int):
    page = write(paper(), digit) * LIGHT
    assert same(form_of(page), form_of(255 - page))


def test_the_aspect_of_the_digit_is_kept():
    page = write(paper(), 1)
    wide = np.asarray(Image.fromarray(page.astype(np.float32)).resize((720, 300)))
    assert np.ptp(np.nonzero(form_of(page))[1]) < 7
    assert np.ptp(np.nonzero(form_of(wide))[1]) > 12


def test_thin_pens_are_widened_on_request_only():
    page = write(paper(), pen=2).clip(0, 255).astype(np.uint8)
    own, widened, wide = (to_mnist_form(page, stroke_width=width).sum() for width in (None, 2.0, 3.0))
    assert 1.3 * own < widened < 0.8 * wide


def test_a_stroke_that_stands_apart_stays_with_its_digit():
    apart = write(paper(), 5)
    apart[86:100] = paper()[86:100]  # between bar and body
    assert same(form_of(apart), CLEAN[5], at_least=0.85)


def test_specks_and_smudges_are_dropped():
    page = write(paper(), 7)
    page[20:24, 30:34] = page[150:153, 60:63] = page[260:264, 200:203] = 60
    page[60:75, 180:200] -= 15
    assert same(form_of(page), CLEAN[7])


@pytest.mark.parametrize("digit", STROKES)
def test_a_printed_cell_is_dropped_even_where_the_digit_touches_it(digit: int):
    page = write(paper(), digit)
    page[:, 15:21] = page[:, 215:219] = page[25:29] = page[216:222] = 40
    assert same(form_of(page), CLEAN[digit], at_least=0.85)  # its foot is cut a little


def test_a_box_around_the_digit_and_a_line_below_it_are_dropped():
    box = Image.fromarray(write(paper(), 7).astype(np.float32))
    ImageDraw.Draw(box).rectangle((50, 50, 200, 250), outline=50, width=4)
    underline = write(paper(), 7)
    underline[245:249, 40:220] = 50
    assert same(form_of(np.asarray(box)), CLEAN[7])
    assert same(form_of(underline), CLEAN[7])


def test_a_neighbour_cut_by_the_border_is_dropped():
    page = write(write(paper(), 5), 7, left=215, top=60)
    assert same(form_of(page), CLEAN[5])


@pytest.mark.parametrize("digit", STROKES)
def test_a_digit_that_reaches_the_border_is_kept(digit: int):
    page = write(paper(), digit)
    assert same(form_of(page[:221]), CLEAN[digit])
    assert same(form_of(page[:, 79:]), CLEAN[digit])


def test_a_1_that_fills_a_narrow_crop_is_no_printed_line():
    assert same(form_of(write(paper(), 1)[82:218, 98:134]), CLEAN[1], at_least=0.9)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_respected(tmp_path: Path, orientation: int):
    turns = Image.Transpose
    back = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE}
    back |= {6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270}
    image = Image.fromarray(write(paper(), 7).clip(0, 255).astype(np.uint8))
    stored = image.transpose(back[orientation]) if orientation in back else image
    stored.getexif()[0x0112] = orientation
    stored.save(tmp_path / "turned.jpg", exif=stored.getexif())
    assert same(load_photo(tmp_path / "turned.jpg"), CLEAN[7])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_any_mode_of_colour_is_read(tmp_path: Path, mode: str):
    page = write(np.full((300, 240), 255.0), 7, ink=0).astype(np.uint8)
    wide = Image.fromarray(page.astype(np.uint16) * 257)
    file = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    (wide if mode == "I;16" else Image.fromarray(page).convert(mode)).save(file)
    assert read_photo(file).dtype == np.uint8
    assert same(load_photo(file), CLEAN[7])


@pytest.mark.parametrize("colour", [(30, 50, 190), (200, 30, 40), (30, 140, 60)])
def test_coloured_ink_is_ink(tmp_path: Path, colour: tuple[int, int, int]):
    channels = [write(paper(), 5, ink=ink).clip(0, 255).astype(np.uint8) for ink in colour]
    Image.fromarray(np.stack(channels, -1)).save(tmp_path / "ink.jpg", quality=80)
    assert same(load_photo(tmp_path / "ink.jpg"), CLEAN[5])


def test_transparent_is_white(tmp_path: Path):
    alpha = write(np.zeros((300, 240)), 5, ink=255).astype(np.uint8)
    Image.fromarray(np.dstack([np.zeros((300, 240, 3), np.uint8), alpha])).save(tmp_path / "canvas.png")
    assert read_photo(tmp_path / "canvas.png")[0, 0] == 255
    assert same(load_photo(tmp_path / "canvas.png"), CLEAN[5])


def test_an_open_file_is_read_too():
    data = io.BytesIO()
    Image.fromarray(write(paper(), 5).astype(np.uint8)).save(data, "PNG")
    assert same(load_photo(data), CLEAN[5])


@pytest.mark.parametrize(
    "page",
    [paper(), paper() * LIGHT, paper() * SHADOW, np.full((50, 50), 255.0), ruled(paper()), ruled(paper(), down=True)],
    ids=["paper", "light falling off", "sharp shadow", "one colour", "ruled paper", "squared paper"],
)
def test_a_page_without_a_digit_is_blank(tmp_path: Path, page: np.ndarray):
    with pytest.raises(PhotoError, match=r"page\.png: blank.*take"):
        load_photo(save(page, tmp_path / "page.png"))


@pytest.mark.parametrize("gap", [60, 110])
def test_several_digits_are_refused(tmp_path: Path, gap: int):
    page = write(write(paper(400), 5, left=60), 7, left=60 + 84 + gap)
    with pytest.raises(PhotoError, match=r"page\.png: more than one digit; crop"):
        load_photo(save(page, tmp_path / "page.png"))


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A file whose header promises 100 megapixels."""
    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0\0\0\0")
    return path


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_huge_picture_is_refused_from_its_header(bomb: Path):
    with pytest.raises(PhotoError, match=r"bomb\.png: 10000x10000 is above 50 megapixels; reduce"):
        load_photo(bomb)


def test_pillow_does_not_warn_of_what_is_refused_anyway(bomb: Path):
    code = f"from mnist_exp.imaging.photo import load_photo; load_photo({str(bomb)!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "PhotoError" in said
    assert "Warning" not in said


def test_a_tiny_picture_is_refused(tmp_path: Path):
    with pytest.raises(PhotoError, match=r"dot\.png: 7x9 is too small.*8x8"):
        load_photo(save(np.zeros((9, 7)), tmp_path / "dot.png"))


def test_a_file_cut_short_is_refused(tmp_path: Path):
    for name in ("cut.jpg", "cut.png"):
        whole = save(write(paper()), tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(PhotoError, match=rf"{name}: cannot be read .*copy it again"):
            load_photo(tmp_path / name)


def test_what_is_no_picture_is_refused(tmp_path: Path):
    (tmp_path / "notes.jpg").write_text("a digit: 5")
    with pytest.raises(PhotoError, match=r"notes\.jpg: not a picture.*PNG"):
        load_photo(tmp_path / "notes.jpg")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(PhotoError, match=r"gone\.jpg: no such file; check"):
        load_photo(tmp_path / "gone.jpg")
    with pytest.raises(PhotoError, match="cannot be read"):
        load_photo(tmp_path)


def test_a_colour_array_is_refused():
    with pytest.raises(PhotoError, match=r"\(20, 20, 3\).*\[height, width\]"):
        to_mnist_form(np.zeros((20, 20, 3), np.uint8))

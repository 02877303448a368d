"""From photo to MNIST's form, on drawn pictures: python -m pytest tests/imaging/test_photo.py -v"""

import io
import runpy
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from drawn_photos import LIGHT, PHOTOS, SHADOW, STROKES, draw_line, paper, ruled, write
from PIL import Image, ImageDraw
from scipy import ndimage
from stored_results import assert_close, describe, stored

from mnist_exp.imaging import photo
from mnist_exp.imaging.photo import (
    PhotoError,
    find_digit,
    find_ink,
    find_marks,
    is_light_on_dark,
    load_photo,
    read_photo,
    redraw,
    sharpen,
    to_mnist_form,
)
from mnist_exp.imaging.photo_steps import draw_steps


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


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("name", PHOTOS)
def test_a_digit_looks_the_same_whatever_the_photo(name: str, digit: int):
    form = form_of(PHOTOS[name](digit))
    assert same(form, CLEAN[digit])
    assert_close(describe(form), stored()["photos"][name][list(STROKES).index(digit)], tolerance=0.3)


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


def test_a_stem_that_leaves_the_picture_is_no_printed_line():
    """A 4 whose stem goes from row 40 of 300 to the border or, in a higher picture, ends in clear paper."""
    forms = []
    for height in (300, 360):
        page = draw_line(paper(height=height), [(130, 40), (50, 190), (200, 190)], pen=8, ink=50)
        forms.append(form_of(draw_line(page, [(130, 40), (130, 300)], pen=8, ink=50)))
    assert same(*forms)


def test_a_foot_along_the_border_is_kept():
    page = write(paper(), 1)
    page[212:221, 70:170] = 50
    assert same(form_of(page[:221]), form_of(page), at_least=0.85)


def test_two_digits_are_told_also_where_they_touch_the_border():
    page = write(write(paper(400), 5, left=60), 4, left=190)
    for part in (page, page[80:220, 58:299]):
        with pytest.raises(PhotoError, match="more than one digit"):
            form_of(part)


def test_a_soft_shadow_beside_the_digit_is_no_ink():
    across = np.indices((300, 240)).sum(0)  # a band from border to border, 45 pixels wide
    band = ((across - 80) / 25).clip(0, 1) * ((185 - across) / 25).clip(0, 1)
    assert same(form_of(write(paper(), 7) * (1 - 0.3 * band)), CLEAN[7], at_least=0.9)


def test_each_step_can_be_seen_also_of_a_picture_that_is_refused():
    steps: list[tuple[str, np.ndarray]] = []
    to_mnist_form(write(paper(), 5).astype(np.uint8), steps=steps)
    names = ["grey", "ink", "marks", "no printed lines", "the digit: 1 of 1 pieces", "28x28"]
    assert [name for name, _ in steps] == names
    refused: list[tuple[str, np.ndarray]] = []
    with pytest.raises(PhotoError):
        to_mnist_form(np.full((50, 50), 255, np.uint8), steps=refused)
    assert [name for name, _ in refused] == ["grey", "ink"]
    sheet = draw_steps(steps, "read")
    assert sheet.size == (6 * 260, 280)


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


def test_light_ink_on_transparency_is_ink(tmp_path: Path):
    alpha = write(np.zeros((300, 240)), 5, ink=255).astype(np.uint8)
    Image.fromarray(np.dstack([np.full((300, 240, 3), 255, np.uint8), alpha])).save(tmp_path / "canvas.png")
    assert same(load_photo(tmp_path / "canvas.png"), CLEAN[5])


@pytest.mark.parametrize("alpha", [255, 0])
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (240, 220, 90), (30, 60, 200)])
def test_a_picture_of_one_colour_is_blank(tmp_path: Path, colour: tuple[int, int, int], alpha: int):
    Image.new("RGBA", (100, 80), (*colour, alpha)).save(tmp_path / "blank.png")
    with pytest.raises(PhotoError, match="blank"):
        load_photo(tmp_path / "blank.png")


def test_a_pen_that_is_as_light_as_the_paper_is_told_by_its_colour(tmp_path: Path):
    """Both are as grey as 218 of 255."""
    cover = write(np.zeros((300, 240)), 5, ink=1)[..., None].clip(0, 1)
    page = np.array((250, 205, 195)) * (1 - cover) + np.array((170, 238, 235)) * cover
    Image.fromarray(page.astype(np.uint8)).save(tmp_path / "pale.png")
    assert same(load_photo(tmp_path / "pale.png"), CLEAN[5])


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


def png_header(path: Path, *, width: int, height: int) -> Path:
    """A file whose header promises so many pixels, and which ends there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0\0\0\0")
    return path


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A file whose header promises 100 megapixels."""
    return png_header(tmp_path / "bomb.png", width=10_000, height=10_000)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_huge_picture_is_refused_from_its_header(bomb: Path):
    with pytest.raises(PhotoError, match=r"bomb\.png: 10000x10000 is above 50 megapixels; reduce"):
        load_photo(bomb)


def test_pillow_does_not_warn_of_what_is_refused_anyway(bomb: Path):
    """The module's filter is set when it is imported, so run it anew: pytest puts the filters back before each test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = runpy.run_path(photo.__file__)
        with pytest.raises(module["PhotoError"]):
            module["load_photo"](bomb)
    assert not caught


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


# --- reading ---


def test_the_largest_size_is_50_megapixels(tmp_path: Path):
    for height, message in ((5000, "cannot be read"), (5001, "above 50 megapixels")):
        with pytest.raises(PhotoError, match=message):
            load_photo(png_header(tmp_path / "large.png", width=10_000, height=height))


def test_the_smallest_size_is_8_pixels(tmp_path: Path):
    assert read_photo(save(np.zeros((8, 8)), tmp_path / "small.png")).shape == (8, 8)
    for shape in ((7, 8), (8, 7)):
        with pytest.raises(PhotoError, match="too small"):
            read_photo(save(np.zeros(shape), tmp_path / "small.png"))


def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path: Path):
    for side, read in ((2100, 525), (1000, 1000), (1030, 515)):
        assert read_photo(save(np.zeros((side, side)), tmp_path / "large.jpg")).shape == (read, read)


def test_16_bits_are_stretched_from_their_darkest_to_their_lightest_value(tmp_path: Path):
    values = np.full((8, 8), 1000)
    values[0, :3] = 3000, 5000, 1008
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "wide.png")
    assert read_photo(tmp_path / "wide.png")[0, :4].tolist() == [127, 255, 0, 0]
    Image.fromarray(values.astype(np.float32) / 1e4).save(tmp_path / "float.tif")
    assert read_photo(tmp_path / "float.tif")[0, :4].tolist() == [127, 255, 0, 0]
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "black.png")
    assert not read_photo(tmp_path / "black.png").any()


def test_half_transparent_ink_is_half_grey(tmp_path: Path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "half.png")
    assert read_photo(tmp_path / "half.png")[0, 0] == 127


@pytest.mark.parametrize(
    ("shape", "worked_on"),
    [((100, 50), (128, 64)), ((50, 127), (50, 128)), ((1000, 500), (512, 256)), ((200, 513), (200, 512))]
    + [(shape, shape) for shape in ((128, 60), (300, 200), (60, 512))],
)
def test_pictures_are_brought_to_128_to_512_pixels(
    shape: tuple[int, int], worked_on: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    seen = []
    monkeypatch.setattr(photo, "find_ink", lambda grey: (seen.append(grey.shape), find_ink(grey))[1])
    with pytest.raises(PhotoError, match="blank"):
        to_mnist_form(np.full(shape, 200, np.uint8))
    assert seen == [worked_on]


# --- ink ---


def page_with_square(size: int, *, grey: float = 99, ground: float = 199, side: int = 180) -> np.ndarray:
    """A square in the middle of a picture, for which the noise blur has a sigma of 1 pixel."""
    page = np.full((side, side), ground, np.float32)
    start = (side - size) // 2
    page[start : start + size, start : start + size] = grey
    return page


def test_ink_is_the_fraction_of_light_that_is_missing():
    ink = find_ink(page_with_square(40))
    assert ink[90, 90] == pytest.approx(1 - 100 / 200, abs=1e-4)
    assert ink[10, 10] == pytest.approx(0, abs=1e-4)
    assert find_ink(page_with_square(40, grey=0))[90, 90] == pytest.approx(1 - 1 / 200, abs=1e-4)


def test_light_ink_on_dark_paper_is_turned_over():
    ink = find_ink(page_with_square(40, grey=255 - 99, ground=255 - 199))
    assert ink[90, 90] == pytest.approx(1 - 100 / 200, abs=1e-4)


def test_values_beyond_white_count_as_white():
    too_white, white = (find_ink(page_with_square(40, ground=ground)) for ground in (300, 255))
    np.testing.assert_allclose(too_white, white, atol=1e-6)


def test_a_blur_of_a_180th_of_the_side_removes_noise():
    ink = find_ink(page_with_square(1))
    weights = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    assert ink.max() == pytest.approx(0.5 * (weights[4] / weights.sum()) ** 2, abs=1e-4)


@pytest.mark.parametrize(("width", "is_ink"), [(70, True), (76, False)])
def test_what_is_dark_over_four_tenths_of_the_side_is_no_ink(width: int, is_ink: bool):
    """A bar with a darker dot in it, which keeps the picture dark on light. The window is 73 pixels wide."""
    page = np.full((180, 180), 199, np.float32)
    page[:, 90 - width // 2 : 90 + width // 2] = 149
    page[80:100, 80:100] = 19
    assert (find_ink(page)[40, 90] > 0.2) == is_ink


def test_a_dark_strip_at_the_border_is_a_shadow():
    page = page_with_square(40)
    page[:, :20] = 99
    assert find_ink(page)[90, 5] == pytest.approx(0, abs=0.01)


def test_the_strongest_contrast_near_the_middle_tells_ink_from_paper():
    dark_on_light = page_with_square(20)
    assert not is_light_on_dark(dark_on_light)
    assert is_light_on_dark(255 - dark_on_light)
    small_and_strong = page_with_square(0)
    small_and_strong[85:90, 80:100] = 99  # 100 darker, on 100 pixels
    small_and_strong[94:104, 80:110] = 229  # 30 lighter, on 300 pixels
    assert not is_light_on_dark(small_and_strong)
    near_and_far = page_with_square(10)
    near_and_far[5:25, 5:25] = 255
    assert not is_light_on_dark(near_and_far)


def line_of_ink(*parts: tuple[int, float]) -> np.ndarray:
    """Ink values, each so many times: float [1, n]."""
    return np.concatenate([np.full(count, value) for count, value in parts])[None]


@pytest.mark.parametrize(("ink", "is_mark"), [(0.029, False), (0.031, True)])
def test_a_mark_takes_3_percent_of_the_light(ink: float, is_mark: bool):
    values = line_of_ink((900, 0.0), (99, 0.04), (1, ink))
    assert find_marks(values)[0, -1] == is_mark
    assert find_marks(values)[0, -2]


@pytest.mark.parametrize(("ink", "is_mark"), [(0.059, False), (0.061, True)])
def test_a_mark_is_three_sigmas_of_noise_darker_than_paper(ink: float, is_mark: bool):
    values = line_of_ink((170, -0.02), (730, 0.0), (99, 0.07), (1, ink))
    assert find_marks(values)[0, -1] == is_mark


@pytest.mark.parametrize(("count", "sigma"), [(170, 0.02), (150, 0.0)])
def test_noise_is_measured_at_the_16th_percentile(count: int, sigma: float):
    values = line_of_ink((count, -0.02), (900 - count, 0.0), (99, 0.07), (1, 0.05))
    assert find_marks(values)[0, -1] == (3 * sigma < 0.05)


@pytest.mark.parametrize(("dark", "floor"), [(22, 0.2), (18, 0.04)])
def test_a_mark_has_a_fifth_of_the_typical_darkness(dark: int, floor: float):
    """Typical is the 80th percentile: 1.0 if 22 of 100 marks have it, 0.2 if only 18 have."""
    values = line_of_ink((900, 0.0), (100 - dark - 1, 0.2), (dark, 1.0), (1, 0.19))
    assert find_marks(values)[0, -1] == (floor < 0.19)
    assert find_marks(line_of_ink((900, 0.0), (70, 0.15), (29, 1.0), (1, 0.21)))[0, -1]


def test_a_stroke_ends_at_three_tenths_of_its_own_darkness():
    """Its own: of the darkest ink within 4 of 100 pixels."""
    ink = np.zeros((100, 100))
    ink[50, 50] = 1
    ink[50, 54], ink[54, 50], ink[50, 45] = 0.29, 0.31, 0.29
    strokes = sharpen(ink > 0.1, ink)
    assert np.argwhere(strokes).tolist() == [[50, 45], [50, 50], [54, 50]]


# --- the digit ---


def ink_with(*bars: tuple[slice, slice], height: int = 100, width: int = 100) -> np.ndarray:
    ink = np.zeros((height, width))
    for rows, columns in bars:
        ink[rows, columns] = 1
    return ink


@pytest.mark.parametrize(("bottom", "is_whole"), [(94, False), (95, True)])
def test_what_runs_from_edge_to_edge_belongs_to_a_digit_that_fills_the_picture(bottom: int, is_whole: bool):
    """The upright stroke goes from row 4 to `bottom`. Above 90 rows, the bar is the digit's and no printed line."""
    digit = find_digit(ink_with((slice(4, 8), slice(None)), (slice(4, bottom), slice(50, 54))))
    assert digit[5, 20] == is_whole
    assert digit[60, 52]


def test_in_a_narrow_crop_a_bar_from_edge_to_edge_is_a_1():
    upright = (slice(None), slice(20, 25))
    assert find_digit(ink_with(upright, width=50)).sum() == 500
    with pytest.raises(PhotoError, match="blank: specks or printed lines"):
        find_digit(ink_with(upright, width=51))


def test_a_second_digit_is_an_error():
    with pytest.raises(PhotoError, match="more than one digit"):
        find_digit(ink_with((slice(30, 70), slice(30, 35)), (slice(30, 70), slice(60, 65))))


# --- drawing it anew ---


def test_the_longer_side_becomes_20_pixels():
    digit = ink_with((slice(30, 70), slice(40, 50)))
    upright = redraw(digit, digit > 0, None)
    assert upright.shape == (20, 5)
    assert upright.min() > 0.98  # the corners are round
    assert upright.max() == 1
    assert redraw(digit.T, digit.T > 0, None).shape == (5, 20)


@pytest.mark.parametrize(("width", "columns"), [(None, 5), (4.9, 5), (8.0, 7)])
def test_only_thinner_strokes_are_widened(width: float | None, columns: int):
    """The stroke is 5 by 20 pixels. Widened to 8, it is 8 by 23, which is scaled to 7 by 20."""
    digit = ink_with((slice(30, 70), slice(40, 50)))
    assert redraw(digit, digit > 0, width).shape == (20, columns)


@pytest.mark.parametrize(("width", "widened"), [(6, 6), (7, 6), (8.9, 6), (9, 8), (20, 18), (21, 20)])
def test_a_straight_stroke_is_widened_by_whole_pixels_on_both_sides(width: float, widened: int):
    """The stroke is 6 pixels wide, and counts as 7, the distance from paper to paper."""
    strokes = np.zeros((30, 2000), bool)
    strokes[10:16] = True
    assert photo._widen(strokes, width).sum(0)[1000] == widened


def test_a_blurred_stroke_ends_at_half_of_its_darkness():
    profile = (1 - np.abs(np.arange(100) - 49.5) / 10).clip(0, 1)  # half at 5 pixels from the middle: 10 wide
    ink = np.zeros((100, 100))
    ink[10:90] = profile
    assert redraw(ink, ink > 0.1, None).shape == (20, 2)  # 80 by 10, scaled by a quarter to 2.5
    traced = photo._trace(ink, ink > 0.1)
    assert traced.sum(1).max() == pytest.approx(20, abs=1)  # enlarged by 2, to 160 pixels


def test_edges_are_grey_from_averaging():
    half = np.zeros((40, 40), bool)
    half[:, :11] = half[-2:] = True  # 11 columns are 5.5 pixels
    drawn = redraw(half.astype(float), half, None)
    assert drawn[5, :7] == pytest.approx([1, 1, 1, 1, 1, 0.5, 0], abs=0.02)


def test_an_opaque_picture_is_grey_as_without_its_alpha_channel(tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 256, (20, 20, 4), dtype=np.uint8)
    for alpha in (255, 254):
        colours[..., 3] = alpha
        Image.fromarray(colours).save(tmp_path / "canvas.png")
        over_white = Image.alpha_composite(Image.new("RGBA", (20, 20), "white"), Image.fromarray(colours))
        np.testing.assert_array_equal(read_photo(tmp_path / "canvas.png"), np.asarray(over_white.convert("L")))

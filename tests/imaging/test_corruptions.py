"""What every corruption promises: python -m pytest tests/imaging/test_corruptions.py -v"""

import io
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from stored_results import CORRUPTIONS, assert_close, describe, describe_corruption, soft_strokes, stored
from torch import Tensor

from mnist_exp.imaging import corruptions
from mnist_exp.imaging.corruptions import FAMILIES, corrupt

DRAWS_NOTHING = {
    *("scale", "brightness", "stripe", "canny_edges", "pen_thin", "pen_thick"),
    *("camera_defocus", "camera_jpeg", "camera_lowres"),
}
CHANGES_THE_BACKGROUND = {
    *("impulse_noise", "brightness", "stripe", "fog", "spatter", "dotted_line", "zigzag"),
    *("camera_noise", "camera_jpeg", "camera_light", "camera_contrast"),
}
every_corruption = pytest.mark.parametrize("name", CORRUPTIONS)
every_random_corruption = pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in DRAWS_NOTHING])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """A thousand small calls: on a busy machine, threads that wait for each other make them five times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    return soft_strokes()


def test_mnist_c_has_its_fifteen_corruptions() -> None:
    assert FAMILIES["mnist_c"] == (
        *("shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness"),
        *("translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges"),
    )


def test_our_own_names_begin_with_their_family() -> None:
    assert list(FAMILIES) == ["mnist_c", "hand", "pen", "camera"]
    assert all(name.startswith(f"{family}_") for family in ("hand", "pen", "camera") for name in FAMILIES[family])


def test_the_digits_are_those_of_the_stored_results(digits: Tensor) -> None:
    assert_close(describe(digits), stored()["digits"])


@every_corruption
def test_every_severity_gives_the_stored_result(name: str) -> None:
    assert_close(describe_corruption(name), stored()["corruptions"][name])


@every_corruption
def test_severity_0_returns_an_equal_copy(name: str, digits: Tensor) -> None:
    same = corrupt(digits, name, severity=0, seed=0)
    assert torch.equal(same, digits)
    assert same.data_ptr() != digits.data_ptr()


@every_corruption
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_the_same_seed_gives_the_same_bytes(name: str, severity: int, digits: Tensor) -> None:
    before = digits.clone()
    first, again = (corrupt(digits, name, severity=severity, seed=7) for _ in range(2))
    assert torch.equal(first, again)
    assert (first.dtype, first.shape) == (torch.uint8, digits.shape)
    assert torch.equal(digits, before)
    assert not torch.equal(first, digits)


@every_random_corruption
def test_another_seed_gives_other_bytes(name: str, digits: Tensor) -> None:
    assert not torch.equal(*(corrupt(digits, name, severity=3, seed=seed) for seed in (0, 1)))


@pytest.mark.parametrize("name", sorted(DRAWS_NOTHING))
def test_what_draws_nothing_ignores_the_seed(name: str, digits: Tensor) -> None:
    assert torch.equal(*(corrupt(digits, name, severity=3, seed=seed) for seed in (0, 1)))


@every_random_corruption
def test_every_image_gets_its_own_draw_in_every_chunk(
    name: str, digits: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corruptions, "CHUNK", 8)
    twenty = corrupt(digits[5].expand(20, -1, -1), name, severity=3, seed=0)
    assert len(twenty) == 20
    assert len(twenty[:8].unique(dim=0)) > 1
    assert not torch.equal(twenty[:8], twenty[8:16])


@every_corruption
def test_the_global_generator_is_left_alone(name: str, digits: Tensor) -> None:
    before = torch.get_rng_state()
    corrupt(digits, name, severity=3, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@every_corruption
def test_severity_5_changes_more_than_severity_1(name: str, digits: Tensor) -> None:
    mild, hard = (
        (corrupt(digits, name, severity=severity, seed=0).float() - digits).abs().mean() for severity in (1, 5)
    )
    assert hard > mild


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in CHANGES_THE_BACKGROUND])
def test_an_empty_page_stays_empty(name: str) -> None:
    page = torch.zeros(3, 28, 28, dtype=torch.uint8)
    assert torch.equal(corrupt(page, name, severity=5, seed=0), page)


def test_severity_3_is_the_published_one_where_it_can_be_read_off(digits: Tensor) -> None:
    striped = corrupt(digits, "stripe", severity=3, seed=0)
    assert torch.equal(striped[:, :, 7:21], digits[:, :, 7:21])
    assert torch.equal(striped[:, :, :7], 255 - digits[:, :, :7])
    assert torch.equal(striped[:, :, 21:], 255 - digits[:, :, 21:])
    page = torch.zeros(8, 28, 28, dtype=torch.uint8)
    assert corrupt(page, "brightness", severity=3, seed=0).unique().tolist() == [128]
    page[:, 14, 14] = 255
    assert {tuple(where) for where in corrupt(page, "translate", severity=3, seed=0).nonzero()[:, 1:].tolist()} == {
        *((11, 11), (11, 17), (17, 11), (17, 17))
    }


def test_shear_leans_by_its_angle_and_stretches_upwards() -> None:
    page = torch.zeros(8, 28, 28, dtype=torch.uint8)
    page[:, 5, 13:15] = 255  # 8.5 pixels above the centre
    sheared = corrupt(page, "shear", severity=3, seed=0).double()
    ink = sheared.sum((1, 2))
    up = 13.5 - (sheared.sum(2) @ torch.arange(28.0).double()) / ink
    aside = (sheared.sum(1) @ torch.arange(28.0).double()) / ink - 13.5
    assert up.tolist() == pytest.approx([8.5 / math.cos(0.4)] * 8, abs=0.05)
    assert {round(float(each), 1) for each in aside} == {-3.6, 3.6}  # 8.5 * tan(0.4)


def test_pixels_behind_frosted_glass_change_places_and_travel_up_and_to_the_left() -> None:
    page = torch.zeros(500, 28, 28, dtype=torch.uint8)
    page[:, 14, 14] = 255
    glass = corrupt(page, "glass_blur", severity=3, seed=0)
    assert glass.sum((1, 2)).double().mean() == pytest.approx(255, rel=0.02)  # no pixel is shown twice or lost
    columns = glass.amax(1).nonzero()[:, 1]
    assert columns.max() == 14 + 2  # to the right by one in each of two turns
    assert columns.min() <= 14 - 6


def test_glass_blur_goes_up_and_down_only_and_leaves_the_two_upper_and_left_lines_in_place() -> None:
    page = torch.zeros(50, 28, 28, dtype=torch.uint8)
    page[:, :, 0] = 255
    glass = corrupt(page, "glass_blur", severity=5, seed=0)
    assert torch.equal(glass, page)


def test_clouds_weaken_by_1_96_from_one_octave_to_the_next() -> None:
    clouds = corruptions.plasma(torch.Generator().manual_seed(0), 500)
    spreads = []
    for half in (1, 2, 4):  # the middle of a square against the mean of its corners
        middle = clouds[:, half :: 2 * half, half :: 2 * half][:, :3, :3]
        corners = clouds[:, :: 2 * half, :: 2 * half][:, :4, :4]
        mean = (corners[:, :-1, :-1] + corners[:, 1:, :-1] + corners[:, :-1, 1:] + corners[:, 1:, 1:]) / 4
        spreads.append(float((middle - mean).square().mean().sqrt()))
    assert [spreads[1] / spreads[0], spreads[2] / spreads[1]] == pytest.approx([1.96, 1.96], rel=0.05)
    assert (float(clouds.min()), float(clouds.max())) == pytest.approx((0, 1), abs=0.02)


def test_fog_keeps_the_brightest_pixel_no_brighter_than_it_was() -> None:
    page = torch.zeros(20, 28, 28, dtype=torch.uint8)
    page[:, 14, 14] = 100
    assert corrupt(page, "fog", severity=3, seed=0).amax() <= 100


def test_jpeg_rounds_to_the_steps_of_the_standard() -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=50)
    assert corruptions.JPEG_STEPS.flatten().tolist() == list(Image.open(file).quantization[0])


@pytest.mark.parametrize(("severity", "quality"), [(1, 40), (3, 15), (5, 4)])
def test_jpeg_is_what_pillow_makes_of_it(severity: int, quality: int, digits: Tensor) -> None:
    theirs = []
    for image in digits.numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        theirs.append(np.asarray(Image.open(file)))
    ours = corrupt(digits, "camera_jpeg", severity=severity, seed=0).numpy()
    assert np.abs(ours - np.stack(theirs).astype(int)).mean() < 0.2  # grey levels; where cosines fall between two steps


def test_no_images_are_no_trouble() -> None:
    nothing = torch.zeros(0, 28, 28, dtype=torch.uint8)
    assert corrupt(nothing, "fog", severity=3, seed=0).shape == (0, 28, 28)


def test_a_mistyped_name_is_answered_with_the_nearest_and_the_list(digits: Tensor) -> None:
    with pytest.raises(ValueError, match=r"did you mean 'zigzag'\? There are: shot_noise, .*camera_lowres"):
        corrupt(digits, "zigzak", severity=3, seed=0)


@pytest.mark.parametrize("severity", [-1, 6, 2.5, "3", True, None])
def test_a_severity_that_does_not_exist_is_refused(severity: int, digits: Tensor) -> None:
    with pytest.raises(ValueError, match="from 0"):
        corrupt(digits, "fog", severity=severity, seed=0)


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 28, 28), torch.zeros(28, 28).byte(), torch.zeros(2, 1, 28, 28).byte()]
)
def test_images_of_another_kind_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8 images of shape"):
        corrupt(images, "fog", severity=3, seed=0)


@pytest.mark.parametrize(
    ("upper", "lower", "edges"),
    [
        (25, 25, (True, True)),  # both strong
        (25, 12, (True, True)),  # a weak edge that goes on from a strong one
        (12, 12, (False, False)),  # a weak edge alone
        (25, 5, (True, False)),  # fainter than weak
    ],
)
def test_canny_keeps_weak_edges_only_beside_strong_ones(upper: int, lower: int, edges: tuple[bool, bool]):
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[:, :14, 14:], image[:, 14:, 14:] = upper, lower
    found = corrupt(image, "canny_edges", severity=3, seed=0)[0] > 0
    border = found[:, 12:16].any(dim=1)
    assert (bool(border[3:10].all()), bool(border[16:22].all())) == edges

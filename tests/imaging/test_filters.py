"""The filters against plain loops and formulas: python -m pytest tests/imaging/test_filters.py -v"""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from mnist_exp.imaging import filters


@pytest.fixture
def x() -> Tensor:
    """Three images of random grey, (3, 28, 28)."""
    return torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))


def per_image(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None]


def gaussian_by_hand(at: int, centres: list[float], sigma: float) -> np.ndarray:
    return np.array([math.exp(-((at - centre) ** 2) / (2 * sigma**2)) for centre in centres])


def blur_by_hand(image: np.ndarray, sigma_x: float, sigma_y: float) -> np.ndarray:
    """Each pixel is the mean of all, weighted by a Gaussian of their distance."""
    blurred = np.zeros((28, 28))
    pixels = list(range(28))
    for row in pixels:
        for column in pixels:
            weights = np.outer(gaussian_by_hand(row, pixels, sigma_y), gaussian_by_hand(column, pixels, sigma_x))
            blurred[row, column] = (weights * image).sum() / weights.sum()
    return blurred


def test_pixel_offsets_are_counted_from_the_middle() -> None:
    assert filters.pixel_offsets().tolist() == [index - 13.5 for index in range(28)]


def test_blur_is_a_weighted_mean(x: Tensor) -> None:
    blurred = filters.blur(x, 1.3)
    np.testing.assert_allclose(blurred[1], blur_by_hand(x[1].numpy(), 1.3, 1.3), atol=1e-5)


def test_blur_each_has_a_sigma_for_each_image_and_direction(x: Tensor) -> None:
    blurred = filters.blur_each(x, sigma_x=per_image(0.5, 2, 1), sigma_y=per_image(1, 0.7, 3))
    np.testing.assert_allclose(blurred[0], blur_by_hand(x[0].numpy(), 0.5, 1), atol=1e-5)
    np.testing.assert_allclose(blurred[1], blur_by_hand(x[1].numpy(), 2, 0.7), atol=1e-5)


def test_both_blurs_are_equal_up_to_rounding(x: Tensor) -> None:
    sigma = torch.tensor(0.8)
    torch.testing.assert_close(filters.blur_each(x, sigma_x=sigma, sigma_y=sigma), filters.blur(x, 0.8))


def test_a_blur_of_nearly_nothing_leaves_the_images_as_they_are(x: Tensor) -> None:
    tiny = torch.tensor(1e-3)
    torch.testing.assert_close(filters.blur_each(x, sigma_x=tiny, sigma_y=tiny), x)


@pytest.mark.parametrize("cells", [5, 28])
def test_smooth_noise_is_a_sum_of_gaussians_around_the_cells(cells: int) -> None:
    draws = torch.randn(1, cells, cells, generator=torch.Generator().manual_seed(1))
    sigma = 0.6 * 28 / cells
    centres = [(cell + 0.5) * 28 / cells - 0.5 for cell in range(cells)]
    weights = np.stack([gaussian_by_hand(pixel, centres, sigma) for pixel in range(28)])
    weights /= np.sqrt((weights**2).sum(1, keepdims=True))
    expected = weights @ draws[0].numpy() @ weights.T
    np.testing.assert_allclose(filters.smooth_noise(draws, sigma=sigma)[0], expected, atol=1e-5)


def test_smooth_noise_has_variance_1() -> None:
    draws = torch.randn(2000, 28, 28, generator=torch.Generator().manual_seed(2))
    noise = filters.smooth_noise(draws, sigma=3.5)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    torch.testing.assert_close(noise.var(0), torch.ones(28, 28), atol=0.15, rtol=0)


def test_dilate_takes_the_brightest_of_nine(x: Tensor) -> None:
    expected = [ndimage.grey_dilation(image, (3, 3), mode="constant") for image in x.numpy()]
    np.testing.assert_array_equal(filters.dilate(x), np.stack(expected))


def test_thicken_mixes_with_the_dilated_image(x: Tensor) -> None:
    assert torch.equal(filters.thicken(x, 0.0), x)
    torch.testing.assert_close(filters.thicken(x, 1.0), filters.dilate(x))
    torch.testing.assert_close(filters.thicken(x, per_image(0, 0.25, 1))[1], 0.75 * x[1] + 0.25 * filters.dilate(x)[1])


def test_thin_keeps_the_middle_of_a_stroke_and_drops_its_sides() -> None:
    stroke = torch.zeros(1, 28, 28)
    stroke[:, :, 12:17] = 1
    blurred = filters.blur(stroke, filters.THIN_BLUR)
    ridge = blurred / filters.dilate(blurred)
    side = ridge[0, 14, 12].item()
    assert torch.equal(filters.thin(stroke, side - 0.01, blurred=blurred), stroke)
    thinner = filters.thin(stroke, side + 0.05, blurred=blurred)[0, 14]
    assert thinner[13:16].tolist() == [1, 1, 1]
    assert thinner[12].item() == pytest.approx(1 - 0.05 / 0.15, abs=1e-4)
    gone = filters.thin(stroke, per_image(min(side + 0.16, 1)), blurred=blurred)[0, 14]
    assert gone[12] == gone[16] == 0
    assert gone[14] == 1


def test_thin_drops_what_is_fainter_than_a_fifth() -> None:
    faint = torch.full((1, 28, 28), 0.1)
    kept = filters.thin(faint, 0.5, blurred=faint)
    torch.testing.assert_close(kept, faint)  # 0.1 / 0.2 is the cut
    torch.testing.assert_close(filters.thin(faint, 0.575, blurred=faint), faint / 2)
    assert not filters.thin(faint, 0.65 + 1e-6, blurred=faint).any()


def test_strokes_break_where_noise_is_below_the_threshold() -> None:
    noise = torch.linspace(-2, 2, 28).expand(1, 28, 28)
    broken = filters.break_strokes(torch.ones(1, 28, 28), noise, -1.0)
    expected = [1 / (1 + math.exp(-8 * (value + 1))) for value in noise[0, 0].tolist()]
    np.testing.assert_allclose(broken[0, 5], expected, atol=1e-5)


def test_grain_takes_up_to_its_depth() -> None:
    noise = torch.tensor([0.0, 0.5, 1.0]).repeat(28, 10)[:, :28]
    grainy = filters.add_grain(torch.full((1, 28, 28), 0.5), noise, 0.8)
    np.testing.assert_allclose(grainy[0, 0, :3], [0.5, 0.3, 0.1], atol=1e-6)


def test_shrink_averages_and_enlarge_interpolates() -> None:
    image = torch.zeros(1, 28, 28)
    image[:, 4:8, 8:12] = 1  # one block of the seven by seven
    small = filters.shrink(image, 7)
    assert small.shape == (1, 7, 7)
    assert small.argmax() == 1 * 7 + 2
    assert small.sum().item() == pytest.approx(1, abs=0.05)
    blocks = filters.enlarge(small, mode="nearest-exact")
    np.testing.assert_array_equal(blocks[0], np.kron(small[0], np.ones((4, 4))))
    smooth = filters.enlarge(torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]))
    np.testing.assert_allclose(smooth[0, 3], ((np.arange(28) - 6.5) / 14).clip(0, 1), atol=1e-6)

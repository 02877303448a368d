"""What augmentation promises: python -m pytest tests/imaging/test_augment.py -v"""

import pytest
import torch
from stored_results import (
    EFFECTS,
    PARTS,
    assert_close,
    describe_effect,
    describe_handwriting,
    handwriting_settings,
    stored,
)
from torch import Tensor

from mnist_exp.data.digits import Digits
from mnist_exp.imaging import augment
from mnist_exp.imaging.augment import Handwriting

every_effect = pytest.mark.parametrize("name", EFFECTS)


@pytest.fixture(scope="module")
def images(small_digits: tuple[Digits, Digits]) -> Tensor:
    return small_digits[0].images


@pytest.fixture(scope="module")
def labels(small_digits: tuple[Digits, Digits]) -> Tensor:
    return small_digits[0].labels


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_a_batch_keeps_shape_dtype_and_its_own_bytes(images: Tensor, labels: Tensor) -> None:
    before = images.clone()
    augmented = Handwriting()(images, labels)
    assert (augmented.shape, augmented.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)


def test_no_images_are_no_trouble(images: Tensor, labels: Tensor) -> None:
    assert Handwriting()(images[:0], labels[:0]).shape == (0, 28, 28)


def test_equal_images_in_a_batch_come_out_different(images: Tensor, labels: Tensor) -> None:
    augmented = Handwriting(unchanged=0)(images[4].expand(20, -1, -1), labels[4].expand(20))
    assert len(augmented.unique(dim=0)) == 20


def test_the_same_seed_gives_the_same_batch_and_another_seed_another(images: Tensor, labels: Tensor) -> None:
    first, second, third = (torch.manual_seed(seed) and Handwriting()(images, labels) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_mixed_precision_leaves_the_images_alone(images: Tensor, labels: Tensor) -> None:
    exact = Handwriting()(images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(torch.manual_seed(0) and Handwriting()(images, labels), exact)


def test_strength_0_changes_nothing(images: Tensor, labels: Tensor) -> None:
    assert torch.equal(Handwriting(strength=0)(images, labels), images)


@pytest.mark.parametrize(
    "part", ["drawn", "geometry", "elastic", "stretch", "squeeze", "pen", "ink", "camera", "paper"]
)
def test_a_part_can_be_left_out(part: str, images: Tensor, labels: Tensor) -> None:
    left_out, put_to_0 = (
        torch.manual_seed(0) and Handwriting(**how)(images, labels) for how in ({"without": part}, {part: 0})
    )
    assert torch.equal(left_out, put_to_0)
    assert not torch.equal(left_out, torch.manual_seed(0) and Handwriting()(images, labels))


def test_some_images_stay_as_they_are(images: Tensor, labels: Tensor) -> None:
    unchanged = [
        (Handwriting(unchanged=share)(images, labels) == images).flatten(1).all(1).float().mean()
        for share in (0, 0.5, 1)
    ]
    assert unchanged == [0, pytest.approx(0.5, abs=0.1), 1]


def test_a_1_is_drawn_four_times_as_often(images: Tensor) -> None:
    settings = dict.fromkeys(PARTS, 0.0) | {"unchanged": 0.0}
    for label, share in ((1, 0.8), (3, 0.2)):
        augmented = Handwriting(**settings | {"drawn": 0.2})(images, torch.full((len(images),), label))
        changed = (augmented != images).flatten(1).any(1).float().mean()
        assert changed == pytest.approx(share, abs=0.1), label


def test_a_7_is_squeezed_less() -> None:
    settings = dict.fromkeys(PARTS, 0.0) | {"unchanged": 0.0, "squeeze": 1.0}
    bar = torch.zeros(200, 28, 28, dtype=torch.uint8)
    bar[:, 14, 4:24] = 255
    widths = {label: (Handwriting(**settings)(bar, torch.full((200,), label)) > 127).any(1).sum(1) for label in (3, 7)}
    assert 9 <= widths[3].min() <= 11
    assert 14 <= widths[7].min() <= 16


def test_a_part_that_there_is_not_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match=r"augment\.without is one of drawn, .* paper, relatives, or null, not .pens."):
        Handwriting(without="pens")


def test_relatives_of_mnist_c_can_be_left_out(images: Tensor, labels: Tensor) -> None:
    paper_alone = dict.fromkeys(PARTS, 0.0) | {"paper": 1.0, "unchanged": 0.0}
    assert torch.equal(Handwriting(**paper_alone, without="relatives")(images, labels), images)
    assert not torch.equal(Handwriting(**paper_alone)(images, labels), images)


def test_the_digit_is_still_there(images: Tensor, labels: Tensor) -> None:
    """Lines, blots and grey paper add ink, a light hand takes some away; few images may lose or gain a lot."""
    ink = Handwriting()(images, labels).float().mean((1, 2)) / images.float().mean((1, 2))
    assert 0.7 < ink.median() < 1.3
    assert (ink < 0.15).float().mean() < 0.05


@every_effect
def test_every_effect_changes_the_image_and_stays_in_touch_with_it(name: str, images: Tensor) -> None:
    x = images.float() / 255
    changed = getattr(augment, name)(x).clamp(0, 1)
    assert changed.shape == x.shape
    assert not torch.equal(changed, x)
    cosine = torch.nn.functional.cosine_similarity(x.flatten(1), changed.flatten(1))
    assert cosine.median() > 0.3


@every_effect
def test_every_effect_gives_the_stored_result(name: str) -> None:
    assert_close(describe_effect(name), stored()["effects"][name])


@pytest.mark.parametrize(("name", "settings"), handwriting_settings().items())
def test_handwriting_gives_the_stored_result(name: str, settings: dict[str, float]) -> None:
    assert_close(describe_handwriting(settings), stored()["handwriting"][name])


def test_pens_are_finer_and_broader(images: Tensor) -> None:
    x = images.float() / 255
    assert augment.fine_pen(x).mean() < 0.9 * x.mean()
    assert augment.felt_pen(x).mean() > 1.2 * x.mean()


def test_a_share_is_a_share(images: Tensor) -> None:
    x = images.float() / 255
    wiped = augment.apply_one_of(x, 0.5, {torch.zeros_like: 0.6, torch.ones_like: 0.4})
    black, white = ((wiped == value).flatten(1).all(1).float().mean() for value in (0, 1))
    assert black.item() == pytest.approx(0.3, abs=0.08)
    assert white.item() == pytest.approx(0.2, abs=0.08)
    assert torch.equal(augment.apply_one_of(x, 0.0, {torch.zeros_like: 1.0}), x)

"""python -m pytest tests/data/test_digits.py"""

import hashlib

import pytest
import torch

from mnist_exp.data.digits import Digits, fingerprint


def zeros(count: int = 3) -> Digits:
    return Digits(torch.zeros(count, 28, 28, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64))


def numbered(count: int) -> Digits:
    """Every pixel of image i is i, and its label is i % 10."""
    index = torch.arange(count)
    return Digits(index.to(torch.uint8)[:, None, None].repeat(1, 28, 28), index % 10)


def test_a_batch_holds_the_images_and_labels_at_its_indices():
    digits = numbered(14)
    images, labels = digits[torch.tensor([13, 2, 2])]
    assert images.tolist() == [[[i] * 28] * 28 for i in (13, 2, 2)]
    assert labels.tolist() == [3, 2, 2]
    assert len(digits) == 14


def test_digits_move_to_a_device_with_images_and_labels(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Digits, "__post_init__", lambda _: None)  # the device `meta` has no numbers to check
    moved = numbered(3).to(torch.device("meta"))
    assert (moved.images.device.type, moved.labels.device.type) == ("meta", "meta")


def test_there_may_be_no_digits_at_all():
    assert len(zeros(0)) == 0


def test_the_fingerprint_is_the_sha256_of_each_parts_pixels_and_little_endian_labels():
    images = (torch.arange(2 * 784) % 251).to(torch.uint8).view(2, 28, 28)
    expected = hashlib.sha256(bytes(i % 251 for i in range(1568)) + b"\3" + bytes(7) + b"\x09" + bytes(7))
    found = fingerprint(Digits(images, torch.tensor([3, 9])))
    assert found == f"sha256:{expected.hexdigest()}"
    assert found == "sha256:91a5e1b0307bb7898c5207399e5efa7c8b0e3640d1aea39d4de137dba825f325"


def test_the_fingerprint_depends_on_the_digits_and_not_on_how_memory_holds_them():
    every_second = Digits(numbered(8).images[::2], numbered(8).labels[::2])
    copied = Digits(every_second.images.clone(), every_second.labels.clone())
    assert fingerprint(every_second) == fingerprint(copied)


def test_the_fingerprint_changes_with_one_pixel_one_label_and_the_order_of_parts():
    pixel, label = zeros(), zeros()
    pixel.images[1, 2, 3] = 1
    label.labels[1] = 1
    parts = [(zeros(), zeros()), (zeros(), pixel), (pixel, zeros()), (zeros(), label)]
    assert len({fingerprint(*pair) for pair in parts}) == len(parts)


@pytest.mark.parametrize(
    ("images", "labels", "fragment"),
    [
        (torch.zeros(2, 28, 28), torch.zeros(2, dtype=torch.int64), "uint8"),
        (torch.zeros(2, 28, 27, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "28"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "labels"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.zeros(2), "labels"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([0, 10]), "0 to 9"),
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([-1, 9]), "0 to 9"),
    ],
)
def test_other_shapes_types_and_labels_are_refused(images: torch.Tensor, labels: torch.Tensor, fragment: str):
    with pytest.raises(ValueError, match=fragment):
        Digits(images, labels)

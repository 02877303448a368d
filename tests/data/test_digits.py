import pytest
import torch

from mnist_exp.data.digits import Digits, fingerprint


def zeros(count: int = 3) -> Digits:
    return Digits(torch.zeros(count, 28, 28, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64))


def test_a_batch_is_cut_at_once():
    images, labels = zeros()[torch.tensor([0, 2])]
    assert images.shape == (2, 28, 28)
    assert labels.shape == (2,)


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
        (torch.zeros(2, 28, 28, dtype=torch.uint8), torch.tensor([0, 10]), "0 to 9"),
    ],
)
def test_what_is_no_digits_is_refused(images: torch.Tensor, labels: torch.Tensor, fragment: str):
    with pytest.raises(ValueError, match=fragment):
        Digits(images, labels)

"""scripts/junk.py: what is no digit, and how much of it is refused.

python -m pytest tests/scripts/test_junk.py -v
"""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from mnist_exp.data.digits import Digits

SmallMNIST = tuple[Digits, Digits]


@pytest.fixture
def script(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, small_mnist: SmallMNIST) -> ModuleType:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    from scripts import junk

    monkeypatch.setattr(junk, "load_mnist", lambda _: small_mnist)
    return junk


@pytest.mark.parametrize("kind", ["scribbles", "letters", "two digits"])
def test_junk_has_the_form_of_mnist_and_is_always_the_same(script: ModuleType, small_mnist: SmallMNIST, kind: str):
    images, again = (script.junk(kind, small_mnist[1].images.numpy(), count=20) for _ in range(2))
    assert torch.equal(images, again)
    assert (images.dtype, images.shape) == (torch.uint8, (20, 28, 28))
    assert len(images.unique(dim=0)) == 20
    for image in images.numpy():
        rows, columns = np.nonzero(image > 50)
        assert 15 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert image.max() > 200


def test_the_table_has_a_row_for_each_kind_and_for_the_test_images(
    script: ModuleType, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(script, "COUNT", 5)
    script.main([checkpoint], data_dir=tmp_path)
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[4:]]
    assert [line[1] for line in lines] == ["scribbles", "letters", "two digits", "MNIST's test images"]
    assert all(0 <= float(line[3]) <= float(line[4]) <= float(line[5].rstrip(" |")) <= 100 for line in lines)

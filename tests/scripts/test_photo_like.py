"""Photo-like pictures of known digits are read as the digits cut perfectly: pytest tests/scripts/test_photo_like.py"""

from types import ModuleType

import numpy as np
import pytest
from conftest import drawn
from scipy import ndimage

KINDS = [
    "plain", "pale pen", "colour alone", "light on dark", "vignette", "shadow", "ruled", "squared", "printed box",
    "cell", "underline", "table edge", "leaves", "tight", "broken", "neighbours", "hair",
]  # fmt: skip


@pytest.fixture(scope="module")
def script(pytestconfig: pytest.Config) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(pytestconfig.rootpath)
        from scripts import photo_like
    return photo_like


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two digits that are blurred a little."""
    a, b = (ndimage.gaussian_filter(x.astype(float), 1).ravel() for x in (a, b))
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_six_pictures_of_each_kind_are_read_as_cut_perfectly(script: ModuleType, kind: str):
    for label in range(2, 8):
        picture, perfect = script.render(drawn(label, seed=1), kind, np.random.default_rng(label), longest=400)
        image = script.read(picture)
        assert image is not None, label
        assert likeness(image, perfect) > (0.7 if kind == "broken" else 0.8), label  # a gap stays a gap


def test_the_same_seed_gives_the_same_picture(script: ModuleType):
    one, other = (script.render(drawn(2, seed=0), "squared", np.random.default_rng(3), longest=300) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_kind_but_the_narrow_shadow_is_tried(script: ModuleType):
    assert set(KINDS) == set(script.KINDS) - {"finger"}

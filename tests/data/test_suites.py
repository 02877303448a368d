"""What `evaluate` tests on: python -m pytest tests/data/test_suites.py"""

import bz2
import hashlib
import logging
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from mnist_exp.cli.overrides import CONF
from mnist_exp.data import suites
from mnist_exp.data.csv_file import write_csv
from mnist_exp.data.digits import Digits, fingerprint
from mnist_exp.data.suites import Suite
from mnist_exp.imaging.corruptions import FAMILIES

SmallMNIST = tuple[Digits, Digits]


def suite(name: str, *overrides: str) -> Suite:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("evaluate", [f"suite={name}", "dataset=mnist", *overrides]).suite)


def test_the_test_suite_is_the_test_set(small_mnist: SmallMNIST):
    [(name, digits)] = suite("test").subsets()
    assert name == "test"
    assert fingerprint(digits) == fingerprint(small_mnist[1])


def test_corruptions_are_subsets_of_their_families_with_the_labels_of_the_test_set(small_mnist: SmallMNIST):
    subsets = dict(suite("corruptions").subsets())
    assert list(subsets) == [f"{family}/{name}" for family, names in FAMILIES.items() for name in names]
    assert all(torch.equal(digits.labels, small_mnist[1].labels) for digits in subsets.values())
    assert len({fingerprint(digits) for digits in subsets.values()}) == len(subsets)


def test_severity_and_seed_of_corruptions_come_from_the_configuration(small_mnist: SmallMNIST):
    untouched = dict(suite("corruptions", "suite.severity=0").subsets())
    assert all(torch.equal(digits.images, small_mnist[1].images) for digits in untouched.values())
    noises = (next(suite("corruptions", f"suite.seed={seed}").subsets())[1] for seed in (1, 1, 2))
    one, same, other = map(fingerprint, noises)
    assert one == same != other


@pytest.mark.usefixtures("small_mnist")
def test_without_settings_corruptions_are_of_severity_3_and_seed_0_over_every_image():
    default = next(suites.Corruptions(name="corruptions", data_dir="").subsets())[1]
    spelt_out = next(suites.Corruptions(name="corruptions", data_dir="", severity=3, seed=0, every=1).subsets())[1]
    harder = next(suites.Corruptions(name="corruptions", data_dir="", severity=4).subsets())[1]
    assert fingerprint(default) == fingerprint(spelt_out) != fingerprint(harder)
    assert len(default) == 60


def test_every_fifth_image_can_stand_for_all(small_mnist: SmallMNIST):
    _, digits = next(suite("corruptions", "suite.every=5", "suite.severity=0").subsets())
    assert torch.equal(digits.images, small_mnist[1].images[::5])
    assert torch.equal(digits.labels, small_mnist[1].labels[::5])
    with pytest.raises(ValueError, match=r"suite\.every"):
        next(suite("corruptions", "suite.every=0").subsets())


@pytest.mark.usefixtures("small_mnist")
def test_all_is_the_three_that_need_no_files(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(suites, "read_usps", lambda _: None)
    monkeypatch.setattr(suites, "read_load_digits", lambda _: None)
    names = [name for part in ("test", "corruptions", "other_hands") for name, _ in suite(part).subsets()]
    assert [name for name, _ in suite("all").subsets()] == names


# ---- digits by other people ----


def test_load_digits_comes_from_scikit_learn_with_ink_from_0_to_16():
    datasets = pytest.importorskip("sklearn.datasets")
    digits = suites.read_load_digits(Path())
    assert len(digits) == 1797
    assert digits.labels.tolist() == datasets.load_digits().target.tolist()
    # The first one's ink is 294 of 16: 18.4 cells of 8x8, each 2.5 x 2.5 pixels.
    assert int(digits.images[0].sum()) / 255 == pytest.approx(294 / 16 * 2.5**2, rel=0.02)
    assert digits.images.float().mean() == pytest.approx(39.81, abs=0.1)
    assert digits.images[0, 14].tolist()[7:13] == pytest.approx([60, 76, 127, 170, 133, 45], abs=1)


def test_load_digits_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        suites.read_load_digits(Path())


def usps_file(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Two digits as USPS writes them: label + 1, then index:value with values from -1 (paper) to 1 (ink)."""
    pixels = " ".join(f"{index}:{1.0 if index % 16 in (7, 8) else -1.0}" for index in range(1, 257))
    content = bz2.compress(f"2 {pixels}\n10 {pixels.replace('1.0', '0.0')}\n".encode())
    entry = ["http://usps", "usps.t.bz2", hashlib.md5(content).hexdigest()]
    monkeypatch.setattr("torchvision.datasets.USPS.split_list", {"test": entry})
    return content


def test_usps_is_downloaded_once_and_brought_to_mnists_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answers = iter([usps_file(monkeypatch)])
    monkeypatch.setattr(suites, "download", lambda _: next(answers))
    for _ in range(2):
        digits = suites.read_usps(tmp_path)
    assert digits.labels.tolist() == [1, 9]
    assert (digits.images[0].amax(dim=0) > 0).sum() == 2 * 20 / 16 // 1
    assert [int(image.max()) for image in digits.images] == [255, 127]
    assert [path.name for path in (tmp_path / "USPS").iterdir()] == ["usps.t.bz2"]


def test_a_damaged_download_of_usps_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    content = usps_file(monkeypatch)
    monkeypatch.setattr(suites, "download", lambda _: content[:-1])
    with pytest.raises(ValueError, match="http://usps is damaged"):
        suites.read_usps(tmp_path)
    assert list(tmp_path.rglob("*.bz2")) == []


def test_a_set_that_cannot_be_reached_is_skipped_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, small_digits: SmallMNIST
):
    def unreachable(_: str) -> bytes:
        raise TimeoutError("no answer within 5 s")

    monkeypatch.setattr(suites, "download", unreachable)
    monkeypatch.setattr(suites, "read_load_digits", lambda _: small_digits[1])
    assert [name for name, _ in suite("other_hands", f"data_dir={tmp_path}").subsets()] == ["load_digits"]
    assert "usps is skipped" in caplog.text
    assert "no answer within 5 s" in caplog.text


# ---- your own digits ----


def test_a_folder_a_csv_and_an_npz_give_the_digits_they_were_made_from(tmp_path: Path, small_digits: SmallMNIST):
    digits = small_digits[1]
    images, labels = digits.images.numpy(), digits.labels.numpy()
    np.savez(tmp_path / "mine.npz", images=images, labels=labels.astype(np.uint8))
    write_csv(tmp_path / "mine.csv.gz", images, labels)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "mine" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "mine" / str(label) / f"{index:03}.png")
    for kind, file in {"npz": "mine.npz", "csv": "mine.csv.gz", "folder": "mine"}.items():
        own = suite(kind, f"suite.path={tmp_path / file}")
        [(name, read)] = own.subsets()
        assert (own.label, name) == (f"{kind}-mine", "mine")
        order = digits.labels.argsort(stable=True) if kind == "folder" else torch.arange(60)
        assert fingerprint(read) == fingerprint(Digits(digits.images[order], digits.labels[order]))


@pytest.mark.parametrize(
    ("images", "labels", "scale"),
    [
        ("x_test", "y_test", 1),  # Keras's
        ("X", "Y", 1 / 255),
        ("test_images", "test_labels", 1),
        ("data", "target", 1),
        ("arr_0", "arr_1", 1),
    ],
)
def test_the_arrays_of_an_npz_may_have_other_names_and_forms(
    tmp_path: Path, small_digits: SmallMNIST, images: str, labels: str, scale: float, caplog: pytest.LogCaptureFixture
):
    test = small_digits[1]
    others = {"x_train": 1, "y_train": 1} if images == "x_test" else {}
    arrays = {images: test.images.numpy() * scale, labels: test.labels.numpy()[:, None], **others}
    np.savez(tmp_path / "mine.npz", **arrays)
    with caplog.at_level(logging.INFO):
        [(_, digits)] = suite("npz", f"suite.path={tmp_path / 'mine.npz'}").subsets()
    assert fingerprint(digits) == fingerprint(test)
    assert caplog.messages[0].endswith(f"mine.npz: {images} are taken for the images, and {labels} for the labels")


def test_labels_of_an_npz_may_be_rows_with_a_1_at_the_label(tmp_path: Path, small_digits: SmallMNIST):
    test = small_digits[1]
    np.savez(tmp_path / "mine.npz", images=test.images.numpy(), labels=np.eye(10)[test.labels.numpy()])
    [(_, digits)] = suite("npz", f"suite.path={tmp_path / 'mine.npz'}").subsets()
    assert fingerprint(digits) == fingerprint(test)


@pytest.mark.parametrize(
    ("arrays", "fragment"),
    [
        ({"images": np.zeros((2, 28, 28), np.uint8)}, "it has images"),
        ({"pixels": np.zeros((2, 28, 28), np.uint8), "labels": np.array([1, 2])}, "it has pixels, labels"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array([1.5, 2.0])}, "whole numbers"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.eye(2)}, "whole numbers"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.array([], int)}, "at least one"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array([1, 10])}, "0 to 9"),
        ({"images": np.zeros((2, 28, 28), np.uint8), "labels": np.array(["1", "2"])}, "whole numbers"),
        ({"images": np.zeros((2, 28, 27)), "labels": np.array([1, 2])}, r"\[N, 28, 28\]"),
        ({"images": np.zeros((3, 28, 28), np.uint8), "labels": np.array([1, 2])}, r"labels must be int64 \[3\]"),
    ],
)
def test_an_npz_of_other_arrays_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], fragment: str):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(ValueError, match=rf"mine\.npz.*{fragment}"):
        list(suite("npz", f"suite.path={tmp_path / 'mine.npz'}").subsets())


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_not_an_npz_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.npz is not an \.npz"):
        list(suite("npz", f"suite.path={tmp_path / 'mine.npz'}").subsets())


def test_an_npz_that_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, images=np.zeros((1000, 28, 28), np.uint8), labels=np.zeros(1000, np.int64))
    monkeypatch.setattr(suites, "MAX_ARRAY", 784_128)  # and 128 bytes for the header
    assert len(suites.NPZFile(name="npz", path=str(path)).read(path)) == 1000
    monkeypatch.setattr(suites, "MAX_ARRAY", 784_127)
    with pytest.raises(ValueError, match=r"bomb.npz is not .*images.npy has more than 784,127 bytes, unpacked"):
        suites.NPZFile(name="npz", path=str(path)).read(path)


def test_an_npz_that_claims_more_images_than_it_has_is_refused(tmp_path: Path):
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, shape in (("images", (10**12, 28, 28)), ("labels", (10**12,))):
            with archive.open(f"{name}.npy", "w") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(ValueError, match=f"{path} is not an .npz file with images and labels"):
        suites.NPZFile(name="npz", path=str(path)).read(path)


@pytest.mark.posix
def test_a_device_a_pipe_and_a_folder_are_no_npz_files(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match=f"{path} is not an .npz file .*a folder, a device or a pipe"):
            suites.NPZFile(name="npz", path=str(path)).read(path)


def test_a_stored_usps_file_that_is_damaged_is_downloaded_again_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content, path = usps_file(monkeypatch), tmp_path / "USPS" / "usps.t.bz2"
    path.parent.mkdir()
    path.write_bytes(content[:-1])

    def unreachable(_: str) -> bytes:
        raise TimeoutError("no answer within 5 s")

    monkeypatch.setattr(suites, "download", unreachable)
    with pytest.raises(OSError, match=f"{path} is damaged, and http://usps cannot be reached"):
        suites.read_usps(tmp_path)
    monkeypatch.setattr(suites, "download", lambda _: content)
    assert suites.read_usps(tmp_path).labels.tolist() == [1, 9]
    assert path.read_bytes() == content

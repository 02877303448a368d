"""python -m pytest tests/data/test_image_folder.py"""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import drawn
from PIL import Image

from mnist_exp.data.image_folder import read_image_file, read_image_folder
from mnist_exp.imaging.photo import PhotoError, to_mnist_form


def put(folder: Path, label: int, name: str, image: Image.Image) -> None:
    (folder / str(label)).mkdir(parents=True, exist_ok=True)
    image.save(folder / str(label) / name)


def test_files_of_28x28_are_read_as_they_are_ordered_by_label_and_name(tmp_path: Path):
    for label, name in ((7, "b.png"), (3, "z.bmp"), (7, "a.png")):
        put(tmp_path, label, name, Image.fromarray(drawn(label, seed=ord(name[0]))))
    digits = read_image_folder(tmp_path)
    assert digits.labels.tolist() == [3, 7, 7]
    expected = [drawn(3, seed=ord("z")), drawn(7, seed=ord("a")), drawn(7, seed=ord("b"))]
    assert np.array_equal(digits.images.numpy(), np.stack(expected))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_any_size_and_mode_becomes_mnist_like(tmp_path: Path, mode: str):
    big = Image.fromarray(255 - drawn(3, seed=0)).resize((90, 120)).convert(mode)
    put(tmp_path, 3, "photo.png", big)
    digits = read_image_folder(tmp_path)
    assert digits.images.shape == (1, 28, 28)
    assert digits.images[0, 0].max() == 0  # the border is background
    assert digits.images.max() > 200


def test_a_folder_without_images_says_what_is_expected(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="0 to"):
        read_image_folder(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match=r"\.png"):
        read_image_folder(tmp_path)


def test_a_folder_in_which_nothing_can_be_read_is_an_error_that_names_the_files(tmp_path: Path):
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1 could not be read:\n  .*broken\.png: not a picture"):
        read_image_folder(tmp_path)


def test_pictures_that_cannot_be_read_are_refused_and_the_others_read(tmp_path: Path):
    put(tmp_path, 4, "a.png", Image.fromarray(drawn(4, seed=0)))
    put(tmp_path, 5, "blank.png", Image.new("L", (64, 64), 255))
    for name in ("broken.png", "photo.HEIC", "scan.pdf"):
        (tmp_path / "4" / name).write_bytes(b"no image")
    digits = read_image_folder(tmp_path)
    assert digits.labels.tolist() == [4]
    found = [(Path(each.file).name, each.label, each.reason.partition(";")[0]) for each in digits.refused]
    assert found == [
        ("broken.png", 4, "not a picture that can be read"),
        ("photo.HEIC", 4, "HEIC files are not read"),
        ("scan.pdf", 4, "PDF files are not read"),
        ("blank.png", 5, "blank: no ink stands out from the paper"),
    ]


def test_hidden_files_are_no_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    put(tmp_path, 4, "a.png", Image.fromarray(drawn(4, seed=0)))
    for name in ("4/._a.png", "4/.DS_Store", "__MACOSX/a.png", ".cache/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    digits = read_image_folder(tmp_path)
    assert (len(digits), digits.refused, caplog.messages) == (1, (), [])


def test_folders_may_be_called_zero_to_nine(tmp_path: Path):
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "Nine"]
    for label, name in enumerate(names):
        put(tmp_path, label, "a.png", Image.fromarray(drawn(label, seed=0)))
        (tmp_path / str(label)).rename(tmp_path / name)
    assert read_image_folder(tmp_path).labels.tolist() == list(range(10))


@pytest.mark.parametrize("name", ["a.tif", "a.tiff", "a.gif", "a.webp", "a.pgm"])
def test_pictures_of_many_formats_are_read(tmp_path: Path, name: str):
    put(tmp_path, 3, name, Image.fromarray(drawn(3, seed=0)))
    assert np.abs(read_image_folder(tmp_path).images[0].numpy().astype(int) - drawn(3, seed=0)).mean() < 5


def test_black_on_white_is_turned_white_on_black_even_at_28x28(tmp_path: Path):
    put(tmp_path, 3, "dark.png", Image.fromarray(255 - drawn(3, seed=0)))
    assert np.median(read_image_folder(tmp_path).images) == 0
    assert np.median(read_image_folder(tmp_path, photo=False).images) == 255


def test_without_the_photo_preprocessing_a_file_is_only_scaled(tmp_path: Path):
    put(tmp_path, 3, "large.png", Image.fromarray(drawn(3, seed=0)).resize((112, 112), Image.Resampling.NEAREST))
    scaled = read_image_folder(tmp_path, photo=False).images[0].numpy()
    assert np.abs(scaled.astype(int) - drawn(3, seed=0)).mean() < 10


def bar(*, top: int = 4, bottom: int = 24, left: int = 12, size: int = 28, paper: int = 0) -> np.ndarray:
    image = np.full((size, size), paper, np.uint8)
    image[top:bottom, left : left + 4] = 250
    return image


@pytest.mark.parametrize(
    ("image", "photo", "treated"),
    [
        (bar(), "auto", False),  # in MNIST's form
        (bar(), True, True),
        (bar(top=5), "auto", False),
        (bar(top=7), "auto", True),  # 17 pixels long
        (bar(left=13), "auto", False),
        (bar(left=15), "auto", True),  # 2.5 pixels beside the centre
        (bar(paper=26), "auto", True),
        (bar(size=29), "auto", True),
        (bar(top=0, bottom=28), "auto", False),  # fills the picture: no digit
        (bar(top=7), False, False),
    ],
)
def test_a_picture_is_treated_unless_it_is_in_mnists_form(
    tmp_path: Path, image: np.ndarray, photo: bool | str, treated: bool
):
    Image.fromarray(image).save(tmp_path / "one.png")
    read = read_image_file(tmp_path / "one.png", photo=photo)
    assert np.array_equal(read, to_mnist_form(image) if treated else image)


def test_black_on_white_in_mnists_form_is_only_inverted(tmp_path: Path):
    Image.fromarray(255 - drawn(3, seed=0)).save(tmp_path / "three.png")
    assert np.array_equal(read_image_file(tmp_path / "three.png"), drawn(3, seed=0))


def test_files_of_other_kinds_and_folders_of_other_names_do_not_count_and_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    put(tmp_path, 9, "a.PNG", Image.fromarray(drawn(9, seed=0)))
    put(tmp_path, 10, "a.png", Image.fromarray(drawn(1, seed=0)))
    (tmp_path / "9" / "notes.txt").write_text("no image")
    assert read_image_folder(tmp_path).labels.tolist() == [9]
    assert caplog.messages == [f"{tmp_path}: left out, no digits: 10, notes.txt"]


@pytest.mark.posix
def test_a_pipe_a_device_and_a_folder_among_the_pictures_are_named(tmp_path: Path):
    (tmp_path / "0").mkdir()
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        path = tmp_path / "0" / "a.png"
        make(path)
        with pytest.raises(PhotoError, match=f"{path}: not a file but"):
            read_image_folder(tmp_path)
        path.rmdir() if path.is_dir() else path.unlink()

"""Read digits from image files: a folder with a subfolder for each label, or a single file."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from mnist_exp.data.digits import Digits, Refused
from mnist_exp.data.named_sets import named_set

if TYPE_CHECKING:
    from mnist_exp.imaging.photo import Steps

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".pgm", ".ppm")
NOT_READ = (".heic", ".heif", ".pdf", ".svg", ".psd", ".dng", ".jxl", ".jp2", ".eps")  # pictures, but not for Pillow
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LABELS = {name: label for label, word in enumerate(WORDS) for name in (str(label), word)}
LISTED = 20  # files in a message
FAINT_INK = 25  # of 255: grey values above that are ink
FULL = 27  # pixels: a digit in a 28x28 picture has more margin than that
FORM_TOLERANCE = 2  # pixels: MNIST's own digits are within 0.5 of the centre, and 19 or 20 pixels long

logger = logging.getLogger(__name__)


def read_image_folder(folder: Path, *, photo: bool | str = "auto") -> Digits:
    """The digits of the image files `folder/{0..9}/*` of any size and colour mode, ordered by label, then by name.

    The subfolders may also be called zero to nine. Hidden files, such as those that macOS adds, are no pictures. A
    picture that cannot be read is among `Digits.refused`. A warning names other files and folders.

    photo: how a file becomes a 28x28 image.
        True: it is treated as a photo of a digit on paper (`imaging.photo.to_mnist_form`).
        False: it is only turned grey and scaled. The digit should be white on black.
        "auto": it stays as it is, or is inverted, if it is in MNIST's form already (`is_in_mnist_form`). All others
            as with True.

    Raises FileNotFoundError if there is no such folder or no image in it, and PhotoError (a ValueError), with the
    files' names, if none can be read.
    """
    from mnist_exp.imaging.photo import PhotoError  # imports scipy: slow

    files = find_pictures(folder)

    def read(path: Path) -> np.ndarray | str:
        try:
            return read_image_file(path, photo=photo)
        except (PhotoError, OSError) as error:
            return str(error).removeprefix(f"{path}: ")

    with ThreadPoolExecutor() as pool:
        results = list(zip(files, pool.map(read, [path for _, path in files]), strict=True))
    found = [(image, label) for (label, _), image in results if isinstance(image, np.ndarray)]
    refused = [Refused(str(path), label, why) for (label, path), why in results if isinstance(why, str)]
    if not found:
        raise PhotoError(list_refused(refused))
    pixels, labels = zip(*found, strict=True)
    return Digits(torch.from_numpy(np.stack(pixels)), torch.tensor(labels), tuple(refused))


def photo_setting(photo: bool | str, dataset: str) -> bool | str:
    """`photo`, but no "auto" where the pictures show no pen strokes: what is not ink is not to be cut out of them."""
    return photo if photo != "auto" or named_set(dataset).strokes else False


def find_pictures(folder: Path) -> list[tuple[int, Path]]:
    """The labels and paths of the pictures in a folder's subfolders 0 to 9, sorted. A warning names what is no digit.

    Raises FileNotFoundError if there is no such folder or no picture in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: put your image files into {folder}/0 to {folder}/9")
    pictures, others = list[tuple[int, Path]](), list[Path]()
    for subfolder in filter(Path.is_dir, visible(folder.iterdir())):
        label = LABELS.get(subfolder.name.lower())
        if label is None:
            others.append(subfolder)
            continue
        for path in visible(subfolder.iterdir()):
            if is_picture(path):
                pictures.append((label, path))
            else:
                others.append(path)
    if not pictures:
        raise FileNotFoundError(
            f"no image files in {folder}/0 to {folder}/9. Their names must end in one of {', '.join(SUFFIXES)}"
        )
    if others:
        logger.warning("%s: left out, no digits: %s", folder, list_briefly(path.name for path in sorted(others)))
    return sorted(pictures)


def list_refused(refused: Iterable[Refused]) -> str:
    """Which pictures cannot be read and why, a line for each of the first."""
    lines = [f"  {each.file}: {each.reason}" for each in refused]
    more = [f"  and {len(lines) - LISTED:,} more"] if len(lines) > LISTED else []
    return "\n".join([f"{len(lines):,} could not be read:", *lines[:LISTED], *more])


def list_briefly(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED:,} more" if len(listed) > LISTED else "")


def visible(paths: Iterable[Path]) -> Iterable[Path]:
    """The paths without hidden files and folders, and without what macOS packs beside the files of a zip."""
    return (path for path in paths if not is_hidden(path.name))


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name, also one in a format that is not read."""
    return path.suffix.lower() in (*SUFFIXES, *NOT_READ)


def read_image_file(path: Path, *, photo: bool | str = "auto", steps: "Steps | None" = None) -> np.ndarray:
    """One digit, uint8 (28, 28), white on black. For `photo` see `read_image_folder`.

    steps: a list for what the photo preprocessing did, as `imaging.photo.to_mnist_form` fills it.

    Raises PhotoError, with the file's name, if it holds no image or no digit.
    """
    from mnist_exp.imaging.photo import PhotoError, read_photo, to_mnist_form  # imports scipy: slow

    if path.exists() and not path.is_file():
        raise PhotoError(f"{path}: not a file but a folder, a device or a pipe; give a picture file")
    if path.exists() and path.suffix.lower() in NOT_READ:
        raise PhotoError(f"{path}: {path.suffix[1:].upper()} files are not read; convert it to JPEG or PNG")
    grey = read_photo(path)
    if photo == "auto" and is_in_mnist_form(grey):
        return grey
    if photo == "auto" and is_in_mnist_form(255 - grey):
        return 255 - grey
    if photo is False:
        return np.asarray(Image.fromarray(grey).resize((28, 28), Image.Resampling.BICUBIC))
    try:
        return to_mnist_form(grey, steps=steps)
    except PhotoError as error:
        raise PhotoError(f"{path}: {error}") from error


def is_in_mnist_form(image: np.ndarray) -> bool:
    """Whether a picture is like MNIST's: 28x28, white on black, the digit 20 pixels long and centred by its mass.

    What fills all of a 28x28 picture counts, too: it is no digit, but a set such as Fashion-MNIST.

    image: uint8 [height, width].
    """
    if image.shape != (28, 28) or image.max() <= FAINT_INK or np.median(image) > FAINT_INK:
        return False
    rows, columns = np.nonzero(image > FAINT_INK)
    longer_side = max(np.ptp(rows), np.ptp(columns)) + 1
    off_centre = max(abs(np.average(at, weights=image[rows, columns]) - 14) for at in (rows, columns))
    has_form = abs(longer_side - 20) <= FORM_TOLERANCE and off_centre <= FORM_TOLERANCE
    return bool(has_form or longer_side >= FULL)

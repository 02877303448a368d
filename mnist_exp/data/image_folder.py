"""Read digits from image files: a folder with a subfolder for each label, or a single file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mnist_exp.data.digits import Digits

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def read_image_folder(folder: Path, *, photo: bool | str = "auto") -> Digits:
    """The digits of the image files `folder/{0..9}/*` of any size and colour mode, ordered by label, then by name.

    photo: how a file becomes a 28x28 image.
        True: it is treated as a photo of a digit on paper (`imaging.photo.to_mnist_form`).
        False: it is only turned grey and scaled. The digit should be white on black.
        "auto": as False for 28x28 images with a dark background, as True for all others.

    Raises FileNotFoundError if there is no such folder or no image in it, and PhotoError (a ValueError), with the
    file's name, if a file holds no image or no digit.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: put your image files into {folder}/0 to {folder}/9")
    files = [
        (path, label)
        for label in range(10)
        for path in sorted((folder / str(label)).glob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise FileNotFoundError(
            f"no image files in {folder}/0 to {folder}/9. Their names must end in one of {', '.join(SUFFIXES)}"
        )
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda file: read_image_file(file[0], photo=photo), files))
    return Digits(torch.from_numpy(np.stack(images)), torch.tensor([label for _, label in files]))


def read_image_file(path: Path, *, photo: bool | str = "auto") -> np.ndarray:
    """One digit, uint8 (28, 28), white on black. For `photo` and the errors see `read_image_folder`."""
    from mnist_exp.imaging.photo import PhotoError, read_photo, to_mnist_form  # imports scipy: slow

    if path.exists() and not path.is_file():
        raise PhotoError(f"{path}: not a file but a folder, a device or a pipe; give a picture file")
    grey = read_photo(path)
    is_mnist_like = grey.shape == (28, 28) and np.median(grey) < 128  # most pixels are background, and it is dark
    if photo is True or (photo == "auto" and not is_mnist_like):
        try:
            return to_mnist_form(grey)
        except PhotoError as error:
            raise PhotoError(f"{path}: {error}") from error
    return np.asarray(Image.fromarray(grey).resize((28, 28), Image.Resampling.BICUBIC))

"""Digits from a folder of image files, one subfolder a label."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mnist_exp.data.digits import Digits

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def read_image_folder(folder: Path, *, photo: bool | str = "auto") -> Digits:
    """The image files `folder/{0..9}/*` of any size and mode, ordered by label, then name.

    photo: True sends every file down the road from photo to MNIST's form (`photo.to_mnist_form`), False none (a file
        is then turned grey and scaled to 28x28 as it is, white on black expected), `auto` all but those that are
        28x28 on a dark ground already.

    Raises FileNotFoundError where there is no such folder or no image in it, ValueError (PhotoError among them) for a
    file that is no usable image, with its name.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: lay image files in {folder}/0 to {folder}/9")
    files = [
        (path, label)
        for label in range(10)
        for path in sorted((folder / str(label)).glob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise FileNotFoundError(f"no images in {folder}/0 to {folder}/9: files ending in {', '.join(SUFFIXES)} count")
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda file: read_image_file(file[0], photo=photo), files))
    return Digits(torch.from_numpy(np.stack(images)), torch.tensor([label for _, label in files]))


def read_image_file(path: Path, *, photo: bool | str = "auto") -> np.ndarray:
    """One digit, uint8 (28, 28), white on black. See `read_image_folder`."""
    from mnist_exp.imaging.photo import PhotoError, read_photo, to_mnist_form

    grey = read_photo(path)
    if photo is True or (photo == "auto" and not (grey.shape == (28, 28) and np.median(grey) < 128)):
        try:
            return to_mnist_form(grey)
        except PhotoError as error:
            raise PhotoError(f"{path}: {error}") from error
    return np.asarray(Image.fromarray(grey).resize((28, 28), Image.Resampling.BICUBIC))

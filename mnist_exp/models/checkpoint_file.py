"""Read a checkpoint as data. A stranger's file cannot run code or fill the memory, and a damaged one is reported.

torch.save writes a zip archive: `data.pkl`, a pickle of the structure, and `data/0`, `data/1`, ... the numbers of each
tensor. `torch.load(weights_only=True)` runs no code, but `bytearray(10**10)` in a pickle of 30 bytes still makes it
fill the memory, and it does not check the archive's checksums. So the pickle is read here, by `read_pickle`: it knows
the few instructions that torch.save writes, and can make builtins, ordered dicts and tensors only.

Why not safetensors for the weights: a checkpoint also holds what resuming needs (optimizer, epochs), which safetensors
cannot hold, and files of earlier versions must load. It would be a second format, and the first must be safe anyway.
"""

import math
import pickletools
import stat
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import Tensor

MAX_FILE_BYTES = 500_000_000  # a network of 20 million weights with Adam's two averages of each takes 240 MB
MAX_PICKLE_BYTES = 2_000_000  # a run of 1,000 epochs takes 200 kB
MAX_ENTRIES = 5_000  # one for each tensor
MAX_DEPTH = 20  # of dicts and lists within each other
MAX_DIMENSIONS = 8  # of a tensor
MAX_CALLS = 2 * MAX_ENTRIES  # a tensor takes two: one for itself, one for its hooks
MAX_VALUES = 200_000  # in all dicts and lists, counted wherever they occur

CENTRAL_HEADER = b"PK\x01\x02"  # the zip archive has one for each entry
DTYPES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. The message names the file, says what is wrong and what to do."""


class ContentError(ValueError):
    """What is wrong with the content of a checkpoint; `read_checkpoint` adds the file's name."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: dicts, lists, tuples, texts, numbers, and tensors on the CPU.

    Raises CheckpointError for all that is not a whole checkpoint within the limits above.
    """
    data = read_bytes(path)
    try:
        return read_archive(data)
    except Exception as error:  # a hostile file can make zipfile, pickletools and torch raise almost anything
        reason = str(error) if isinstance(error, (ContentError, BadZipFile)) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{path} is damaged, or not a checkpoint of mnist_exp.train ({reason[:200]}): copy it again from its "
            "source, or train again"
        ) from error


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most MAX_FILE_BYTES."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            found = next(path.rglob("best.ckpt"), path / "checkpoints" / "best.ckpt")
            raise CheckpointError(f"{path} is a folder: give the checkpoint itself, such as {found}")
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is a device, pipe or socket: give a checkpoint file")
        if status.st_size > MAX_FILE_BYTES:
            raise CheckpointError(
                f"{path} has {status.st_size:,} bytes, and a checkpoint at most {MAX_FILE_BYTES:,}: give a smaller file"
            )
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"no checkpoint at {path}: a run leaves one in its folder, at checkpoints/best.ckpt"
        ) from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path} ({error.strerror}): check its path and permissions") from error


def read_archive(data: bytes) -> dict[str, Any]:
    """The content of the zip archive that torch.save wrote. Reading an entry checks its checksum."""
    if data.count(CENTRAL_HEADER) > MAX_ENTRIES:  # zipfile would first read the headers of all
        raise ContentError(f"more than {MAX_ENTRIES:,} entries")
    with ZipFile(BytesIO(data)) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}
        if "data.pkl" not in entries:
            raise ContentError("it has no data.pkl")
        if len(entries) < len(archive.infolist()):
            raise ContentError("two entries of the same name")
        if any(entry.compress_type != ZIP_STORED for entry in entries.values()):
            raise ContentError("compressed entries, which torch.save never writes")
        if sum(entry.file_size for entry in entries.values()) > len(data):
            raise ContentError("entries that are larger together than the file")
        if entries["data.pkl"].file_size > MAX_PICKLE_BYTES:
            raise ContentError(f"a data.pkl above {MAX_PICKLE_BYTES:,} bytes")
        read = {name: bytearray(archive.read(entry)) for name, entry in entries.items()}
    if read.get("byteorder", bytearray(b"little")).decode("ascii") != sys.byteorder:
        raise ContentError("written on a machine of the other byte order")
    content = read_pickle(read["data.pkl"], read)
    check_values(content)
    if not isinstance(content, dict):
        raise ContentError("its content is not a dict")
    return content


class Storage(NamedTuple):
    """The numbers of one or more tensors, as torch.save keeps them."""

    dtype: torch.dtype
    numbers: bytearray


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """The tensor of this size, stride and place in the storage, whose memory it shares. It never has more numbers."""
    if not isinstance(storage, Storage):
        raise ContentError("a tensor without numbers")
    available = len(storage.numbers) // storage.dtype.itemsize
    dimensions = expect(size, tuple)
    if len(dimensions) > MAX_DIMENSIONS or min(dimensions, default=0) < 0 or math.prod(dimensions) > available:
        raise ContentError(f"a tensor of shape {dimensions[:MAX_DIMENSIONS]} in a storage of {available:,} numbers")
    if not available:
        return torch.empty(dimensions, dtype=storage.dtype)
    flat = torch.frombuffer(storage.numbers, dtype=storage.dtype, count=available)
    return flat.as_strided(dimensions, stride, offset)  # raises where it would reach beyond the storage


def ordered_dict() -> "OrderedDict[str, Any]":
    return OrderedDict()


CALLABLE: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": ordered_dict,
    "torch._utils _rebuild_tensor_v2": rebuild_tensor,
}


def read_pickle(pickle: bytes | bytearray, entries: Mapping[str, bytearray]) -> Any:
    """What the pickle describes, with the numbers of its tensors from `entries` (`data/0`, `data/1`, ...).

    A pickle is a program for a machine with a stack. Here are the instructions that torch.save writes; another one, and
    any name but those of CALLABLE and DTYPES, is refused. https://docs.python.org/3/library/pickletools.html
    """
    stack: list[Any] = []
    marks: list[int] = []  # where groups of items start on the stack
    memo: dict[int, Any] = {}
    calls = 0

    def pop(start: int) -> list[Any]:
        items = stack[start:]
        del stack[start:]
        return items

    argument: Any
    for instruction, argument, _ in pickletools.genops(bytes(pickle)):
        match instruction.name:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            # plain values
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(instruction.name == "NEWTRUE")
            case "BININT" | "BININT1" | "BININT2" | "BINFLOAT" | "BINUNICODE":
                stack.append(argument)
            case "LONG1":
                if abs(argument) >= 2**63:
                    raise ContentError("a whole number of more than 64 bits")
                stack.append(argument)
            # tuples, lists, dicts
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(pop(marks.pop())))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(pop(-int(instruction.name[-1]))))
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND" | "APPENDS":
                items = pop(marks.pop() if instruction.name == "APPENDS" else -1)
                expect(stack[-1], list).extend(items)
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM" | "SETITEMS":
                items = pop(marks.pop() if instruction.name == "SETITEMS" else -2)
                for key, value in zip(items[::2], items[1::2], strict=True):
                    expect(stack[-1], dict)[expect(key, str, int)] = value
            # what occurred before
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            # tensors and ordered dicts
            case "GLOBAL":
                if argument not in CALLABLE and argument not in DTYPES:
                    raise ContentError(f"it asks for {argument.replace(' ', '.')!r}, which no checkpoint needs")
                stack.append(CALLABLE.get(argument) or DTYPES[argument])
            case "BINPERSID":
                _, dtype, number, *_ = expect(stack.pop(), tuple)
                stack.append(Storage(expect(dtype, torch.dtype), entries[f"data/{number}"]))
            case "REDUCE":
                function, arguments = pop(-2)
                calls += 1
                if function not in CALLABLE.values() or calls > MAX_CALLS:
                    raise ContentError(f"it calls what is no function, or more than {MAX_CALLS:,} times")
                stack.append(function(*arguments))
            case "BUILD":  # notes of torch for the modules of a state_dict, not needed
                stack.pop()
                expect(stack[-1], OrderedDict)
            case name:
                raise ContentError(f"its pickle has the instruction {name}, which torch.save does not write")
    raise ContentError("its pickle has no end")


def expect(value: Any, *kinds: type) -> Any:
    """`value`, if it is of one of these types exactly (a bool is no int)."""
    if type(value) not in (*kinds, *([OrderedDict] if dict in kinds else [])):
        raise ContentError(f"its pickle has a {type(value).__name__} where a {kinds[0].__name__} belongs")
    return value


def check_values(content: Any) -> None:
    """Refuses what is no plain value, or so deeply nested or often repeated that no one could walk through it."""
    values, level = [content], 0
    count = 0
    while values:
        count += len(values)
        if level > MAX_DEPTH or count > MAX_VALUES:
            raise ContentError(f"it holds more than {MAX_VALUES:,} values, or is nested more than {MAX_DEPTH} deep")
        inner: list[Any] = []
        for value in values:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, (list, tuple)):
                inner += value
            elif value is not None and not isinstance(value, (bool, int, float, str, Tensor)):
                raise ContentError(f"a value of type {type(value).__name__}")
            if len(inner) > MAX_VALUES:
                raise ContentError(f"it holds more than {MAX_VALUES:,} values")
        values, level = inner, level + 1

"""A report's folder: Markdown, a page that needs no other file, figures, a table of runs, and a TensorBoard run.

The folder holds a list of what was written (`WRITTEN`), with the SHA-256 of each file. A later report of that name
replaces the folder only if this list proves all of it to be an earlier report that nobody changed.
"""

import hashlib
import json
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_exp.analysis import figures
from mnist_exp.analysis.markdown import plain_text
from mnist_exp.analysis.page import to_page
from mnist_exp.analysis.report import Report
from mnist_exp.analysis.runs import Study
from mnist_exp.files import explain_write_error

WRITTEN = ".report.json"  # {"report.md": "<sha256>", "figures/time.png": ...}
FILES = ("report.md", "report.html", "runs.csv", "figures/*.png", "events.out.tfevents.*")  # all that a report holds
LONGEST_NAME = 200  # bytes; file systems allow 255, and the folder has a longer name while it is written


def publish(report: Report, study: Study, folder: Path) -> None:
    """Writes the whole folder under a temporary name, then puts it in the place of an earlier report.

    Raises ValueError where something else is in that place, or where the report cannot be written.
    """
    check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            new, old = Path(temporary) / "new", Path(temporary) / "old"
            write_files(report, study, new)
            check_free(folder)  # again: drawing took a while
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # a WriteError hides the reason
        reason = explain_write_error(cause, f"the report to {folder}")
        raise ValueError(f"{reason}, or choose another reports_dir=...") from error


def report_folder(reports_dir: Path, name: str) -> Path:
    """The folder of the report with this name. Raises ValueError for a name that would leave `reports_dir`."""
    if name in ("", ".", "..") or set(name) & set("/\\\0") or len(os.fsencode(name)) > LONGEST_NAME:
        raise ValueError(
            f"name={plain_text(name)[:LONGEST_NAME]} cannot name a report: it becomes a folder in reports_dir, so it "
            f"may not be . or .., hold a slash or a backslash, or have more than {LONGEST_NAME} bytes"
        )
    return reports_dir / name


def check_free(folder: Path) -> None:
    """Raises ValueError unless `folder` does not exist, is empty, or is an earlier report that nobody changed."""
    foreign = find_foreign(folder)
    if foreign is not None:
        raise ValueError(
            f"{foreign} is in the way: the report goes to {folder}, and replaces only an earlier report that is as it "
            "was written. Choose another name=..., or move it away"
        )


def find_foreign(folder: Path) -> Path | None:
    """The first thing at or in `folder` that is not of an unchanged report; None where there is nothing else."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return folder
    written = read_written(folder)
    return next((path for path in sorted(folder.rglob("*")) if not is_written(path, folder, written)), None)


def is_written(path: Path, folder: Path, written: dict[str, Any]) -> bool:
    """Whether a file or folder in `folder` is as the report's list tells."""
    name = path.relative_to(folder).as_posix()
    if path.is_symlink():
        return False
    if path.is_dir():
        return name == "figures"
    if name == WRITTEN:
        return bool(written)
    return any(fnmatch(name, known) for known in FILES) and written.get(name) == sha256(path)


def read_written(folder: Path) -> dict[str, Any]:
    """What a report's list says, empty where there is none."""
    try:
        written = json.loads((folder / WRITTEN).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return written if isinstance(written, dict) else {}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- the files -------------------------------------------------------------------------------------------------------


def write_files(report: Report, study: Study, folder: Path) -> None:
    (folder / "figures").mkdir(parents=True)
    pictures = {name: figures.png(plot(width=figures.WIDE)) for name, plot in report.plots.items()}
    for name, picture in pictures.items():
        (folder / "figures" / f"{name}.png").write_bytes(picture)
    page = to_page(report.title, report.markdown, report.plots)
    for name, text in {"report.md": report.markdown, "report.html": page, "runs.csv": runs_csv(study)}.items():
        (folder / name).write_text(text, encoding="utf-8", errors="replace", newline="\n")
    write_events(report, study, pictures, folder)
    written = {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}
    (folder / WRITTEN).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def runs_csv(study: Study) -> str:
    """The table of runs as CSV, its texts without control codes.

    A spreadsheet would compute a text that starts with = + - or @, so such a text gets a ' before it.
    """

    def as_data(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        text = plain_text(cell)
        return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not is_number(text) else text

    frame = study.frame.rename(columns=as_data)
    texts = frame.select_dtypes(exclude="number").columns
    return frame.assign(**{name: frame[name].map(as_data) for name in texts}).to_csv(index=False)


def is_number(text: str) -> bool:
    return pd.notna(pd.to_numeric(text, errors="coerce"))


def write_events(report: Report, study: Study, pictures: dict[str, bytes], folder: Path) -> None:
    """The report as a run of TensorBoard: text, figures, each group's mean curve and mean test accuracy."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter  # torch's would import torch: seconds

    one = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    markdown = report.markdown.encode(errors="replace")
    text = TensorProto(dtype="DT_STRING", string_val=[markdown], tensor_shape=one)
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    events = [(0, Summary.Value(tag="report", metadata=plugin, tensor=text))]
    for name, picture in pictures.items():
        width, height = struct.unpack(">II", picture[16:24])  # of a PNG
        image = Summary.Image(encoded_image_string=picture, width=width, height=height, colorspace=3)
        events.append((0, Summary.Value(tag=f"figures/{name}", image=image)))
    events += [(step, Summary.Value(tag=tag, simple_value=value)) for tag, step, value in mean_scalars(study)]
    writer = EventFileWriter(str(folder))
    for step, value in events:
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))
    writer.close()


def mean_scalars(study: Study) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of each group's mean test accuracy, at the mean epoch of its test, and mean curve."""
    for group in study.groups:
        runs = study.of(group)
        yield f"mean test_acc/{plain_text(group)}", round(runs["epoch"].fillna(0).mean()), runs["test/acc"].mean()
    curves = study.curves().dropna(subset=["val/acc"]).groupby(["group", "epoch"], sort=False)["val/acc"].mean()
    for group, epoch, mean in curves.reset_index().itertuples(index=False):
        yield f"mean val_acc/{plain_text(group)}", epoch, mean

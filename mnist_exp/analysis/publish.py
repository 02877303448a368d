"""The forms of a report: Markdown, a page that needs no other file, a CSV and a TensorBoard run, in one folder."""

import base64
import html
import os
import re
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

from mnist_exp.analysis.report import Report
from mnist_exp.analysis.runs import Study

PAGE = Path(__file__).with_name("page.html")


def publish(report: Report, study: Study, folder: Path) -> None:
    """Writes the whole folder anew: under a temporary name, then in the place of what was there."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        (partial / "figures").mkdir(parents=True)
        for name, image in report.figures.items():
            (partial / "figures" / f"{name}.png").write_bytes(image)
        (partial / "report.md").write_text(report.markdown, encoding="utf-8")
        (partial / "report.html").write_text(to_html(report), encoding="utf-8")
        study.frame.to_csv(partial / "runs.csv", index=False)
        write_events(report, study, partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def to_html(report: Report) -> str:
    """The Markdown as a page: captions belong to their tables and figures, and images are part of the text."""
    from markdown import markdown

    body = markdown(report.markdown, extensions=["tables"])
    body = re.sub(r"<p><em>(.*?)</em></p>\s*<table>", r"<table>\n<caption>\1</caption>", body)
    body = re.sub(r"<p>(<img [^>]*>)</p>(?:\s*<p><em>(.*?)</em></p>)?", _figure, body)
    body = re.sub(r"(<tbody>.*?</tbody>)", _row_headers, body, flags=re.DOTALL).replace("<th ", '<th scope="col" ')
    body = body.replace('<th scope="col" scope="row"', '<th scope="row"')
    body = re.sub(
        r"<table>\s*<caption>(.*?)</caption>.*?</table>",
        lambda table: f'<div class="scroll" role="region" tabindex="0" aria-label="{table[1]}">{table[0]}</div>',
        body,
        flags=re.DOTALL,
    )
    for name, image in report.figures.items():
        data = base64.b64encode(image).decode("ascii")
        width, height = (pixels * 2 // 3 for pixels in struct.unpack(">II", image[16:24]))
        body = body.replace(
            f'src="figures/{name}.png"', f'src="data:image/png;base64,{data}" width="{width}" height="{height}"'
        )
    return Template(PAGE.read_text(encoding="utf-8")).substitute(title=html.escape(report.title), body=body)


def _figure(match: re.Match[str]) -> str:
    caption = f"\n<figcaption>{match[2]}</figcaption>" if match[2] else ""
    return f"<figure>\n{match[1]}{caption}\n</figure>"


def _row_headers(match: re.Match[str]) -> str:
    return re.sub(r"<tr>\s*<td([^>]*)>(.*?)</td>", r'<tr>\n<th scope="row"\1>\2</th>', match[1])


def write_events(report: Report, study: Study, folder: Path) -> None:
    """The report as a run of TensorBoard: text, figures, each group's mean curve and mean test accuracy."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter  # torch's would import torch: seconds

    one = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    text = TensorProto(dtype="DT_STRING", string_val=[report.markdown.encode()], tensor_shape=one)
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    events = [(0, Summary.Value(tag="report", metadata=plugin, tensor=text))]
    for name, image in report.figures.items():
        width, height = struct.unpack(">II", image[16:24])
        picture = Summary.Image(encoded_image_string=image, width=width, height=height, colorspace=3)
        events.append((0, Summary.Value(tag=f"figures/{name}", image=picture)))
    events += [(step, Summary.Value(tag=tag, simple_value=value)) for tag, step, value in means(study)]
    writer = EventFileWriter(str(folder))
    for step, value in events:
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))
    writer.close()


def means(study: Study) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of each group's mean test accuracy, at the mean epoch of its test, and mean curve."""
    for group in study.groups:
        runs = study.of(group)
        yield f"mean test_acc/{group}", round(runs["epoch"].fillna(0).mean()), runs["test/acc"].mean()
    curves = study.curves().dropna(subset=["val/acc"]).groupby(["group", "epoch"], sort=False)["val/acc"].mean()
    for group, epoch, mean in curves.reset_index().itertuples(index=False):
        yield f"mean val_acc/{group}", epoch, mean

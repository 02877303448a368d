"""The report's folder: what is in it, and what it never replaces.

python -m pytest tests/analysis/test_publish.py -v
"""

import json
import os
import shutil

import pandas as pd
import pytest
from made_runs import make_run

from mnist_exp.analysis import publish as publish_module
from mnist_exp.analysis.publish import WRITTEN, publish, report_folder, runs_csv
from mnist_exp.analysis.report import Report
from mnist_exp.analysis.runs import Study, collect

FILES = {"report.md", "report.html", "runs.csv", WRITTEN}


@pytest.fixture
def study(tmp_path) -> Study:
    make_run(tmp_path / "runs" / "a", acc=0.9)
    return collect([tmp_path / "runs"])


@pytest.fixture
def report() -> Report:
    return Report("t", "# t\n", {})  # without figures: they take most of the time


@pytest.fixture
def folder(study, report, tmp_path):
    """Of an earlier report."""
    publish(report, study, tmp_path / "reports" / "x")
    return tmp_path / "reports" / "x"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- what is written ---


def test_a_report_has_all_its_forms_and_a_list_of_them(folder):
    names = {path.name for path in folder.iterdir() if not path.name.startswith("events.out.tfevents.")}
    assert names == FILES | {"figures"}
    assert set(json.loads((folder / WRITTEN).read_text())) == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != WRITTEN
    }


def test_half_characters_do_not_stop_a_report(study, tmp_path):
    publish(Report("a\ud800", "b\ud800\n", {}), study, tmp_path / "x")
    assert (tmp_path / "x" / "report.md").read_text() == "b?\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("+x", "'+x"), ("-x", "'-x"), ("-1e-3", "-1e-3"), ("a=b", "a=b")],
)
def test_a_text_in_the_table_of_runs_is_not_computed_by_a_spreadsheet(text, written):
    frame = pd.DataFrame({"run": [text], "test/acc": [-0.5], text: [1]})
    assert runs_csv(Study([], frame, {})) == f"run,test/acc,{written}\n{written},-0.5,1\n"


# --- what is replaced ---


def test_an_unchanged_report_is_replaced_whole(folder, study):
    stale = {path.name for path in folder.glob("events*")}
    publish(Report("t", "# new\n", {}), study, folder)
    assert (folder / "report.md").read_text() == "# new\n"
    assert len([*folder.glob("events*")]) == 1
    assert not stale & {path.name for path in folder.glob("events*")}
    assert [path.name for path in folder.parent.iterdir()] == ["x"]  # no litter


def test_an_empty_folder_is_used(study, report, tmp_path):
    (tmp_path / "x").mkdir()
    publish(report, study, tmp_path / "x")
    assert (tmp_path / "x" / "report.md").exists()


def add_a_file(folder):
    (folder / "notes.txt").write_text("mine")


def add_a_figure(folder):
    (folder / "figures" / "mine.png").write_text("mine")


def change_a_file(folder):
    (folder / "report.md").write_text("with my notes")


def add_a_folder(folder):
    (folder / "mine").mkdir()


def lose_the_list(folder):
    (folder / WRITTEN).unlink()


def break_the_list(folder):
    (folder / WRITTEN).write_text("[" * 100_000)


def make_the_list_another_type(folder):
    (folder / WRITTEN).write_text("[]")


def link_a_file(folder):
    (folder / "report.md").rename(folder.parent / "elsewhere")
    (folder / "report.md").symlink_to(folder.parent / "elsewhere")


def link_the_folder(folder):
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def be_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("mine")


def be_a_dangling_link(folder):
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


def be_a_run(folder):
    shutil.rmtree(folder)
    make_run(folder)


def be_a_run_that_claims_to_be_a_report(folder):
    be_a_run(folder)
    files = {each.relative_to(folder).as_posix(): publish_module.sha256(each) for each in folder.rglob("*")
             if each.is_file()}  # fmt: skip
    (folder / WRITTEN).write_text(json.dumps(files))


CHANGES = [add_a_file, add_a_figure, change_a_file, add_a_folder, lose_the_list, break_the_list,
           make_the_list_another_type, link_a_file, link_the_folder, be_a_file, be_a_dangling_link, be_a_run,
           be_a_run_that_claims_to_be_a_report]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_is_not_an_unchanged_report_stays(change, folder, report, study):
    change(folder)
    before = contents(folder.parent)
    with pytest.raises(ValueError, match=r"is in the way.*name=.*move it away"):
        publish(report, study, folder)
    assert contents(folder.parent) == before


def test_what_comes_into_the_way_while_the_figures_are_drawn_stays(folder, report, study, monkeypatch):
    write = publish_module.write_files
    monkeypatch.setattr(publish_module, "write_files", lambda *args: (write(*args), add_a_file(folder)))
    with pytest.raises(ValueError, match=r"notes\.txt is in the way"):
        publish(report, study, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["x"]


def test_a_report_that_fails_leaves_the_earlier_one(folder, report, study, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(publish_module, "write_events", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish(report, study, folder)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["x"]


def test_a_place_that_cannot_be_written_to_is_named(report, study, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot write the report to .*file/x: .*choose another reports_dir"):
        publish(report, study, tmp_path / "file" / "x")


# --- names ---


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc", "a\\b", "..\\x", "a\0b", "x" * 201, "ä" * 101, "/"]
)
def test_a_name_that_leaves_reports_dir_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="cannot name a report"):
        report_folder(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["puzzle", "a+b", "...", ".x", "a..b", "x" * 200, "with space", "<b>", os.fsdecode(b"\xff")]
)
def test_other_names_are_a_folder_in_reports_dir(name, tmp_path):
    assert report_folder(tmp_path, name).parent == tmp_path

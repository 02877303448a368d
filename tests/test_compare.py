"""The command: from folders to a report, and from mistakes to one message.

python -m pytest tests/test_compare.py -v
"""

import base64
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from made_runs import make_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_exp import compare as compare_module
from mnist_exp.cli.overrides import CONF
from mnist_exp.compare import MNIST_FINGERPRINT, as_list, compare, name_of


@pytest.fixture
def sweep(tmp_path):
    for seed in (0, 1):
        for model, acc in (("mlp", 0.8), ("cnn", 0.9)):
            folder = tmp_path / "sweeps" / "puzzle" / f"model={model},seed={seed}"
            make_run(folder, f"model={model}", acc=acc + seed / 100, seed=seed)
    return tmp_path / "sweeps" / "puzzle"


def compared(tmp_path, *overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("compare", [f"reports_dir={tmp_path}/reports", f"data_dir={tmp_path}", *overrides])
    return compare(cfg)


def run_command(cwd, *overrides, **environment):
    return subprocess.run(
        [sys.executable, "-m", "mnist_exp.compare", *overrides],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


# --- the report ---


def test_the_report_has_all_its_forms_and_is_named_after_the_sweep(tmp_path, sweep):
    folder = compared(tmp_path, f"runs={sweep}")
    assert folder == tmp_path / "reports" / "puzzle"
    names = {path.name.partition(".out.")[0] for path in folder.iterdir()}
    assert names == {"report.md", "report.html", "runs.csv", "figures", "events"}
    assert {path.name for path in (folder / "figures").iterdir()} == {"learning_curves.png", "time.png"}


def test_the_table_of_runs_holds_every_digit(tmp_path, sweep):
    runs = pd.read_csv(compared(tmp_path, f"runs={sweep}") / "runs.csv")
    assert runs.groupby("model")["test/acc"].mean().to_dict() == pytest.approx({"cnn": 0.905, "mlp": 0.805}, abs=1e-12)
    assert runs["commit"].unique().tolist() == ["c" * 12]
    assert list(runs.columns[:7]) == ["run", "status", "group", "model", "seed", "test/acc", "val/acc"]


def test_a_second_report_replaces_the_first_whole(tmp_path, sweep):
    folder = compared(tmp_path, f"runs={sweep}")
    (folder / "stale").touch()
    assert compared(tmp_path, f"runs={sweep}") == folder
    assert not (folder / "stale").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["puzzle"]


def test_a_report_that_fails_leaves_the_earlier_one(tmp_path, sweep, monkeypatch):
    folder = compared(tmp_path, f"runs={sweep}")
    monkeypatch.setattr("mnist_exp.analysis.publish.write_events", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compared(tmp_path, f"runs={sweep}")
    assert (folder / "report.md").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["puzzle"]


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_needs_no_other_file_and_reads_without_eyes(tmp_path, sweep):
    folder = compared(tmp_path, f"runs={sweep}")
    text = (folder / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|<script", text)
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == 1
    assert len(page.of("caption")) == len(page.of("table")) == 3
    assert all(header["scope"] in ("row", "col") for header in page.of("th"))
    pictures = page.of("img")
    assert all(picture["alt"] and picture["width"] for picture in pictures)
    embedded = [base64.b64decode(picture["src"].partition(",")[2]) for picture in pictures]
    assert sorted(embedded) == sorted(path.read_bytes() for path in (folder / "figures").iterdir())


def test_tensorboard_reads_the_report(tmp_path, sweep):
    events = EventAccumulator(str(compared(tmp_path, f"runs={sweep}"))).Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"figures/learning_curves", "figures/time"}
    assert "report" in tags["tensors"]
    assert events.Scalars("mean test_acc/model=cnn")[0].value == pytest.approx(0.905)
    assert [event.step for event in events.Scalars("mean val_acc/model=cnn")] == [1, 2, 3]


def test_a_report_of_several_folders_is_named_after_all(tmp_path, sweep):
    single = make_run(tmp_path / "runs" / "cnn" / "2026-01-01", "model=cnn", seed=5)
    folder = compared(tmp_path, f"runs=[{sweep},{single}]")
    assert folder.name == "puzzle+cnn_2026-01-01"
    assert name_of(single) == "cnn_2026-01-01"


def test_attribution_takes_its_levels_as_hydra_reads_them(tmp_path):
    for flag in ("true", "false"):
        for lr in ("0.001", "0.1"):
            make_run(tmp_path / "runs" / f"{flag}{lr}", f"model.standardize={flag}", f"optimizer.lr={lr}")
    corners = ["compare.from={model.standardize: false, optimizer.lr: 1e-3}"]
    corners += ["compare.to={model.standardize: true, optimizer.lr: 0.1}"]
    folder = compared(tmp_path, f"runs={tmp_path}/runs", *corners)
    assert "Which factor makes the difference" in (folder / "report.md").read_text()


# --- pictures ---


def test_pictures_are_those_of_mnist_alone(tmp_path, monkeypatch):
    path = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.parent.mkdir(parents=True)
    images = np.arange(2 * 28 * 28, dtype=np.int64).astype(np.uint8)
    path.write_bytes(bytes(16) + images.tobytes())
    assert compare_module.mnist_pictures(tmp_path, MNIST_FINGERPRINT) is None  # not the bytes of MNIST
    monkeypatch.setitem(compare_module.SHA256, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    assert np.array_equal(compare_module.mnist_pictures(tmp_path, MNIST_FINGERPRINT), images.reshape(2, 28, 28))
    assert compare_module.mnist_pictures(tmp_path, "sha256:other") is None
    assert compare_module.mnist_pictures(tmp_path / "nowhere", MNIST_FINGERPRINT) is None


@pytest.mark.slow
def test_the_fingerprint_is_that_of_mnist():
    from mnist_exp.data.digits import fingerprint
    from mnist_exp.data.image_datamodule import load_mnist

    assert fingerprint(*load_mnist(Path(os.environ.get("MNIST_EXP_DATA", "data")))) == MNIST_FINGERPRINT


# --- the command line ---


@pytest.mark.usefixtures("sweep")
def test_the_command_shows_the_verdict_and_leaves_nothing_but_its_report(tmp_path):
    before = set(tmp_path.iterdir())
    done = run_command(tmp_path, "runs=sweeps/puzzle", PYTHONPROFILEIMPORTTIME="1")
    assert not re.search(r"\| +(torch|pytorch_lightning)$", done.stderr, re.MULTILINE)  # they would take seconds
    assert done.returncode == 0, done.stderr
    assert "model=cnn has the highest mean test accuracy: 90.50%" in done.stdout
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"outputs"}
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.glob("outputs/*/*")] == ["outputs/reports/puzzle"]
    assert (
        "python -m mnist_exp.compare runs=sweeps/puzzle" in (tmp_path / "outputs/reports/puzzle/report.md").read_text()
    )


def test_a_mistake_gets_one_message_and_no_traceback(tmp_path):
    done = run_command(tmp_path, "runs=nowhere")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: there is no folder nowhere\n")
    assert "Traceback" in run_command(tmp_path, "runs=nowhere", HYDRA_FULL_ERROR="1").stderr


def test_nothing_to_compare_is_an_error_that_shows_how(tmp_path):
    with pytest.raises(ValueError, match="runs=outputs/sweeps/<name>"):
        compared(tmp_path)


def test_one_value_is_a_list_of_one():
    assert (as_list("a"), as_list(["a", "b"]), as_list(None)) == (["a"], ["a", "b"], [])

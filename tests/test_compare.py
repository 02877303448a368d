"""The command: from folders to a report, and from mistakes to one message.

python -m pytest tests/test_compare.py -v
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from made_runs import make_run, write_result
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_exp import compare as compare_module
from mnist_exp.cli.overrides import CONF
from mnist_exp.compare import MNIST_FINGERPRINT, as_list, compare, default_name, matching, name_of


@pytest.fixture
def sweep(tmp_path):
    for seed in (0, 1):
        for model, acc in (("mlp", 0.8), ("cnn", 0.9)):
            folder = tmp_path / "sweeps" / "puzzle" / f"model={model},seed={seed}"
            make_run(folder, f"model={model}", acc=acc + seed / 100, seed=seed)
    return tmp_path / "sweeps" / "puzzle"


def config(tmp_path, *overrides, **settings):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("compare", [f"reports_dir={tmp_path}/reports", f"data_dir={tmp_path}", *overrides])
    return OmegaConf.merge(cfg, settings)


def compared(tmp_path, *overrides):
    return compare(config(tmp_path, *overrides))


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
    assert names == {"report.md", "report.html", "runs.csv", "figures", "events", ".report.json"}
    assert {path.name for path in (folder / "figures").iterdir()} == {"learning_curves.png", "time.png"}


def test_the_table_of_runs_holds_every_digit(tmp_path, sweep):
    runs = pd.read_csv(compared(tmp_path, f"runs={sweep}") / "runs.csv")
    assert runs.groupby("model")["test/acc"].mean().to_dict() == pytest.approx({"cnn": 0.905, "mlp": 0.805}, abs=1e-12)
    assert runs["commit"].unique().tolist() == ["c" * 12]
    assert list(runs.columns[:7]) == ["run", "status", "group", "model", "seed", "test/acc", "val/acc"]


def test_a_second_report_replaces_the_first(tmp_path, sweep):
    folder = compared(tmp_path, f"runs={sweep}")
    first = (folder / "runs.csv").read_text()
    make_run(sweep / "model=mlp,seed=2", "model=mlp", seed=2)
    assert compared(tmp_path, f"runs={sweep}") == folder
    assert (folder / "runs.csv").read_text() != first
    assert [path.name for path in folder.parent.iterdir()] == ["puzzle"]


@pytest.mark.parametrize("overrides", [["reports_dir=sweeps"], ["name=puzzle", "reports_dir=sweeps"]])
def test_the_runs_are_never_replaced_by_their_report(tmp_path, sweep, overrides, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in sweep.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"is in the way: the report goes to sweeps/puzzle"):
        compared(tmp_path, f"runs={sweep}", *overrides)
    assert {path: path.read_bytes() for path in sweep.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["..", ".", "../sweeps/puzzle", "/etc", "a/b"])
def test_a_report_stays_in_its_folder(tmp_path, sweep, name):
    with pytest.raises(ValueError, match="cannot name a report"):
        compared(tmp_path, f"runs={sweep}", f"name={name}")
    assert {path.name for path in tmp_path.iterdir()} == {"sweeps"}


def test_a_mistake_in_the_place_is_told_before_the_runs_are_read(tmp_path):
    with pytest.raises(ValueError, match="cannot name a report"):
        compared(tmp_path, "runs=nowhere", "name=..")


def test_a_long_list_of_runs_makes_a_name_that_a_file_system_takes(tmp_path):
    assert default_name([tmp_path / ("ä" * 40)] * 3) == "ä" * 40 + "+" + "ä" * 9
    assert default_name([tmp_path / "a", tmp_path / "b"]) == "a+b"


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
    monkeypatch.setitem(compare_module.SHA256["MNIST"], path.name, hashlib.sha256(path.read_bytes()).hexdigest())
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
    assert "outputs/reports/puzzle/report.html: the whole report" in done.stdout
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"outputs"}
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.glob("outputs/*/*")] == ["outputs/reports/puzzle"]
    assert (
        "python -m mnist_exp.compare runs=sweeps/puzzle" in (tmp_path / "outputs/reports/puzzle/report.md").read_text()
    )


def test_a_mistake_gets_one_message_and_no_traceback(tmp_path):
    done = run_command(tmp_path, "runs=nowhere")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: there is no folder nowhere: check the path\n")
    assert "Traceback" in run_command(tmp_path, "runs=nowhere", HYDRA_FULL_ERROR="1").stderr


def test_nothing_to_compare_is_an_error_that_shows_how(tmp_path):
    with pytest.raises(ValueError, match="runs=outputs/sweeps/<name>"):
        compared(tmp_path)


def test_one_value_is_a_list_of_one():
    assert (as_list("a"), as_list(["a", "b", "a"]), as_list(None)) == (["a"], ["a", "b"], [])


# --- runs of a stranger ---

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>`|\x1b[31m\ud800[/b]$\\"
BLOCKS = "html head meta title style body main h1 h2 p ul li strong em code div table caption thead tbody tr th td"
DRAWN = "figure figcaption svg g path use defs clipPath rect text image"


def test_texts_of_a_run_stay_text_wherever_they_are_shown(tmp_path, capsys):
    runs = tmp_path / "<img src=x onerror=alert(1)>"
    environment = dict.fromkeys(("torch", "lightning", "commit", "python", "dirty"), HOSTILE)
    for index in range(2):
        run = make_run(runs / f"[b]{index}", acc=0.9 - index / 100)
        result = json.loads((run / "result.json").read_text())
        model = {"name": f"{index}{HOSTILE}", HOSTILE: f"{HOSTILE}{index}"}
        hostile = {
            "name": HOSTILE,
            "overrides": [f"model={index}{HOSTILE}", f"{HOSTILE}=1"],
            "config": result["config"] | {"model": model},
            "data": {"name": HOSTILE, "fingerprint": HOSTILE},
            "environment": environment | {"device": f"{index}{HOSTILE}"},
        }
        (run / "result.json").write_text(json.dumps(result | hostile))
    failed = {"status": "failed", "seed": 0, "overrides": [], "config": {}, "error": HOSTILE, "traceback": HOSTILE}
    write_result(runs / "failed", failed)
    folder = compare(config(tmp_path, runs=[str(runs)]))
    page = (folder / "report.html").read_text()
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 10
    assert set(re.findall(r"<(\w+)", page)) <= {*BLOCKS.split(), *DRAWN.split()}
    assert not re.search(r"<[^>]*\son\w+=", page)
    shown = capsys.readouterr().out
    assert "alert(1)" in shown
    assert "[/b]" in shown
    for text in (shown, (folder / "report.md").read_text(), (folder / "runs.csv").read_text(), page):
        assert "\x1b" not in text


def test_runs_can_be_a_pattern(tmp_path: Path):
    for name in ("t1", "t2", "u", "t[1]"):
        (tmp_path / name).mkdir()
    assert matching(str(tmp_path / "t?")) == [tmp_path / "t1", tmp_path / "t2"]
    assert matching(str(tmp_path / "t[1]")) == [tmp_path / "t[1]"], "a folder of that name comes first"
    with pytest.raises(ValueError, match=r"no folder is named like .*/x\*"):
        matching(str(tmp_path / "x*"))

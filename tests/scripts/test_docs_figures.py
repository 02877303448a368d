"""scripts/figures.py: from run folders to the data files and pictures of docs/.

python -m pytest tests/scripts/test_docs_figures.py -v
"""

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run, write_result
from PIL import Image

from mnist_exp.data.digits import Digits
from mnist_exp.files import write_json, write_npz
from mnist_exp.imaging.corruptions import FAMILIES

SUBSETS = [f"{family}/{name}" for family, names in FAMILIES.items() for name in names]


@pytest.fixture
def script(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, small_mnist: tuple[Digits, Digits]
) -> ModuleType:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    from scripts import figures

    monkeypatch.setattr(figures, "load_mnist", lambda _: small_mnist)
    return figures


def evaluation(name: str, by_subset: dict[str, float], acc: float = 0.9) -> dict[str, Any]:
    scores = {subset: {"acc": each, "n": 100} for subset, each in by_subset.items()}
    return {
        "acc": acc, "n": 1000, "ece": 0.05, "by_subset": scores,
        "checkpoint": {"name": name, "seed": 0}, "environment": {"commit": "c" * 40},
    }  # fmt: skip


def evaluated_run(folder: Path, *, severities: Iterable[int] = range(6), own: tuple[str, ...] = ()) -> Path:
    """A run folder with evaluations, in which each step of severity costs 0.1 of accuracy."""
    name = folder.name
    everything = {"test": 1.0, **dict.fromkeys(FAMILIES, 0.7), **dict.fromkeys(SUBSETS, 0.7), "load_digits": 0.8}
    write_json(folder / "evaluation-all.json", evaluation(name, everything))
    for severity in severities:
        by_subset = dict.fromkeys([*FAMILIES, *SUBSETS], 1 - severity / 10)
        write_json(folder / f"evaluation-corruptions-{severity}.json", evaluation(name, by_subset))
    for label in own:
        write_json(folder / f"evaluation-{label}.json", evaluation(name, {}))
    return folder


def trained_run(folder: Path, *overrides: str, seed: int) -> Path:
    epochs = [{"epoch": epoch, "val/acc": epoch / 20} for epoch in range(1, 21)]
    milestones = [{"epoch": 3, "test/acc": 0.3}, {"epoch": 20, "test/acc": 0.9}]
    return make_run(folder, *overrides, seed=seed, history=epochs, milestones=milestones)


def test_a_study_writes_its_data_file_and_all_pictures_that_have_data(script: ModuleType, tmp_path: Path):
    runs = [evaluated_run(tmp_path / "a"), evaluated_run(tmp_path / "b", severities=())]
    script.main("real_world", runs, docs=tmp_path / "docs", data_dir=tmp_path)
    assert {path.name for path in (tmp_path / "docs" / "data").iterdir()} == {"real_world.csv", "severity.csv"}
    pictures = sorted((tmp_path / "docs" / "images").iterdir())
    assert [path.name for path in pictures] == ["corruptions.png", "forms.png", "severity.png", "suites.png"]
    assert sum(path.stat().st_size for path in pictures) < 150_000


def test_each_corruption_has_a_row_for_each_severity(script: ModuleType, tmp_path: Path):
    table = script.by_severity(script.read_evaluations(evaluated_run(tmp_path / "a")))
    curves = table.pivot(index="corruption", columns="severity", values="accuracy")
    assert curves.shape == (len(SUBSETS), 6)
    assert curves.iloc[0].tolist() == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert set(table["family"]) == {"MNIST-C", "hand", "pen", "camera"}


def test_your_own_digits_are_a_suite_named_after_their_file(script: ModuleType, tmp_path: Path):
    rows = script.by_suite(script.read_evaluations(evaluated_run(tmp_path / "a", own=("npz-nsysu",))))
    assert rows["suite"].tolist() == ["test", "MNIST-C", "hand", "pen", "camera", "load_digits", "nsysu", "all"]
    assert rows["calibration_error"].tolist()[-1] == 0.05
    assert rows["calibration_error"].isna().sum() == 7
    assert rows["n"].tolist()[-2:] == [1000, 1000]


def test_measuring_one_model_again_keeps_the_rows_of_the_others(script: ModuleType, tmp_path: Path):
    path = tmp_path / "real_world.csv"
    pd.DataFrame({"model": ["fast", "fast", "robust"], "accuracy": [0.1, 0.2, 0.9]}).to_csv(path, index=False)
    merged = script.merge(path, pd.DataFrame({"model": ["fast"], "accuracy": [0.5]}))
    assert merged.to_dict("list") == {"model": ["robust", "fast"], "accuracy": [0.9, 0.5]}


def test_the_known_models_come_first_and_in_their_own_order(script: ModuleType):
    assert script.in_order(pd.Series(["mine", "robust", "solution1", "mine"])) == ["solution1", "robust", "mine"]


def test_the_picture_of_the_suites_shows_the_mean_over_seeds(script: ModuleType):
    rows = pd.DataFrame(
        [
            {"model": "fast", "seed": 0, "suite": "test", "accuracy": 0.8},
            {"model": "fast", "seed": 1, "suite": "test", "accuracy": 0.6},
            {"model": "robust", "seed": 0, "suite": "test", "accuracy": 0.9},
            {"model": "robust", "seed": 0, "suite": "nsysu", "accuracy": 0.9},  # not shown: fast was not tested on it
        ]
    )
    (axes,) = script.suites_picture(rows).axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.7, 0.9])


def test_the_learning_curves_are_read_from_the_runs_of_a_sweep(script: ModuleType, tmp_path: Path):
    sweep = tmp_path / "sweep"
    for seed in (0, 1):
        trained_run(sweep / f"sgd{seed}", "model=mlp", "optimizer=sgd", "optimizer.lr=0.1", seed=seed)
    trained_run(sweep / "adam", "model=mlp", "optimizer=adam", seed=0)
    rows = script.learning_curves([sweep])["learning_curves"]
    assert len(rows) == 3 * 20
    assert rows.iloc[0].tolist()[:5] == ["Adam", 0.001, 0, 1, 0.05]
    tested = rows[rows["test_accuracy"].notna()]
    assert tested["epoch"].tolist() == [3, 20] * 3

    picture = script.learning_curves_picture(rows)
    assert [text.get_text() for text in picture.axes[0].texts] == [
        "Adam, learning rate 0.001", "SGD, learning rate 0.1", "after 3 epochs"
    ]  # fmt: skip


def test_a_sweep_s_table_has_a_row_for_each_run_also_for_those_that_diverged(script: ModuleType, tmp_path: Path):
    for lr in ("0.1", "0.01"):
        make_run(tmp_path / lr, "model=mlp", "optimizer=sgd", f"optimizer.lr={lr}", acc=float(lr), seed=0)
    failed = ["model=mlp", "optimizer=sgd", "optimizer.lr=1"]
    write_result(tmp_path / "1", {"status": "failed", "seed": 0, "overrides": failed, "config": {}})
    rows = script.sweep_table([tmp_path], ["model", "scheduler", "optimizer.lr"])
    assert rows["optimizer.lr"].tolist() == [0.01, 0.1, 1.0]
    assert set(rows["scheduler"]) == {"none"}
    assert rows["status"].tolist() == ["finished", "finished", "failed"]
    assert rows["test/acc"].tolist()[:2] == [0.01, 0.1]


def test_accuracy_is_drawn_against_the_learning_rate(script: ModuleType):
    rows = pd.DataFrame(
        [
            {"model": model, "model.standardize": True, "optimizer": optimizer, "optimizer.lr": lr, "seed": 0,
             "val/acc": accuracy}
            for model in ("mlp", "cnn")
            for optimizer in ("sgd", "sgd_momentum", "adam")
            for lr, accuracy in ((0.001, 0.8), (0.01, 0.98), (0.1, np.nan))
        ]
    )  # fmt: skip
    panels = script.learning_rate_picture(rows).axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "Validation accuracy, perceptron", "Validation accuracy, CNN"
    ]  # fmt: skip
    curve, ring = panels[0].lines[:2]
    assert curve.get_xydata().tolist() == [[0.001, 0.8], [0.01, 0.98]]
    assert ring.get_xydata().tolist() == [[0.01, 0.98]]


def test_accuracy_is_drawn_against_the_batch_size(script: ModuleType):
    recipes = [("sgd_momentum", "none"), ("sgd_scaled", "none"), ("sgd_scaled", "warmup")]
    rows = pd.DataFrame(
        [
            {"optimizer": optimizer, "scheduler": scheduler, "data.batch_size": size, "test/acc": 0.9}
            for optimizer, scheduler in recipes
            for size in (64, 128)
        ]
    )
    tuned = pd.DataFrame(
        [
            {"optimizer": optimizer, "data.batch_size": 64, "seed": seed, "test/acc": 0.9 + seed / 100}
            for optimizer in ("sgd_momentum", "adam")
            for seed in (0, 1, 2)
        ]
    )
    (axes,) = script.batch_size_picture(rows, tuned).axes
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 2, 2, 1, 1]
    assert axes.lines[-1].get_ydata() == pytest.approx([0.915])  # seed 0 has chosen the rate


def test_a_run_that_is_not_finished_is_named(script: ModuleType, tmp_path: Path):
    write_result(tmp_path / "sweep" / "broken", {"status": "failed", "seed": 0, "overrides": [], "config": {}})
    with pytest.raises(SystemExit, match=r"broken is not a finished run"):
        script.learning_curves([tmp_path / "sweep"])


def test_a_folder_without_runs_is_named(script: ModuleType, tmp_path: Path):
    with pytest.raises(SystemExit, match="no run folder in"):
        script.learning_curves([tmp_path])


def test_a_run_without_an_evaluation_is_named(script: ModuleType, tmp_path: Path):
    with pytest.raises(SystemExit, match="holds no evaluation"):
        script.read_evaluations(tmp_path)


def test_the_panels_of_a_run_are_one_picture(script: ModuleType, tmp_path: Path):
    labels = np.arange(60) % 10
    probs = np.eye(10, dtype=np.float32)[(labels + (np.arange(60) < 5)) % 10]  # five mistakes
    write_npz(tmp_path / "run" / "predictions.npz", labels=labels, preds=probs.argmax(axis=1), probs=probs)
    script.main("test_panels", [tmp_path / "run"], docs=tmp_path, data_dir=tmp_path)
    with Image.open(tmp_path / "images" / "test_panels.png") as picture:
        assert picture.width > 700
        assert picture.height > 400


def test_risk_coverage_curves_of_all_suites_but_single_severities_are_drawn(script: ModuleType, tmp_path: Path):
    run = evaluated_run(tmp_path / "a", own=("npz-nsysu",))
    curve = [{"min_confidence": least, "answered": 1 - least / 2, "error": 0.1 * (1 - least)} for least in (0.0, 0.9)]
    for path in run.glob("evaluation-*.json"):
        write_json(path, json.loads(path.read_text()) | {"risk_coverage": curve})
    script.main("risk_coverage", [run], docs=tmp_path / "docs", data_dir=tmp_path)
    rows = pd.read_csv(tmp_path / "docs" / "data" / "risk_coverage.csv")
    assert sorted(set(rows["suite"])) == ["all", "nsysu"]
    assert rows["answered"].tolist() == pytest.approx([1, 0.55] * 2)
    assert (tmp_path / "docs" / "images" / "risk_coverage.png").exists()


def test_an_evaluation_without_a_curve_is_to_be_made_again(script: ModuleType, tmp_path: Path):
    with pytest.raises(SystemExit, match="run evaluate again"):
        script.main("risk_coverage", [evaluated_run(tmp_path / "a")], docs=tmp_path / "docs", data_dir=tmp_path)

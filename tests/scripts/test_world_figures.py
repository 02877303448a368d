"""scripts/figures.py: from evaluations to what docs/real-world.md shows.

python -m pytest tests/test_world_figures.py -v
"""

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mnist_exp.data.digits import Digits
from mnist_exp.files import write_json
from mnist_exp.imaging.corruptions import FAMILIES

SUBSETS = [f"{family}/{name}" for family, names in FAMILIES.items() for name in names]
FIGURES = {"corruptions.png", "suites.png", "severity.png"}


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
    return {"acc": acc, "by_subset": scores, "checkpoint": {"name": name}}


def make_run(folder: Path, *, severities: Iterable[int] = range(6), own: tuple[str, ...] = ()) -> Path:
    """A run folder with evaluations, in which accuracy falls by 0.1 a severity."""
    name = folder.name
    everything = {"test": 1.0, **dict.fromkeys(FAMILIES, 0.7), **dict.fromkeys(SUBSETS, 0.7), "load_digits": 0.8}
    write_json(folder / "evaluation-all.json", evaluation(name, everything))
    for severity in severities:
        graded = dict.fromkeys([*FAMILIES, *SUBSETS], 1 - severity / 10)
        write_json(folder / f"evaluation-corruptions-{severity}.json", evaluation(name, graded))
    for label in own:
        write_json(folder / f"evaluation-{label}.json", evaluation(name, {}))
    return folder


def test_all_figures_are_made_from_the_runs_that_have_what_they_show(script: ModuleType, tmp_path: Path):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", severities=())]
    script.main(runs, data_dir=tmp_path, images=tmp_path / "images")
    assert {path.name for path in (tmp_path / "images").iterdir()} == FIGURES
    assert sum(path.stat().st_size for path in (tmp_path / "images").iterdir()) < 150_000


def test_every_corruption_has_each_severity_once(script: ModuleType, tmp_path: Path):
    table = script.by_severity(script.read(make_run(tmp_path / "a")))
    curves = table.pivot(index="corruption", columns="severity", values="acc")
    assert curves.shape == (len(SUBSETS), 6)
    assert curves.iloc[0].tolist() == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert (script.falling(table.assign(group="a")) == 1).all()


def test_a_corruption_that_gets_easier_is_counted(script: ModuleType, tmp_path: Path):
    table = script.by_severity(script.read(make_run(tmp_path / "a"))).assign(group="a")
    table.loc[(table["corruption"] == "fog") & (table["severity"] == 5), "acc"] = 0.9
    assert script.falling(table)["a", "MNIST-C"] == pytest.approx(14 / 15)


def test_digits_of_ones_own_are_a_suite_by_the_name_of_their_file(script: ModuleType, tmp_path: Path):
    suites = script.by_suite(script.read(make_run(tmp_path / "a", own=("npz-nsysu",))))["suite"].tolist()
    assert suites == ["test", "MNIST-C", "hand", "pen", "camera", "load_digits", "nsysu"]


def test_a_run_without_an_evaluation_is_named(script: ModuleType, tmp_path: Path):
    with pytest.raises(SystemExit, match="holds no evaluation"):
        script.read(tmp_path)

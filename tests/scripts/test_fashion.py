"""scripts/fashion.py, and that docs/fashion.md has the table of docs/data/fashion.csv.

python -m pytest tests/scripts/test_fashion.py -v
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from omegaconf import DictConfig
from test_docs import DOCS, data

from mnist_exp.train import train
from mnist_exp.training.run import run_and_record


@pytest.fixture
def script(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    from scripts import fashion

    return fashion


def test_the_page_has_the_table_of_its_data(script: ModuleType):  # noqa: ARG001, which makes scripts importable
    from scripts import tables

    page = (DOCS / "fashion.md").read_text(encoding="utf-8")
    assert page.count("| perceptron") == 3
    assert tables.filled(page) == page


def test_images_and_csv_have_given_the_same_weights():
    runs = data("fashion").groupby(["model", "optimizer", "lr", "seed"])
    both = [group for _, group in runs if set(group["data"]) == {"image", "csv"}]
    assert both
    for group in both:
        assert (group["weights"].nunique(), group["fingerprint"].nunique()) == (1, 1)


@pytest.mark.usefixtures("small_mnist")
def test_runs_become_rows_with_the_accuracy_after_each_milestone(
    script: ModuleType, composed: Callable[..., DictConfig], tmp_path: Path
):
    for source in ("image", "csv"):
        cfg = composed(f"data={source}", "data.dataset=fashion_mnist", "milestones=[1,2]", "logger=none", folder=source)
        run_and_record(train, cfg)
    rows = script.collect(tmp_path)
    assert rows[["data", "epochs"]].to_numpy().tolist() == [["csv", 1], ["image", 1], ["csv", 2], ["image", 2]]
    assert rows["weights"].tolist()[:2] == ["", ""]
    assert rows["weights"].nunique() == 2  # none after the first epoch, and after the last the same ones
    assert rows["test_accuracy"].between(0, 1).all()

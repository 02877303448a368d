"""scripts/tables.py: python -m pytest tests/scripts/test_tables.py -v

tests/test_docs.py compares the pages with what is made here.
"""

from types import ModuleType

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def script(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    from scripts import tables

    return tables


def test_a_difference_has_welch_s_interval(script: ModuleType):
    """Spreads of 1 and 3 points, three runs each: the error is sqrt(10 / 3) points, with 2.439 degrees of freedom."""
    assert script.difference([0.97, 0.98, 0.99], [0.90, 0.93, 0.96]) == "+5.00 [−1.64, +11.64]"


@pytest.mark.parametrize(
    ("shift", "spread", "within"),
    [(0.0, 0.001, True), (0.004, 0.0001, True), (0.006, 0.0001, False), (0.0, 0.01, False)],
)
def test_means_are_equal_if_their_interval_is_within_the_margin(
    script: ModuleType, shift: float, spread: float, within: bool
):
    runs = np.array([-spread, 0, spread])
    assert script.equivalence(0.9 + shift + runs, 0.9 + runs).endswith("within ±0.5") == within


def test_runs_that_diverged_are_counted_and_are_in_no_mean(script: ModuleType):
    runs = pd.DataFrame({"status": ["finished", "finished", "failed"], "test/acc": [0.96, 0.98, np.nan]})
    assert script.with_failures(runs) == "97.00 ± 1.41 (1 of 3 diverged)"
    assert script.with_failures(runs[2:]) == "all 1 diverged"
    assert script.with_failures(runs[:1]) == "96.00 (n = 1)"


def test_the_text_between_the_marks_is_replaced(script: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(script.TABLES, "made", lambda: "new\n")
    page = "a\n<!-- table: made -->\nold\nold\n<!-- end -->\nb <!-- end -->"
    assert script.filled(page) == "a\n<!-- table: made -->\nnew\n<!-- end -->\nb <!-- end -->"

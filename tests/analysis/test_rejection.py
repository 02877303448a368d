"""Answers that are refused, by hand: python -m pytest tests/analysis/test_rejection.py -v"""

import numpy as np
import pytest

from mnist_exp.analysis.rejection import risk_coverage


def test_a_curve_by_hand():
    confidence, right = np.array([0.45, 0.5, 0.95, 0.95, 0.9995]), np.array([False, True, True, False, True])
    curve = {point["min_confidence"]: point for point in risk_coverage(confidence, right)}
    assert [curve[least]["answered"] for least in (0.0, 0.5, 0.6, 0.95, 0.98)] == [1, 0.8, 0.6, 0.6, 0.2]
    assert [curve[least]["error"] for least in (0.0, 0.5, 0.6, 0.98)] == pytest.approx([0.4, 0.25, 1 / 3, 0])


def test_pictures_that_cannot_be_read_are_never_answered():
    assert risk_coverage(np.array([0.9]), np.array([True]), unread=3)[0]["answered"] == 0.25


def test_where_nothing_is_answered_there_is_no_error_rate():
    *_, last = risk_coverage(np.array([0.6]), np.array([True]))
    assert (last["answered"], last["error"]) == (0, None)

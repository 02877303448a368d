"""The first paragraph of a report claims no more than the tests do.

python -m pytest tests/analysis/test_answer.py -v
"""

import numpy as np
import pytest
import scipy.stats
from made_runs import make_run

from mnist_exp.analysis.report import write_report
from mnist_exp.analysis.runs import collect

SENTENCES = (AGREE, MEANS_ONLY, OPEN, TOO_FEW, WITHIN) = (
    "Other seeds can be expected to agree",
    "The means differ, but single runs can come out the other way",
    "These seeds do not settle it",
    "too few runs to say whether other seeds would agree",
    "The means are equal within ±0.5 points",
)


@pytest.mark.parametrize(
    ("image", "csv", "expected"),
    [
        ([0.90, 0.91, 0.92], [0.98, 0.981, 0.979], [AGREE]),
        ([0.89, 0.90, 0.91, 0.88, 0.92], [0.93, 0.94, 0.92, 0.95, 0.91], [MEANS_ONLY]),
        ([0.90, 0.94, 0.92], [0.93, 0.92, 0.95], [OPEN]),
        ([0.90], [0.93], [TOO_FEW]),
        ([0.93, 0.931, 0.932], [0.932, 0.931, 0.930], [WITHIN]),
        ([0.930, 0.9301, 0.9302], [0.932, 0.9321, 0.9319], [AGREE, WITHIN]),
    ],
)
def test_the_headline_claims_no_more_than_tests_and_the_prediction_interval(tmp_path, image, csv, expected):
    for data, accuracies in {"image": image, "csv": csv}.items():
        for seed, acc in enumerate(accuracies):
            make_run(tmp_path / f"{data}{seed}", f"data={data}", acc=acc, seed=seed)
    text = write_report(collect([tmp_path]), name="t").markdown
    assert [each for each in SENTENCES if each in text] == expected
    if len(image) > 1:
        low, high = difference_of_new_runs(csv, image)
        assert (scipy.stats.ttest_ind(csv, image, equal_var=False).pvalue < 0.05) == bool(
            {AGREE, MEANS_ONLY} & {*expected}
        )
        assert (AGREE in expected) == (low > 0)
        assert AGREE not in expected or f"the next run of each differs by [{100 * low:+.2f}, {100 * high:+.2f}]" in text


def difference_of_new_runs(a, b):
    """The 95% prediction interval, for groups of equal size, whose degrees of freedom are Welch's."""
    df = scipy.stats.ttest_ind(a, b, equal_var=False).df
    spread = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) * (1 + 1 / len(a)))
    return np.mean(a) - np.mean(b) + spread * np.array(scipy.stats.t.interval(0.95, df))

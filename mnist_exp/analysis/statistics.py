"""The statistics behind `python -m mnist_exp.compare`: pure functions, with intervals at 95%.

An accuracy can change for two reasons, and each has its own functions:

- Another *seed*. `summarise` is about one group of runs, `Difference` about two.
- Other *test images*. `wilson_interval` gives the interval of one run, `mcnemar` tests a pair of runs.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, nctdtrinc, ndtr, ndtri, stdtr, stdtrit  # scipy.stats would triple the import time

ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
UPPER_QUANTILE = (1 + CONFIDENCE) / 2
POWER = 0.8


class Summary(NamedTuple):
    """The mean of n values, their sample standard deviation (n - 1), and the t interval of the mean, low to high."""

    mean: float
    std: float
    n: int
    low: float
    high: float


class Interval(NamedTuple):
    low: float
    high: float


class Difference(NamedTuple):
    """The mean of group a minus that of group b, over seeds: what a t distribution says about it.

    Everything but the mean is NaN where the runs do not tell how much the difference varies: a group has one run, or
    nothing varies (an error of 0 would claim certainty). Only where all runs are equal is the error 0.
    """

    mean: float
    n: tuple[int, ...]  # the runs of a and of b; one number, of pairs, where it is taken seed by seed
    error: float  # the standard error of the mean difference
    df: float  # its degrees of freedom
    new_error: float  # the standard error if it predicts the difference of two new runs
    new_df: float

    @property
    def interval(self) -> Interval:
        """Of the difference between the means of all possible seeds."""
        return _t_interval(self.mean, self.error, self.df)

    @property
    def prediction(self) -> Interval:
        """Of the difference between one new run of a and one of b: other seeds can be expected to fall into it."""
        return _t_interval(self.mean, self.new_error, self.new_df)

    @property
    def p(self) -> float:
        """The two-sided t-test: do both groups have the same mean? 1 where all runs are equal."""
        if self.error == 0:
            return 1.0
        return float(2 * stdtr(self.df, -abs(self.mean) / self.error))

    def equivalence_p(self, margin: float) -> float:
        """Two one-sided tests (TOST, Schuirmann 1987): is the difference as large as `margin`, or larger?

        A small p says that the means are equal within the margin.
        """
        if self.error == 0:
            return 0.0
        return float(stdtr(self.df, (abs(self.mean) - margin) / self.error))

    @property
    def detectable(self) -> float:
        """The smallest true difference that as many runs with this spread find with a probability of 80% (p < 0.05)."""
        return self.error * float(nctdtrinc(self.df, 1 - POWER, stdtrit(self.df, UPPER_QUANTILE)))


class Correlation(NamedTuple):
    """How alike the same seeds do in different groups: the mean correlation, and the p-value of none (one-sided)."""

    r: float
    p: float

    def favours_pairs(self, n: int) -> bool:
        """Whether n runs a group are better compared seed by seed than as independent runs.

        Pairs take a factor of 1 - r off the variance, and half of the degrees of freedom.
        """
        if n < 2 or not self.p < ALPHA:
            return False
        t_paired, t_independent = stdtrit([n - 1, 2 * n - 2], UPPER_QUANTILE)
        return bool((1 - self.r) * t_paired**2 < t_independent**2)


class McNemar(NamedTuple):
    """How many images only a got right, how many only b, and the p-value: are both equally likely?"""

    only_a: int
    only_b: int
    p: float

    @property
    def p_a_better(self) -> float:
        """The one-sided p-value: small where a got more images right than chance explains."""
        return self.p / 2 if self.only_a >= self.only_b else 1 - self.p / 2


def summarise(values: ArrayLike) -> Summary:
    """Mean, spread and interval of a metric over seeds. One value has only a mean: the rest is NaN.

    Raises ValueError without a value.
    """
    x = np.asarray(values, dtype=float)
    if x.size == 0:
        raise ValueError("there is no value to summarise: pass at least one finished run")
    n, mean = x.size, float(x.mean())
    if n == 1:
        return Summary(mean, np.nan, n, np.nan, np.nan)
    std = float(x.std(ddof=1))
    half_width = float(stdtrit(n - 1, UPPER_QUANTILE)) * std / sqrt(n)
    return Summary(mean, std, n, mean - half_width, mean + half_width)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The interval of an accuracy measured on n images (Wilson 1927). It stays within 0..1, also for 0 or n correct.

    Raises ValueError where `correct` of `n` is impossible.
    """
    if not 0 <= correct <= n or n == 0:
        raise ValueError(f"{correct} of {n} images cannot be correct: an accuracy needs 0 <= correct <= n and n > 0")
    z, accuracy = float(ndtri(UPPER_QUANTILE)), correct / n
    centre = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half_width), min(1.0, centre + half_width)


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """The mid-p McNemar test of two runs on the same test images. p is 1 where they never disagree.

    correct_a, correct_b: bool (N,), whether each image was read right.

    Only images that one run got right and the other wrong can tell the two apart. If the runs are equally good, each of
    these images is a toss of a fair coin (McNemar 1947; Dietterich 1998 for classifiers). This is the mid-p version,
    because the plain exact test is needlessly cautious (Fagerland, Lydersen & Laake 2013). The test is about these two
    trained networks and not about their recipes: another seed gives another network, see `paired_difference`.

    Raises ValueError for arrays of different shapes.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)  # (N,), (N,)
    if a.shape != b.shape:
        raise ValueError(f"McNemar's test needs the same images for both runs, got {a.shape} and {b.shape}")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    fewer, n = min(only_a, only_b), only_a + only_b
    # p = 2 * (P(X < fewer) + P(X = fewer) / 2) = P(X <= fewer) + P(X < fewer), where X counts heads in n tosses.
    # A tie gives 1. Fagerland et al. would take off half of P(X = fewer) there.
    p = bdtr(fewer, n, 0.5) + (bdtr(fewer - 1, n, 0.5) if fewer else 0)
    return McNemar(only_a, only_b, float(p))


def mcnemar_over_seeds(tests: Sequence[McNemar]) -> float:
    """One p-value for the tests of several seeds. NaN without a test.

    The tests use the same images, so they depend on each other. Twice the median of their p-values is valid however
    they do (Rüger 1978). It is taken for each direction alone: seeds that contradict each other give no small p.
    """
    if len(tests) < 2:
        return tests[0].p if tests else np.nan
    a_better = np.array([test.p_a_better for test in tests])
    return min(1.0, 2 * 2 * float(min(np.median(a_better), np.median(1 - a_better))))


def paired_difference(a: Mapping[int, float] | pd.Series, b: Mapping[int, float] | pd.Series) -> Difference:
    """The mean of a - b over the seeds that both have (seed -> metric), each seed being a pair.

    Raises ValueError without a common seed, and for a seed that occurs twice.
    """
    a, b = pd.Series(a, dtype=float).dropna(), pd.Series(b, dtype=float).dropna()
    if a.index.has_duplicates or b.index.has_duplicates:
        raise ValueError("a seed occurs twice within one group: keep one run for each seed")
    seeds = a.index.intersection(b.index)
    if seeds.empty:
        raise ValueError(f"no seed in common: one group has {a.index.tolist()}, the other {b.index.tolist()}")
    differences = (a.loc[seeds] - b.loc[seeds]).to_numpy()
    return _difference(float(differences.mean()), [differences], scale=a.loc[seeds].abs().max())


def welch_difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """The mean of a minus the mean of b for independent runs, whose spreads may differ (Welch 1947).

    Raises ValueError without a value in one of them.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if not x.size or not y.size:
        raise ValueError("there is no difference without a finished run in each group")
    return _difference(float(x.mean() - y.mean()), [x, y], scale=np.abs([*x, *y]).max())


def _difference(mean: float, samples: Sequence[NDArray[np.float64]], *, scale: float) -> Difference:
    """samples: whose means make up the difference. scale: of the values that were subtracted, for rounding errors."""
    n = tuple(x.size for x in samples)
    if min(n) < 2:
        return Difference(mean, n, *[np.nan] * 4)
    variances = np.array([x.var(ddof=1) for x in samples])
    if np.sqrt(variances.sum()) <= 1e-12 * scale:
        return Difference(mean, n, *[0.0 if abs(mean) <= 1e-12 * scale else np.nan] * 4)
    of_mean, of_new = variances / n, variances * (1 + 1 / np.array(n))
    return Difference(mean, n, *_error_and_df(of_mean, n), *_error_and_df(of_new, n))


def _error_and_df(variances: NDArray[np.float64], n: Sequence[int]) -> tuple[float, float]:
    """The standard error of a sum of estimates, and its degrees of freedom (Satterthwaite 1946)."""
    total = variances.sum()
    return float(np.sqrt(total)), float(total**2 / (variances**2 / (np.array(n) - 1)).sum())


def _t_interval(mean: float, error: float, df: float) -> Interval:
    half_width = error and error * float(stdtrit(df, UPPER_QUANTILE))
    return Interval(mean - half_width, mean + half_width)


def seed_correlation(values: pd.DataFrame) -> Correlation:
    """The mean correlation of all pairs of groups over their common seeds. NaN where no pair has two seeds.

    values: a row for each seed, a column for each group, NaN where a run is missing. Groups with equal values, such as
        those that read the same pixels from two sources, count once.

    Without a true correlation, a pair's r has mean 0 and variance 1 / (n - 1), whatever the distribution, and the pairs
    are not correlated with each other (as under random permutations of each group's seeds). So r has a known standard
    error.
    """
    values = values.loc[:, ~values.T.duplicated()]
    r, present = values.corr(min_periods=2).to_numpy(), values.notna().to_numpy(dtype=int)
    pairs = np.triu(~np.isnan(r), k=1)
    if not pairs.any():
        return Correlation(np.nan, np.nan)
    mean, n = float(r[pairs].mean()), (present.T @ present)[pairs]
    error = sqrt((1 / (n - 1)).sum()) / pairs.sum()
    return Correlation(mean, float(ndtr(-mean / error)))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for their number (Holm 1979), in the order given. NaN stays NaN and does not count."""
    p = np.array(p_values, dtype=float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    factors = np.arange(order.size, 0, -1)
    p[order] = np.maximum.accumulate(p[order] * factors).clip(max=1)
    return p


def confusion_counts(preds: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """How many images of each label got each answer: (10, 10), a row for each label, a column for each answer."""
    counts = np.zeros((10, 10), dtype=np.int64)
    np.add.at(counts, (np.asarray(labels), np.asarray(preds)), 1)
    return counts


def expected_calibration_error(probs: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> tuple[float, pd.DataFrame]:
    """How far confidence is from accuracy (Naeini et al. 2015; Guo et al. 2017), and the reliability diagram's table.

    probs: float (N, classes), each from 0 to 1. labels: int (N,).

    The table has a row for each bin: its edges `low` and `high`, the mean `confidence` and `accuracy` (NaN in an empty
    bin) and the `count` of images. A confidence on an edge belongs to the bin below it, as in Guo et al. torchmetrics
    puts it into the bin above, so the two can differ slightly.

    Raises ValueError without images, and for values outside 0..1.
    """
    probs, labels = np.asarray(probs, dtype=float), np.asarray(labels)  # (N, 10), (N,)
    if not probs.size or not ((probs >= 0) & (probs <= 1)).all():
        raise ValueError("calibration needs probabilities within 0..1 for at least one image: these may be logits")
    confidence, correct = probs.max(axis=1), probs.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    images = pd.DataFrame({"bin": edges.searchsorted(confidence) - 1, "confidence": confidence, "accuracy": correct})
    table = images.groupby("bin").mean().reindex(range(bins))
    table.insert(0, "low", edges[:-1])
    table.insert(1, "high", edges[1:])
    table["count"] = images["bin"].value_counts().reindex(range(bins), fill_value=0)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["count"]).sum() / len(images)), table

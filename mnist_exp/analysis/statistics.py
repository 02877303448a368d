"""The statistics behind `python -m mnist_exp.compare`: pure functions, with intervals at 95%.

An accuracy can change for two reasons, and each has its own functions:

- Another *seed*. `summarise`, `paired_difference` and the effects of a `Factorial` give t intervals over seeds.
- Other *test images*. `wilson_interval` gives the interval of one run, `mcnemar` tests a pair of runs.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import sqrt
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, comb, ndtri, stdtr, stdtrit  # scipy.stats would triple the import time

CONFIDENCE = 0.95
UPPER_QUANTILE = (1 + CONFIDENCE) / 2


class Summary(NamedTuple):
    """The mean of n values, their sample standard deviation (n - 1), and the t interval of the mean, low to high."""

    mean: float
    std: float
    n: int
    low: float
    high: float


class Difference(NamedTuple):
    """A `Summary` of paired differences, and the p-value of the paired t-test."""

    mean: float
    std: float
    n: int
    low: float
    high: float
    p: float


class McNemar(NamedTuple):
    """How many images only a got right, how many only b, and the p-value: are both equally likely?"""

    only_a: int
    only_b: int
    p: float


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


def paired_difference(a: Mapping[int, float] | pd.Series, b: Mapping[int, float] | pd.Series) -> Difference:
    """The mean of a - b over the seeds that both have (seed -> metric), and the paired t-test.

    p is 1 where all pairs are equal. It is NaN where a t-test is not possible: with one pair, or where the difference
    is the same for every seed (a standard deviation of 0 would claim certainty).

    Raises ValueError without a common seed, and for a seed that occurs twice.
    """
    a, b = pd.Series(a, dtype=float).dropna(), pd.Series(b, dtype=float).dropna()
    if a.index.has_duplicates or b.index.has_duplicates:
        raise ValueError("a seed occurs twice within one group: keep one run for each seed")
    seeds = a.index.intersection(b.index)
    if seeds.empty:
        raise ValueError(f"no seed in common: one group has {a.index.tolist()}, the other {b.index.tolist()}")
    differences = (a.loc[seeds] - b.loc[seeds]).to_numpy()
    summary = summarise(differences)
    if summary.n > 1 and not differences.any():
        p = 1.0
    elif np.ptp(differences) <= 1e-12 * a.loc[seeds].abs().max():  # equal but for rounding
        p = np.nan
    else:
        p = float(2 * stdtr(summary.n - 1, -abs(summary.mean) / (summary.std / sqrt(summary.n))))
    return Difference(*summary, p)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for their number (Holm 1979), in the order given. NaN stays NaN and does not count."""
    p = np.array(p_values, dtype=float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    factors = np.arange(order.size, 0, -1)
    p[order] = np.maximum.accumulate(p[order] * factors).clip(max=1)
    return p


def missing_runs(
    frame: pd.DataFrame, levels: Mapping[str, Iterable[Hashable]], *, value: str, seed: str = "seed"
) -> list[dict[str, Any]]:
    """The runs, each as {seed: ..., factor: level, ...}, that `frame` lacks for a full factorial over `levels`.

    frame: a row for each run. A run whose value is NaN did not finish and counts as missing.
    levels: of each factor. A full factorial has each seed of `frame` with every combination of levels. None and NaN
        are the same level, because pandas may turn the first into the second.
    """
    columns = [seed, *levels]
    runs = _values_by_run(frame, columns, value)
    wanted = product(frame[seed].unique().tolist(), *levels.values())
    return [dict(zip(columns, run, strict=True)) for run in wanted if _key(run) not in runs]


@dataclass(frozen=True, eq=False)
class Factorial:
    """A full factorial with two levels for each factor: which factor makes the difference?

    The two corners, `start` and `end`, differ in k factors. There are runs for all 2^k combinations of their levels,
    with the same seeds. Every effect is computed for each seed and then summarised, so that its interval tells how
    much it depends on the seed.
    """

    factors: tuple[str, ...]
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]  # seeds that lack a combination
    values: NDArray[np.float64]  # (S, 2, ..., 2): a seed, then for each factor 0 (start) or 1 (end)

    @classmethod
    def from_runs(
        cls,
        frame: pd.DataFrame,
        *,
        value: str,
        start: Mapping[str, Hashable],
        end: Mapping[str, Hashable],
        seed: str = "seed",
    ) -> Self:
        """Picks the runs between two corners (factor -> level) from a frame with one row per run.

        Runs at other levels are ignored, and a seed that lacks a combination is left out.

        Raises ValueError where the corners do not match, no seed is complete, or two runs have the same seed and
        levels.
        """
        if start.keys() != end.keys() or any(start[factor] == end[factor] for factor in start):
            raise ValueError(f"the corners must give the same factors different levels: {dict(start)}, {dict(end)}")
        levels = {factor: (start[factor], end[factor]) for factor in start}
        missing = missing_runs(frame, levels, value=value, seed=seed)
        left_out = tuple(dict.fromkeys(run[seed] for run in missing))
        seeds = tuple(s for s in frame[seed].unique().tolist() if s not in left_out)
        if not seeds:
            raise ValueError(
                f"no seed has finished all {2 ** len(levels)} cells of {' x '.join(levels)}; run the {len(missing)} "
                f"missing ones, first {'; '.join(map(_describe, missing[:3]))}"
            )
        runs = _values_by_run(frame, [seed, *levels], value)
        values = np.array([runs[_key(run)] for run in product(seeds, *levels.values())])
        return cls(tuple(levels), seeds, left_out, values.reshape(-1, *(2,) * len(levels)))

    def gap(self) -> Summary:
        """The value at the end corner minus the value at the start corner."""
        return summarise(self._gap())

    def main_effects(self) -> dict[str, Summary]:
        """The mean over all cells with a factor at `end` minus the mean over those with it at `start`.

        These and the interactions are the contrasts of Box, Hunter & Hunter 2005, chapter 5.
        """
        return {factor: summarise(self._switch(factor).mean(axis=1)) for factor in self.factors}

    def interactions(self) -> dict[tuple[str, str], Summary]:
        """Half the difference between the effect of one factor with the other at `end` and its effect at `start`.

        For two factors that is (v11 - v10 - v01 + v00) / 2; it is averaged over further factors. It is 0 where effects
        add up.
        """
        return {pair: summarise(self._switch(*pair).mean(axis=1) / 2) for pair in combinations(self.factors, 2)}

    def shapley(self) -> dict[str, Summary]:
        """Each factor's share of the gap; the shares add up to it exactly.

        A share is what switching the factor from `start` to `end` adds, averaged over all k! orders in which the
        factors can be switched (Shapley 1953; Shorrocks 2013 for decompositions). It equals the main effect as long
        as factors interact at most in pairs. With interactions of three, main effects no longer add up to the gap.
        """
        others_at_end = np.indices((2,) * (len(self.factors) - 1)).sum(axis=0).ravel()
        weights = 1 / (len(self.factors) * comb(len(self.factors) - 1, others_at_end))
        shares = {factor: self._switch(factor) @ weights for factor in self.factors}
        assert np.allclose(sum(shares.values()), self._gap(), rtol=1e-9, atol=1e-9)
        return {factor: summarise(share) for factor, share in shares.items()}

    def _gap(self) -> NDArray[np.float64]:  # (S,)
        cells = self.values.reshape(len(self.seeds), -1)
        return cells[:, -1] - cells[:, 0]

    def _switch(self, *factors: str) -> NDArray[np.float64]:  # (S, 2^others)
        """What switching the factors from `start` to `end` adds, for each seed and each setting of the others."""
        added = self.values
        for factor in factors:
            added = np.diff(added, axis=1 + self.factors.index(factor))
        return added.reshape(len(self.seeds), -1)


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


def _values_by_run(frame: pd.DataFrame, columns: Sequence[str], value: str) -> dict[tuple[Hashable, ...], float]:
    """The values of the finished runs, each under its seed and levels. Two runs alike are an error."""
    finished = frame[frame[value].notna()]
    keys = [_key(row) for row in finished[list(columns)].itertuples(index=False, name=None)]
    repeated = next((key for key, count in Counter(keys).items() if count > 1), None)
    if repeated is not None:
        raise ValueError(
            f"several runs have {_describe(dict(zip(columns, repeated, strict=True)))}: "
            "keep one of them, or name the factor in which they differ"
        )
    return dict(zip(keys, finished[value].tolist(), strict=True))


def _key(levels: Iterable[Any]) -> tuple[Hashable, ...]:
    return tuple(None if pd.isna(level) else level for level in levels)


def _describe(run: Mapping[str, Hashable]) -> str:
    return ", ".join(f"{name}={level}" for name, level in run.items())

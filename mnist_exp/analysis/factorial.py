"""Full factorials: every combination of the factors' levels was run, so each factor's effect can be told apart."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import comb

from mnist_exp.analysis.statistics import Summary, summarise


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

    def interactions(self, order: int = 2) -> dict[tuple[str, ...], Summary]:
        """How much the effects of `order` factors depend on each other; 0 where effects add up.

        Of two factors: half the difference between the effect of one with the other at `end`, and its effect with the
        other at `start`: (v11 - v10 - v01 + v00) / 2. It is averaged over further factors. Of three factors: half the
        difference that the third makes to the interaction of the first two.
        """
        return {
            group: summarise(self._switch(*group).mean(axis=1) / 2 ** (order - 1))
            for group in combinations(self.factors, order)
        }

    def switched_first(self) -> dict[str, Summary]:
        """What switching one factor alone adds, from the start corner."""
        return {factor: summarise(self._switch(factor)[:, 0]) for factor in self.factors}

    def switched_last(self) -> dict[str, Summary]:
        """What switching a factor adds where all others are at `end` already, so that it leads to the end corner."""
        return {factor: summarise(self._switch(factor)[:, -1]) for factor in self.factors}

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

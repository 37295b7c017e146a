"""Two classifiers on the same rows: is one better, and by how much?

Rows are paired, for a row that is hard is so for both: a difference that two separate intervals
would hide is often plain in the rows on which the two disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.errors import UserError

DRAWS = 10_000
_AT_ONCE = 2**24  # numbers drawn at once


@dataclass(frozen=True)
class Difference:
    """The first's mean (its accuracy, say) less the second's, with its 95 % interval."""

    value: float
    low: float
    high: float


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The two-sided p-value that both are right equally often.

    Exact: of the rows on which one alone is right, as many should be the first's as the second's
    (McNemar 1947, by the binomial distribution). With several runs a row counts by how many more of
    one's runs are right on it, and either sign is as likely (the randomisation test of Fisher 1935,
    of which McNemar's is the case of one run). Without any such row it is 1.

    Parameters
    ----------
    first, second
        [N], or [S, N] for S runs, which may be more of the one than of the other: whether each row
        is right.
    """
    from scipy.stats import binom

    one, other = _paired(first, second)
    gaps = one.sum(axis=0) * len(other) - other.sum(axis=0) * len(one)  # [N], in 1 / (S1 S2)
    gaps //= max(1, np.gcd.reduce(gaps))
    chances = np.ones(1)  # of a total of -T, -T + 1, ... T
    for size, count in zip(*np.unique(np.abs(gaps[gaps != 0]), return_counts=True), strict=True):
        signs = np.zeros(2 * size * count + 1)
        signs[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, signs)
    totals = np.abs(np.arange(len(chances)) - len(chances) // 2)
    return float(min(1.0, chances[totals >= abs(gaps.sum())].sum()))


def accuracy_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """The difference in accuracy: `mean_difference` of whether each row is right.

    Parameters
    ----------
    first, second
        As for `mcnemar`.
    """
    return mean_difference(*_paired(first, second), draws=draws, seed=seed)


def mean_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """The difference of means over the same rows and its percentile bootstrap interval (Efron and
    Tibshirani 1993).

    Parameters
    ----------
    first, second
        [N], or [S, N] for S runs: a figure a row. All runs of a row are drawn together, and the
        difference is that of the means over the runs.

    Raises `UserError` where there are no rows, or not the same number for both.
    """
    one, other = _paired(first, second, np.float64)
    gaps = one.mean(axis=0) - other.mean(axis=0)  # [N]
    generator = np.random.default_rng(seed)
    means: list[npt.NDArray[Any]] = []
    while (left := draws - sum(map(len, means))) > 0:
        count = min(left, max(1, _AT_ONCE // len(gaps)))
        means.append(gaps[generator.integers(len(gaps), size=(count, len(gaps)))].mean(axis=1))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Difference(float(gaps.mean()), float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, corrected so that the chance of any false alarm stays at the
    level (Holm 1979); in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected.tolist()


def _paired(
    first: npt.ArrayLike, second: npt.ArrayLike, kind: type[np.generic] = np.bool_
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """[S1, N] and [S2, N], of that type"""
    one, other = np.atleast_2d(np.asarray(first, kind)), np.atleast_2d(np.asarray(second, kind))
    if one.shape[1:] != other.shape[1:] or not one.size:
        raise UserError(
            f"A paired test needs the same rows for both, and some; there are {one.shape[-1]:,} "
            f"and {other.shape[-1]:,}."
        )
    return one, other

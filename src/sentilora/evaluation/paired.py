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
    """The first's accuracy less the second's, with its 95 % interval."""

    value: float
    low: float
    high: float


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """The two-sided p-value that both are right equally often, from rows [N] where each is right.

    Exact (McNemar 1947, by the binomial distribution): of the rows on which one alone is right, as
    many should be the first's as the second's. Without any such row it is 1.
    """
    from scipy.stats import binomtest

    one, other = _paired(first, second)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def accuracy_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """The difference in accuracy and its percentile bootstrap interval (Efron and Tibshirani 1993).

    Parameters
    ----------
    first, second
        [N], or [S, N] for S runs each: whether each row is right. All runs of a row are drawn
        together, and the difference is the mean over the runs.
    """
    one, other = _paired(first, second)
    gaps = np.atleast_2d(one.astype(float) - other).mean(axis=0)  # [N]
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
    first: npt.ArrayLike, second: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if one.shape != other.shape or not one.size:
        raise UserError(
            f"A paired test needs the same rows for both, and some; there are {one.shape} and "
            f"{other.shape}."
        )
    return one, other

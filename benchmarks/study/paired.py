"""Two methods on the same rows: the difference in accuracy, with a paired interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 10_000


def difference(
    ours: Sequence[str], theirs: Sequence[str], gold: Sequence[int]
) -> tuple[float, float, float]:
    """Ours less theirs, mean over the seeds, and its 95 % interval (bootstrap over the rows).

    Each is a string of predicted label ids a seed. All seeds of a row are drawn together, for a
    row that is hard is so for each of them.
    """
    true = np.array(gold)
    pairs = zip(ours, theirs, strict=True)
    gaps = np.mean([_correct(own, true) - _correct(other, true) for own, other in pairs], axis=0)
    generator = np.random.default_rng(0)
    rows = generator.integers(len(true), size=(DRAWS, len(true)), dtype=np.int32)
    low, high = np.percentile(gaps[rows].mean(axis=1), [2.5, 97.5])
    return float(gaps.mean()), float(low), float(high)


def _correct(predicted: str, true: np.ndarray) -> np.ndarray:
    return (np.array(list(predicted), dtype=int) == true).astype(float)

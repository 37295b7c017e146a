"""Whether probabilities mean what they say: calibration errors, proper scores, and a temperature.

Everything takes probabilities [N, K] of the labels, whose rows sum to 1, and the true class ids
[N]. *Confidence* is the highest probability of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sentilora.correction import corrected
from sentilora.errors import UserError

Floats = npt.NDArray[np.floating[Any]]
Kind = Literal["equal-width", "adaptive"]

BINS = 15
_AT_ONCE = 2**22  # numbers drawn at once
_LEAST = 1e-12  # a probability of 0 has no logarithm
_COLDEST, _HOTTEST = 0.05, 20.0  # temperatures that are looked at


@dataclass(frozen=True)
class Bin:
    """Rows of like confidence: its edges, how many rows, their mean confidence and accuracy."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


def reliability(
    probabilities: Floats, true: npt.ArrayLike, *, bins: int = BINS, kind: Kind = "equal-width"
) -> list[Bin]:
    """The bins of a reliability diagram that hold rows.

    "equal-width" cuts [0, 1] evenly (Guo et al. 2017), "adaptive" so that all bins have like many
    rows (Nguyen and O'Connor 2015). Rows of equal confidence stay together, in the lowest of the
    bins that they would be spread over, so that the rows' order tells nothing.
    """
    confidence, correct = _confidences(probabilities, true)
    order = np.argsort(confidence, kind="stable")
    edges = np.linspace(0, 1, bins + 1)
    if kind == "adaptive":
        which = _even_bins(confidence[order], bins)
        parts = [order[which == number] for number in np.unique(which)]
        limits = [(confidence[part[0]], confidence[part[-1]]) for part in parts]
    else:
        which = np.minimum((confidence[order] * bins).astype(int), bins - 1)
        parts = [order[which == number] for number in range(bins)]
        limits = list(pairwise(edges))
    return [
        Bin(float(low), float(high), len(part), *_means(confidence[part], correct[part]))
        for part, (low, high) in zip(parts, limits, strict=True)
        if len(part)
    ]


def calibration_error(
    probabilities: Floats, true: npt.ArrayLike, *, bins: int = BINS, kind: Kind = "equal-width"
) -> float:
    """The expected calibration error: the bins' gaps between confidence and accuracy, by rows."""
    found = reliability(probabilities, true, bins=bins, kind=kind)
    gaps = sum(each.rows * abs(each.accuracy - each.confidence) for each in found)
    return float(gaps / sum(each.rows for each in found))


@dataclass(frozen=True)
class Chance:
    """What an error comes to by chance: its mean, and the interval of 95 % of the draws."""

    mean: float
    low: float
    high: float


def error_by_chance(probabilities: Floats, *, draws: int = 1000, seed: int = 0) -> Chance:
    """The calibration error, in `BINS` of equal width, of a model that is perfectly calibrated.

    The fewer rows, the larger: in each draw every row is right with its own confidence (consistency
    resampling, Bröcker and Smith 2007).
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    members = np.eye(BINS)[which]  # [N, BINS]
    generator = np.random.default_rng(seed)
    errors: list[float] = []
    while (left := draws - len(errors)) > 0:
        count = min(left, max(1, _AT_ONCE // len(confidence)))
        right = generator.random((count, len(confidence))) < confidence
        gaps = np.abs((right - confidence) @ members)  # [draws, BINS]
        errors += (gaps.sum(axis=1) / len(confidence)).tolist()
    low, high = np.percentile(errors, [2.5, 97.5])
    return Chance(float(np.mean(errors)), float(low), float(high))


def brier_score(probabilities: Floats, true: npt.ArrayLike) -> float:
    """The mean squared distance from certainty of the true label, summed over the labels; in [0, 2]
    (Brier 1950)."""
    wanted = np.zeros_like(np.asarray(probabilities, dtype=np.float64))
    wanted[np.arange(len(wanted)), np.asarray(true)] = 1
    return float(np.square(probabilities - wanted).sum(axis=1).mean())


def log_loss(probabilities: Floats, true: npt.ArrayLike) -> float:
    """The mean of -log p(true label), in nats."""
    picked = np.asarray(probabilities)[np.arange(len(probabilities)), np.asarray(true)]
    return float(-np.log(np.maximum(picked, _LEAST)).mean())


def fit_temperature(
    probabilities: Floats, true: npt.ArrayLike, shares: Sequence[float] | None = None
) -> float:
    """The temperature with the least log loss on these rows (Guo et al. 2017); see `correction`.

    The log loss is convex in the inverse of the temperature, so there is one least.

    Raises UserError where there are no rows.
    """
    from scipy.optimize import minimize_scalar

    if not len(probabilities):
        raise UserError("There are no rows to fit a temperature on.")
    found = minimize_scalar(
        lambda inverse: log_loss(corrected(probabilities, 1 / inverse, shares), true),
        bounds=(1 / _HOTTEST, 1 / _COLDEST),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(1 / found.x)


def _even_bins(ordered: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.intp]:
    """[N] the bin of each of the `ordered` confidences; ties are those of their first."""
    sizes = [len(part) for part in np.array_split(ordered, bins)]
    first = np.searchsorted(ordered, ordered, side="left")
    return np.repeat(np.arange(bins), sizes)[first]


def _confidences(
    probabilities: Floats, true: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """[N] each row's confidence, and whether its likeliest label is the true one."""
    given = np.asarray(probabilities, dtype=np.float64)
    if not len(given):
        raise UserError("There are no rows to measure on. Choose a split or a file that has some.")
    return given.max(axis=1), given.argmax(axis=1) == np.asarray(true)


def _means(confidence: npt.NDArray[Any], correct: npt.NDArray[Any]) -> tuple[float, float]:
    return float(confidence.mean()), float(correct.mean())

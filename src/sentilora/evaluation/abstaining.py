"""What abstaining brings on measured rows: how often label sets hold the true label, and how right
the labels are that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.conformal import Conformal, label_sets
from sentilora.evaluation.calibration import Floats
from sentilora.evaluation.metrics import wilson_interval

COVERAGE = 0.9  # the coverage whose sets are measured
THRESHOLDS = (0.0, 0.6, 0.7, 0.8, 0.9, 0.95)  # probabilities that abstaining below is measured at


@dataclass(frozen=True)
class SetFigures:
    """Label sets on one set of rows. Shares are between 0 and 1.

    asked, coverage, coverage_interval
        The coverage that was asked for, the share of rows whose set holds their true label, and
        its 95 % interval (Wilson).
    mean_size, single, empty
        Labels in a set, and the shares of sets of one label and of none.
    single_accuracy
        How many of the sets of one label hold the true one; None where there are none.
    calibrated_on
        How many rows the sets' scores come from.
    """

    asked: float
    coverage: float
    coverage_interval: tuple[float, float]
    mean_size: float
    single: float
    single_accuracy: float | None
    empty: float
    calibrated_on: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "coverage_interval": list(self.coverage_interval)}


@dataclass(frozen=True)
class Kept:
    """The rows whose label has at least the probability `threshold`.

    share
        Of all rows.
    accuracy, accuracy_interval
        Of the labels that are kept, with its 95 % interval (Wilson); None where none is.
    """

    threshold: float
    rows: int
    share: float
    accuracy: float | None
    accuracy_interval: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        interval = self.accuracy_interval
        return {**asdict(self), "accuracy_interval": interval and list(interval)}


def measure_sets(
    conformal: Conformal, probabilities: Floats, true: npt.ArrayLike, coverage: float = COVERAGE
) -> SetFigures:
    """The sets of `coverage` for probabilities [N, K], held against the true class ids [N]."""
    held = label_sets(probabilities, conformal.threshold(coverage))  # [N, K]
    found = held[np.arange(len(held)), np.asarray(true)]
    sizes = held.sum(axis=1)
    single = sizes == 1
    return SetFigures(
        asked=coverage,
        coverage=float(found.mean()),
        coverage_interval=wilson_interval(int(found.sum()), len(found)),
        mean_size=float(sizes.mean()),
        single=float(single.mean()),
        single_accuracy=float(found[single].mean()) if single.any() else None,
        empty=float((sizes == 0).mean()),
        calibrated_on=conformal.rows,
    )


def selective_accuracy(
    probabilities: Floats,
    predicted: npt.ArrayLike,
    true: npt.ArrayLike,
    thresholds: Sequence[float] = THRESHOLDS,
) -> tuple[Kept, ...]:
    """For each threshold the labels that abstaining below it keeps, and how right they are.

    This is the risk-coverage trade-off of selective classification (El-Yaniv and Wiener 2010) at a
    few points.

    Parameters
    ----------
    probabilities
        [N, K]
    predicted, true
        [N] class ids; a label's probability is that of the predicted one.
    """
    ids = np.asarray(predicted)
    given = np.asarray(probabilities, dtype=np.float64)[np.arange(len(ids)), ids]
    correct = ids == np.asarray(true)
    return tuple(
        _kept(threshold, correct[given >= threshold], len(ids)) for threshold in thresholds
    )


def _kept(threshold: float, correct: npt.NDArray[np.bool_], rows: int) -> Kept:
    count, right = len(correct), int(correct.sum())
    return Kept(
        threshold=threshold,
        rows=count,
        share=count / rows,
        accuracy=right / count if count else None,
        accuracy_interval=wilson_interval(right, count) if count else None,
    )

"""How far a model's probabilities are from what they say, before and after its temperature."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt

from sentilora.evaluation.calibration import (
    BINS,
    Bin,
    Chance,
    Floats,
    brier_score,
    calibration_error,
    error_by_chance,
    log_loss,
    reliability,
)
from sentilora.scoring.scores import Scores


@dataclass(frozen=True)
class Calibration:
    """One model's probabilities on one set of rows.

    ece, adaptive_ece
        The expected calibration error in `BINS` bins of equal width, and of like many rows.
    brier_score, nll
        Of the labels' probabilities; see `calibration`. `nll` is over the labels alone, unlike that
        of `Metrics`.
    bins, adaptive_bins
        The reliability diagram's data, of either kind.
    """

    ece: float
    adaptive_ece: float
    brier_score: float
    nll: float
    bins: tuple[Bin, ...]
    adaptive_bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Recalibration:
    """A tuned model's probabilities before its temperature and after it.

    chance
        The `ece` that a perfectly calibrated model of the same confidences shows on as many rows.
    """

    temperature: float
    before: Calibration
    after: Calibration
    chance: Chance

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it; `bins` is how many were made, also where some hold no row."""
        return {
            "temperature": self.temperature,
            "bins": BINS,
            "before": _plain(self.before),
            "after": _plain(self.after),
            "chance": asdict(self.chance),
        }


def recalibration(scores: Scores, true: npt.ArrayLike) -> Recalibration:
    """What the temperature in `scores`, of N rows, does on the true class ids [N]."""
    return Recalibration(
        temperature=scores.correction.temperature,
        before=measure_calibration(scores.before_temperature.probabilities, true),
        after=measure_calibration(scores.probabilities, true),
        chance=error_by_chance(scores.probabilities),
    )


def measure_calibration(probabilities: Floats, true: npt.ArrayLike) -> Calibration:
    """Of probabilities [N, K] and the true class ids [N].

    Raises UserError where there are no rows.
    """
    return Calibration(
        ece=calibration_error(probabilities, true),
        adaptive_ece=calibration_error(probabilities, true, kind="adaptive"),
        brier_score=brier_score(probabilities, true),
        nll=log_loss(probabilities, true),
        bins=tuple(reliability(probabilities, true)),
        adaptive_bins=tuple(reliability(probabilities, true, kind="adaptive")),
    )


def _plain(calibration: Calibration) -> dict[str, Any]:
    values = asdict(calibration)
    return {**values, **{name: list(values[name]) for name in ("bins", "adaptive_bins")}}

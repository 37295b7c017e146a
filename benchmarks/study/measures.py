"""What is measured of a method's probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentilora.evaluation.metrics import classification_metrics

BINS = 15


def measure(
    probabilities: NDArray[np.floating],
    predicted: NDArray[np.integer],
    gold: Sequence[int],
    labels: Sequence[str],
) -> dict[str, float]:
    """Accuracy and macro-F1 of the predicted ids [N], and of the probabilities [N, K] the
    calibration error and the negative log-likelihood."""
    true = np.asarray(gold)
    metrics = classification_metrics(true, predicted, labels)
    likelihood = np.maximum(probabilities[np.arange(len(true)), true], 1e-12)
    return {
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        "ece": calibration_error(probabilities, true),
        "nll": float(-np.log(likelihood).mean()),
    }


def calibration_error(probabilities: NDArray[np.floating], true: NDArray[np.integer]) -> float:
    """The expected calibration error, over bins of equal width (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == true
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(true))

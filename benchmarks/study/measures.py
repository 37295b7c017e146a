"""What is measured of a method's probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sentilora.evaluation.calibration import calibration_error, log_loss
from sentilora.evaluation.metrics import classification_metrics


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
    return {
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        "ece": calibration_error(probabilities, true),
        "nll": log_loss(probabilities, true),
    }

"""What is measured of one classifier on a set of rows: plain functions from arrays to `Metrics`.

The same code measures the tuned model, the untuned base and the baselines, so their figures can be
put side by side. A language model's probabilities are judged, too: their calibration error and
their Brier score. And it has three figures more than a classifier, which are often confused: the
*label mass* (how much probability the labels hold together), the *greedy share* (on how many rows
greedy generation would emit exactly a label) and the mean of -log p(label | text) over the whole
vocabulary. A baseline, of which labels alone are known, has None there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sentilora.errors import UserError
from sentilora.evaluation.calibration import brier_score, calibration_error

if TYPE_CHECKING:
    from sentilora.scoring import Scores

CONFIDENCE = 0.95


@dataclass(frozen=True)
class ClassMetrics:
    """One label's figures; a ratio with nothing to divide by is 0."""

    precision: float
    recall: float
    f1: float
    support: int  # rows that truly have this label


@dataclass(frozen=True)
class Metrics:
    """One classifier on one set of rows. Shares are between 0 and 1."""

    rows: int
    accuracy: float
    accuracy_interval: tuple[float, float]  # 95 %, Wilson
    macro_f1: float
    per_class: dict[str, ClassMetrics]  # in the task's label order
    confusion: tuple[tuple[int, ...], ...]  # [K, K]: row = true label, column = predicted label
    label_mass: float | None = None  # mean over rows
    greedy_share: float | None = None
    nll: float | None = None  # mean of -log p(label | text), in nats
    calibration_error: float | None = None  # expected, in bins of equal width
    brier_score: float | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels in their order, which is that of `confusion`."""
        return tuple(self.per_class)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it: dicts, lists, numbers and None."""
        return {
            **asdict(self),
            "accuracy_interval": list(self.accuracy_interval),
            "confusion": [list(row) for row in self.confusion],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """The inverse of `to_dict`."""
        low, high = values["accuracy_interval"]
        return cls(
            **{
                **values,
                "accuracy_interval": (low, high),
                "per_class": {
                    label: ClassMetrics(**figures) for label, figures in values["per_class"].items()
                },
                "confusion": tuple(tuple(row) for row in values["confusion"]),
            }
        )


def wilson_interval(correct: int, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927), without continuity correction.

    Unlike the normal approximation it stays within [0, 1] and keeps its coverage with few rows and
    near 0 or 1, where classifiers are.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def classification_metrics(
    true: npt.ArrayLike, predicted: npt.ArrayLike, labels: Sequence[str]
) -> Metrics:
    """Measures predicted class ids [N] against the true ones [N].

    Macro-F1 is scikit-learn's with every label of the task named and `zero_division=0`: the mean
    over *all* the labels, so that one which has no rows here and is never predicted counts as 0.
    That is the same for every classifier in a comparison, whatever it predicts; dropping such
    labels would let the divisor depend on the predictions.

    Raises UserError when there are no rows.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.size == 0:
        raise UserError("There are no rows to measure on. Choose a split or a file that has some.")
    ids = list(range(len(labels)))
    precision, recall, f1, support = precision_recall_fscore_support(
        true, predicted, labels=ids, zero_division=0
    )
    correct = int((true == predicted).sum())
    confusion = confusion_matrix(true, predicted, labels=ids)
    return Metrics(
        rows=int(true.size),
        accuracy=correct / true.size,
        accuracy_interval=wilson_interval(correct, int(true.size)),
        macro_f1=float(f1.mean()),
        per_class={
            label: ClassMetrics(
                float(precision[k]), float(recall[k]), float(f1[k]), int(support[k])
            )
            for k, label in enumerate(labels)
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def probability_metrics(
    probabilities: npt.NDArray[np.floating[Any]],
    predicted: npt.ArrayLike,
    true: npt.ArrayLike,
    labels: Sequence[str],
) -> Metrics:
    """Measures predicted class ids [N] and the probabilities [N, K] beside them, as
    `classification_metrics` does."""
    return replace(
        classification_metrics(true, predicted, labels),
        calibration_error=calibration_error(probabilities, true),
        brier_score=brier_score(probabilities, true),
    )


def score_metrics(scores: Scores, true: npt.ArrayLike, labels: Sequence[str]) -> Metrics:
    """Measures a language model's `Scores` of N rows against the true class ids [N].

    Raises UserError where a score is not a finite number: an arg max over NaN would pass for a
    prediction of the first label.
    """
    true = np.asarray(true)
    log_probs = np.asarray(scores.log_probs, dtype=np.float64)  # [N, K]
    broken = int((~np.isfinite(log_probs).all(axis=1)).sum())
    if broken:
        raise UserError(
            f"The model's scores are not finite numbers on {broken:,} of {len(true):,} rows: its "
            "weights have diverged or its dtype overflows. Train with a lower learning rate, or "
            "run in float32."
        )
    figures = probability_metrics(scores.probabilities, scores.predicted, true, labels)
    return replace(
        figures,
        label_mass=float(np.mean(scores.label_mass, dtype=np.float64)),
        greedy_share=float(np.mean(scores.greedy)),
        nll=float(-log_probs[np.arange(len(true)), true].mean()),
    )

"""Metrics against published and hand-computed values, and against plain counting."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sentilora.errors import UserError
from sentilora.evaluation.calibration import brier_score, calibration_error
from sentilora.evaluation.metrics import (
    Metrics,
    classification_metrics,
    score_metrics,
    wilson_interval,
)
from sentilora.scoring.scores import Scores

LABELS = ("negative", "neutral", "positive")


def plain_wilson(correct: int, rows: int) -> tuple[float, float]:
    """Wilson 1927, written out."""
    z = 1.959963984540054
    share = correct / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2)
    return middle - half, middle + half


def plain_figures(true: list[int], predicted: list[int], k: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of class k by counting; 0 where there is nothing to divide by."""
    pairs = list(zip(true, predicted, strict=True))
    hits = sum(t == k and p == k for t, p in pairs)
    said, there = sum(p == k for p in predicted), sum(t == k for t in true)
    return (
        hits / said if said else 0.0,
        hits / there if there else 0.0,
        2 * hits / (said + there) if said + there else 0.0,
    )


def make_scores(log_probs: list[list[float]], greedy: list[bool]) -> Scores:
    return Scores(np.array(log_probs, dtype=np.float32), np.array(greedy))


@pytest.mark.parametrize(
    ("correct", "rows", "low", "high"),
    # Newcombe 1998, table I, method 3 (score without continuity correction).
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_gives_the_published_values(
    correct: int, rows: int, low: float, high: float
) -> None:
    assert wilson_interval(correct, rows) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("correct", "rows"), [(0, 1), (1, 1), (2, 3), (920, 1066), (1066, 1066)])
def test_wilson_interval_is_the_formula_and_stays_within_bounds(correct: int, rows: int) -> None:
    low, high = wilson_interval(correct, rows)
    assert (low, high) == pytest.approx(plain_wilson(correct, rows), abs=1e-12)
    assert 0 <= low <= correct / rows <= high <= 1


def test_wilson_interval_covers_the_true_share_as_often_as_it_says() -> None:
    correct = np.random.default_rng(0).binomial(60, 0.85, size=4000)
    intervals = {k: wilson_interval(int(k), 60) for k in np.unique(correct)}
    covered = np.mean([intervals[k][0] <= 0.85 <= intervals[k][1] for k in correct])
    assert 0.93 < covered < 0.97


def test_metrics_equal_plain_counting() -> None:
    rng = np.random.default_rng(1)
    true, predicted = rng.integers(0, 3, 200).tolist(), rng.integers(0, 3, 200).tolist()
    metrics = classification_metrics(true, predicted, LABELS)
    figures = [plain_figures(true, predicted, k) for k in range(3)]
    for label, expected in zip(LABELS, figures, strict=True):
        found = metrics.per_class[label]
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected)
    assert metrics.macro_f1 == pytest.approx(sum(f1 for _, _, f1 in figures) / 3)
    assert metrics.accuracy == sum(t == p for t, p in zip(true, predicted, strict=True)) / 200
    assert sum(map(sum, metrics.confusion)) == metrics.rows == 200
    assert [sum(row) for row in metrics.confusion] == [
        metrics.per_class[label].support for label in LABELS
    ]


def test_a_confusion_row_is_a_true_label() -> None:
    metrics = classification_metrics([0, 0, 0, 2], [0, 2, 2, 1], LABELS)
    assert metrics.confusion == ((1, 0, 2), (0, 0, 0), (0, 1, 0))


def test_a_label_without_rows_or_predictions_counts_as_zero_in_macro_f1() -> None:
    metrics = classification_metrics([0, 2, 2], [0, 2, 2], LABELS)
    assert metrics.accuracy == 1
    assert metrics.macro_f1 == pytest.approx(2 / 3)
    assert metrics.per_class["neutral"].support == 0


def test_a_class_never_predicted_has_zeros_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    metrics = classification_metrics([0, 1, 2], [0, 0, 0], LABELS)
    positive = metrics.per_class["positive"]
    assert (positive.precision, positive.recall, positive.f1, positive.support) == (0, 0, 0, 1)
    assert not list(recwarn)


def test_one_row_can_be_measured() -> None:
    metrics = classification_metrics([1], [1], LABELS)
    assert metrics.accuracy == 1
    assert metrics.accuracy_interval == pytest.approx(plain_wilson(1, 1))


def test_no_rows_is_the_users_error() -> None:
    with pytest.raises(UserError, match="no rows"):
        classification_metrics([], [], LABELS)


def test_label_mass_greedy_share_and_nll_are_means_over_the_rows() -> None:
    probabilities = [[0.5, 0.25], [0.1, 0.8], [0.02, 0.01]]
    scores = make_scores(np.log(probabilities).tolist(), [True, True, False])
    metrics = score_metrics(scores, [1, 1, 0], ("negative", "positive"))
    assert metrics.label_mass == pytest.approx((0.75 + 0.9 + 0.03) / 3)
    assert metrics.greedy_share == pytest.approx(2 / 3)
    assert metrics.calibration_error == calibration_error(scores.probabilities, [1, 1, 0])
    assert metrics.brier_score == brier_score(scores.probabilities, [1, 1, 0])
    assert metrics.nll == pytest.approx(-np.log([0.25, 0.8, 0.02]).mean())
    assert metrics.confusion == ((1, 0), (1, 1))


@pytest.mark.parametrize("broken", [math.nan, -math.inf])
def test_scores_that_are_no_numbers_are_refused(broken: float) -> None:
    scores = make_scores([[-1.0, -2.0], [broken, broken]], [True, False])
    with pytest.raises(UserError, match="on 1 of 2 rows"):
        score_metrics(scores, [0, 1], ("negative", "positive"))


@pytest.mark.parametrize("of_a_model", [True, False])
def test_metrics_survive_json(of_a_model: bool) -> None:
    scores = make_scores([[-0.1, -3.0], [-2.0, -0.3]], [True, False])
    labels = ("negative", "positive")
    metrics = (
        score_metrics(scores, [0, 0], labels)
        if of_a_model
        else classification_metrics([0, 0], [0, 1], labels)
    )
    stored = json.dumps(metrics.to_dict(), allow_nan=False)
    assert Metrics.from_dict(json.loads(stored)) == metrics
    assert metrics.labels == labels

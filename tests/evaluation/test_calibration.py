"""Calibration against plain sums, known cases, and models whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from sentilora.correction import corrected
from sentilora.errors import UserError
from sentilora.evaluation.calibration import (
    Kind,
    brier_score,
    calibration_error,
    error_by_chance,
    fit_temperature,
    log_loss,
    reliability,
)


def calibrated(rows: int, labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and true labels that are drawn from them."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(labels, 0.7), size=rows)
    cumulated = probabilities.cumsum(axis=1)
    return probabilities, (generator.random((rows, 1)) > cumulated).sum(axis=1).clip(0, labels - 1)


def test_equal_width_bins_against_the_plain_sum() -> None:
    probabilities, true = calibrated(500)
    expected = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        rows = [row for row in range(500) if low <= probabilities[row].max() < high]
        if rows:
            confidence = np.mean([probabilities[row].max() for row in rows])
            accuracy = np.mean([probabilities[row].argmax() == true[row] for row in rows])
            expected += len(rows) / 500 * abs(confidence - accuracy)
    assert calibration_error(probabilities, true) == pytest.approx(expected)


def plain_adaptive_error(confidence: list[float], correct: list[bool], bins: int) -> float:
    """Row by row: which of the even bins its confidence begins in, where that is sorted."""
    ordered = sorted(confidence)
    larger, size = len(ordered) % bins, len(ordered) // bins  # the first bins have a row more
    starts = [number * size + min(number, larger) for number in range(bins)]
    members: dict[int, list[int]] = {}
    for row, value in enumerate(confidence):
        place = ordered.index(value)
        members.setdefault(max(n for n in range(bins) if starts[n] <= place), []).append(row)
    gaps = [
        abs(sum(confidence[row] for row in rows) - sum(correct[row] for row in rows))
        for rows in members.values()
    ]
    return sum(gaps) / len(confidence)


@pytest.mark.parametrize("levels", [1, 2, 7, 40, None])
@pytest.mark.parametrize("rows", [4, 15, 16, 97, 300])
def test_adaptive_bins_with_ties_against_the_plain_sum(rows: int, levels: int | None) -> None:
    """However the rows are ordered."""
    generator = np.random.default_rng(rows)
    positive = generator.random(rows)
    if levels is not None:
        positive = 0.5 + np.floor(positive * levels) / (2 * levels)
    probabilities = np.stack([1 - positive, positive], axis=1)
    true = generator.integers(2, size=rows)
    confidence = probabilities.max(axis=1).tolist()
    correct = (probabilities.argmax(axis=1) == true).tolist()
    wanted = plain_adaptive_error(confidence, correct, 15)
    for order in (np.arange(rows), generator.permutation(rows)):
        found = calibration_error(probabilities[order], true[order], kind="adaptive")
        assert found == pytest.approx(wanted)
    assert sum(each.rows for each in reliability(probabilities, true, kind="adaptive")) == rows


@pytest.mark.parametrize("kind", ["equal-width", "adaptive"])
def test_all_alike_are_one_bin(kind: Kind) -> None:
    """Half of them right, in whatever order: no error, and no bins of right and of wrong ones."""
    even = np.full((40, 2), 0.5)
    true = [0] * 20 + [1] * 20
    (only,) = reliability(even, true, kind=kind)
    assert (only.rows, only.confidence, only.accuracy) == (40, 0.5, 0.5)
    assert calibration_error(even, true, kind=kind) == 0.0


@pytest.mark.parametrize("kind", ["equal-width", "adaptive"])
def test_a_label_that_is_never_predicted_counts_as_an_error_only(kind: Kind) -> None:
    probabilities = np.tile([0.6, 0.3, 0.1], (10, 1))
    found = calibration_error(probabilities, [0] * 5 + [1] * 3 + [2] * 2, kind=kind)
    assert found == pytest.approx(0.1)


@pytest.mark.parametrize("rows", [3, 15, 100, 1_000])
def test_adaptive_bins_hold_like_many_rows(rows: int) -> None:
    probabilities, true = calibrated(rows)
    bins = reliability(probabilities, true, kind="adaptive")
    sizes = [each.rows for each in bins]
    assert sum(sizes) == rows
    assert max(sizes) - min(sizes) <= 1
    assert [each.low for each in bins] == sorted(each.low for each in bins)


def test_every_row_is_in_one_bin_and_a_certain_one_too() -> None:
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.4, 0.6]])
    bins = reliability(probabilities, [0, 1, 1, 0], bins=10)
    assert sum(each.rows for each in bins) == 4
    assert bins[-1].high == 1.0
    assert (bins[-1].rows, bins[-1].confidence, bins[-1].accuracy) == (2, 1.0, 1.0)


@pytest.mark.parametrize("kind", ["equal-width", "adaptive"])
def test_a_calibrated_model_has_no_error_but_for_chance(kind: str) -> None:
    assert calibration_error(*calibrated(200_000), kind=kind) < 0.005


def test_scores_against_scikit_learn() -> None:
    probabilities, true = calibrated(300)
    assert log_loss(probabilities, true) == pytest.approx(sklearn_log_loss(true, probabilities))
    two, binary = calibrated(300, labels=2)
    expected = brier_score_loss(binary, two[:, 1])  # of one label; ours sums over both
    assert brier_score(two, binary) == pytest.approx(2 * expected)


def test_scores_by_hand() -> None:
    assert brier_score(np.array([[1.0, 0.0], [0.5, 0.5]]), [1, 0]) == pytest.approx((2 + 0.5) / 2)
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), [1]))  # wrong and certain


@pytest.mark.parametrize("distortion", [0.4, 1.0, 2.5])
def test_the_temperature_undoes_a_distortion(distortion: float) -> None:
    probabilities, true = calibrated(50_000)
    distorted = corrected(probabilities, 1 / distortion)
    assert fit_temperature(distorted, true) == pytest.approx(distortion, rel=0.03)


def test_the_temperature_is_the_least_on_a_fine_grid() -> None:
    probabilities, true = calibrated(200, seed=3)
    sharp = corrected(probabilities, 0.5)
    grid = np.exp(np.linspace(-2, 2, 2_001))
    losses = [log_loss(corrected(sharp, temperature), true) for temperature in grid]
    assert fit_temperature(sharp, true) == pytest.approx(grid[np.argmin(losses)], rel=5e-3)


def test_the_temperature_goes_with_the_shares() -> None:
    """What answers for even labels is corrected to the shares first, then judged."""
    generator = np.random.default_rng(4)
    shares = (0.8, 0.15, 0.05)
    even = generator.dirichlet(np.full(3, 0.7), size=50_000)
    posterior = corrected(even, 1.0, shares)
    true = (generator.random((50_000, 1)) > posterior.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    assert fit_temperature(corrected(even, 0.5), true, shares) == pytest.approx(2, rel=0.05)


def test_all_right_or_all_alike_is_no_crash() -> None:
    assert 0 < fit_temperature(np.array([[0.9, 0.1]] * 5), [0] * 5) < 1
    assert fit_temperature(np.array([[0.5, 0.5]] * 4), [0, 1, 0, 1]) > 0
    assert calibration_error(np.array([[0.5, 0.5]] * 4), [0, 1, 0, 1]) == 0.0


def test_no_rows() -> None:
    with pytest.raises(UserError, match="no rows"):
        calibration_error(np.zeros((0, 2)), [])
    with pytest.raises(UserError, match="no rows"):
        fit_temperature(np.zeros((0, 2)), [])


def test_the_error_by_chance_is_that_of_labels_drawn_from_the_probabilities() -> None:
    generator = np.random.default_rng(4)
    confidence = generator.uniform(0.5, 1, size=80)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    drawn = [
        calibration_error(probabilities, (generator.random(80) > confidence).astype(int))
        for _ in range(1000)
    ]
    found = error_by_chance(probabilities)
    assert found.mean == pytest.approx(np.mean(drawn), abs=0.004)
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.01)
    many = error_by_chance(np.tile(probabilities, (50, 1)))
    assert many.high < found.low  # more rows, less of it


def test_a_sure_model_has_no_error_by_chance() -> None:
    found = error_by_chance(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert (found.mean, found.low, found.high) == (0, 0, 0)

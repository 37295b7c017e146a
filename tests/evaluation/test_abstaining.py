"""Label sets and selective accuracy measured, by hand and against plain loops."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sentilora.conformal import Conformal
from sentilora.evaluation.abstaining import measure_sets, selective_accuracy
from sentilora.evaluation.metrics import wilson_interval


def test_sets_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.55, 0.45], [0.2, 0.8], [0.3, 0.7]])
    found = measure_sets(Conformal(9, (0.6,) * 9), probabilities, [0, 1, 1, 0])
    # {0}, {0, 1}, {1}, {1}: the last one lacks its true label
    assert (found.asked, found.coverage, found.mean_size) == (0.9, 0.75, 1.25)
    assert (found.single, found.empty, found.calibrated_on) == (0.75, 0.0, 9)
    assert found.single_accuracy == pytest.approx(2 / 3)
    assert found.coverage_interval == wilson_interval(3, 4)
    assert json.loads(json.dumps(found.to_dict()))["coverage_interval"] == [
        *found.coverage_interval
    ]


def test_sets_of_none_and_of_all() -> None:
    even = np.full((5, 4), 0.25)
    none = measure_sets(Conformal(9, (0.1,) * 9), even, [0] * 5)
    assert (none.coverage, none.mean_size, none.empty, none.single_accuracy) == (0, 0, 1, None)
    every = measure_sets(Conformal(3, (0.1,) * 3), even, [0] * 5)  # too few rows to promise 90 %
    assert (every.coverage, every.mean_size, every.empty) == (1, 4, 0)


def test_selective_accuracy_against_the_plain_loop() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(3, 0.6), size=300)
    predicted = generator.integers(3, size=300)  # not always the likeliest
    true = generator.integers(3, size=300)
    thresholds = (0.0, 0.3, 0.62, 0.9)
    for threshold, found in zip(
        thresholds, selective_accuracy(probabilities, predicted, true, thresholds), strict=True
    ):
        kept = [row for row in range(300) if probabilities[row][predicted[row]] >= threshold]
        right = sum(predicted[row] == true[row] for row in kept)
        assert (found.threshold, found.rows) == (threshold, len(kept))
        assert found.share == len(kept) / 300
        assert found.accuracy == right / len(kept)
        assert found.accuracy_interval == wilson_interval(right, len(kept))


def test_nothing_is_kept_above_what_there_is() -> None:
    *_, last = selective_accuracy(np.array([[0.6, 0.4]]), [0], [0], (0.5, 0.7))
    assert (last.rows, last.share, last.accuracy, last.accuracy_interval) == (0, 0.0, None, None)
    assert json.loads(json.dumps(last.to_dict()))["accuracy"] is None

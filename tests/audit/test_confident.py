"""The confident-learning rule, against a case worked by hand and a plain reading of the paper."""

from __future__ import annotations

import numpy as np
import pytest

from sentilora.audit.confident import confident_joint, likely_errors, normalised_margins


def reference(probabilities: list[list[float]], gold: list[int]) -> tuple[list, list, list, list]:
    """Thresholds, joint, calibrated joint and errors, as the paper words them, row by row."""
    labels = range(len(probabilities[0]))
    thresholds = []
    for j in labels:
        own = [p[j] for p, given in zip(probabilities, gold, strict=True) if given == j]
        thresholds.append(sum(own) / len(own))
    joint = [[0 for _ in labels] for _ in labels]
    errors = []
    for row, (p, given) in enumerate(zip(probabilities, gold, strict=True)):
        candidates = [j for j in labels if p[j] >= thresholds[j] - 1e-6]
        if not candidates:
            continue
        likely = max(candidates, key=lambda j: p[j])
        joint[given][likely] += 1
        if likely != given:
            margin = p[given] - max(p[j] for j in labels if j != given)
            errors.append((margin, row))
    calibrated = [[joint[i][j] / sum(joint[i]) * gold.count(i) for j in labels] for i in labels]
    return thresholds, joint, calibrated, [row for _, row in sorted(errors)]


def test_a_case_worked_by_hand() -> None:
    # Three rows given 0 and three given 1: the thresholds are .6 and .7.
    probabilities = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.2, 0.8], [0.6, 0.4]]
    gold = [0, 0, 0, 1, 1, 1]
    found = confident_joint(probabilities, gold)
    np.testing.assert_allclose(found.thresholds, [0.6, 0.7])
    assert found.joint.tolist() == [[2, 1], [1, 2]]
    assert found.counted_as.tolist() == [0, 0, 1, 1, 1, 0]
    margins = normalised_margins(probabilities, gold)
    np.testing.assert_allclose(margins, [0.8, 0.4, -0.6, 0.8, 0.6, -0.2])
    assert likely_errors(found, margins, gold).tolist() == [2, 5]
    np.testing.assert_allclose(found.calibrated, [[2, 1], [1, 2]])


def test_rows_that_reach_no_threshold_are_not_counted_but_calibrated_for() -> None:
    probabilities = [[0.9, 0.1], [0.5, 0.5], [0.3, 0.7], [0.1, 0.9]]
    found = confident_joint(probabilities, [0, 0, 1, 1])
    assert found.counted_as.tolist() == [0, -1, -1, 1]
    assert found.joint.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(found.calibrated, [[2, 0], [0, 2]])


@pytest.mark.parametrize("labels", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_as_the_plain_reading(labels: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    gold = [*range(labels), *draw.integers(labels, size=200).tolist()]
    probabilities = draw.dirichlet(np.full(labels, 0.7), size=len(gold))
    thresholds, joint, calibrated, errors = reference(probabilities.tolist(), gold)
    found = confident_joint(probabilities, gold)
    np.testing.assert_allclose(found.thresholds, thresholds)
    assert found.joint.tolist() == joint
    np.testing.assert_allclose(found.calibrated, calibrated)
    margins = normalised_margins(probabilities, gold)
    assert likely_errors(found, margins, gold).tolist() == errors
    assert errors  # the case is one


def test_a_label_of_equal_probabilities_reaches_its_own_mean() -> None:
    """0.1 three times has a mean above 0.1 in floating point."""
    found = confident_joint([[0.1, 0.9]] * 3 + [[0.05, 0.95]] * 3, [0] * 3 + [1] * 3)
    assert found.thresholds[0] > 0.1  # or the case is none
    assert found.joint.tolist() == [[3, 0], [0, 3]]


def test_noise_of_known_size_is_estimated() -> None:
    """With true probabilities as good as certain the calibrated counts are those of the flips."""
    draw = np.random.default_rng(0)
    true = draw.integers(3, size=900)
    gold = np.where(draw.random(900) < 0.15, (true + 1) % 3, true)
    probabilities = np.full((900, 3), 0.02)
    probabilities[np.arange(900), true] = 0.96
    found = confident_joint(probabilities, gold)
    flips = np.zeros((3, 3))
    np.add.at(flips, (gold, true), 1)
    np.testing.assert_allclose(found.calibrated, flips)

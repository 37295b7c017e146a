"""Probabilities brought to mean what they say; the label that is chosen is the model's own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sentilora.correction import Correction, corrected, label_shares
from sentilora.errors import UserError


def test_bayes_rule_on_known_densities() -> None:
    """Densities and shares: the posterior among even labels leads to the true one."""
    densities = np.random.default_rng(0).random((50, 3))  # p(text | label)
    shares = (0.7, 0.2, 0.1)
    even = densities / densities.sum(axis=1, keepdims=True)
    expected = densities * shares / (densities * shares).sum(axis=1, keepdims=True)
    found = Correction(1.0, shares).apply(even.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_temperature_divides_the_logarithms() -> None:
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5]])
    found = corrected(probabilities, 2.0)
    np.testing.assert_allclose(found[0, 1] / found[0, 0], (0.8 / 0.2) ** 0.5)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_a_temperature_moves_no_label(temperature: float) -> None:
    probabilities = np.random.default_rng(1).dirichlet([1, 1, 1], size=300)
    found = corrected(probabilities, temperature)
    assert (found.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_nothing_to_correct_changes_nothing() -> None:
    probabilities = np.array([[0.2, 0.8], [1.0, 0.0]], dtype=np.float32)
    assert Correction().apply(probabilities) is probabilities
    np.testing.assert_allclose(corrected(probabilities, 1.0, (0.5, 0.5)), probabilities, atol=1e-6)


def test_certain_probabilities_stay_finite() -> None:
    found = Correction(3.0, (0.9, 0.1)).apply(np.array([[1.0, 0.0]], dtype=np.float32))
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_cannot_be(temperature: float) -> None:
    with pytest.raises(UserError, match="temperature"):
        Correction(temperature)


@pytest.mark.parametrize("correction", [Correction(), Correction(1.7, (0.9, 0.1))])
def test_json_and_back(correction: Correction) -> None:
    assert Correction.from_dict(json.loads(json.dumps(correction.to_dict()))) == correction


def test_shares_are_those_of_the_rows() -> None:
    assert label_shares([0, 0, 0, 2], 3) == (0.75, 0.0, 0.25)

"""Probabilities among equally frequent labels, brought to the data's own frequencies."""

from __future__ import annotations

import numpy as np
import pytest

from sentilora.priors import at_shares, label_shares


def test_bayes_rule_on_known_densities() -> None:
    """Two densities and shares: the posterior among even labels leads to the true one."""
    generator = np.random.default_rng(0)
    densities = generator.random((50, 3))  # p(text | label)
    shares = (0.7, 0.2, 0.1)
    even = densities / densities.sum(axis=1, keepdims=True)
    expected = densities * shares / (densities * shares).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(at_shares(even.astype(np.float32), shares), expected, rtol=1e-5)


def test_even_shares_change_nothing() -> None:
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(at_shares(probabilities, (0.5, 0.5)), probabilities, rtol=1e-6)


def test_shares_are_those_of_the_rows() -> None:
    assert label_shares([0, 0, 0, 2], 3) == (0.75, 0.0, 0.25)
    assert sum(label_shares([1, 2, 0, 0, 1, 2, 2], 3)) == pytest.approx(1.0)

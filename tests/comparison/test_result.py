"""Pairs of contenders, against the tests that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from sentilora.comparison.result import compare_runs
from sentilora.evaluation.paired import accuracy_difference, holm, mcnemar


def test_every_two_with_holms_correction() -> None:
    generator = np.random.default_rng(0)
    gold = generator.integers(2, size=200)
    wrong = {"a": 0.1, "b": 0.3, "c": 0.12}
    runs = {
        name: [np.where(generator.random(200) < share, 1 - gold, gold).tolist() for _ in range(2)]
        for name, share in wrong.items()
    }
    pairs = compare_runs(runs, gold.tolist())
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    right = {name: np.asarray(each) == gold for name, each in runs.items()}
    for pair in pairs:
        one, other = right[pair.first], right[pair.second]
        assert pair.p_value == mcnemar(one, other)
        assert pair.difference == accuracy_difference(one, other)
        assert pair.difference.value == pytest.approx(one.mean() - other.mean())
    assert [pair.corrected for pair in pairs] == holm([pair.p_value for pair in pairs])
    assert pairs[0].corrected < 0.01 < pairs[1].corrected


def test_one_against_itself_and_one_alone() -> None:
    gold = [0, 1, 1]
    (pair,) = compare_runs({"a": [[0, 1, 0]], "b": [[0, 1, 0]]}, gold)
    assert (pair.difference.value, pair.corrected) == (0.0, 1.0)
    assert compare_runs({"a": [gold]}, gold) == []

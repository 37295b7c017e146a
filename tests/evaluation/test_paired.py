"""Paired tests against hand-computed cases and simulated coverage."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from sentilora.errors import UserError
from sentilora.evaluation.paired import accuracy_difference, holm, mcnemar, mean_difference


@pytest.mark.parametrize(("only_first", "only_second"), [(3, 9), (0, 5), (7, 7), (12, 1)])
def test_mcnemar_by_hand(only_first: int, only_second: int) -> None:
    first = [True] * only_first + [False] * only_second + [True] * 20 + [False] * 4
    second = [False] * only_first + [True] * only_second + [True] * 20 + [False] * 4
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(count, k) for k in range(fewer + 1)) / 2**count
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))


def test_several_runs_by_every_assignment_of_signs() -> None:
    generator = np.random.default_rng(5)
    first, second = generator.random((3, 9)) < 0.7, generator.random((2, 9)) < 0.5
    gaps = first.mean(axis=0) - second.mean(axis=0)
    totals = np.array([np.dot(signs, gaps) for signs in product((-1, 1), repeat=9)])
    expected = np.mean(np.abs(totals) >= abs(gaps.sum()) - 1e-9)
    assert mcnemar(first, second) == pytest.approx(expected)


def test_equal_runs_tell_no_more_than_one() -> None:
    generator = np.random.default_rng(6)
    first, second = generator.random((2, 300)) < [[0.8], [0.7]]
    assert mcnemar([first] * 3, [second] * 3) == pytest.approx(mcnemar(first, second))


def test_identical_models_do_not_differ() -> None:
    right = [True, False, True]
    assert mcnemar(right, right) == 1.0
    difference = accuracy_difference(right, right)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_runs_of_a_row_are_drawn_together() -> None:
    """Two equal runs tell no more than one."""
    generator = np.random.default_rng(1)
    first, second = generator.random((2, 300)) < [[0.8], [0.7]]
    once = accuracy_difference(first, second)
    twice = accuracy_difference([first, first], [second, second])
    assert once == twice
    assert once.value == pytest.approx(first.mean() - second.mean())


def test_the_interval_covers_as_often_as_it_says() -> None:
    """On rows whose hardness both models share, over many simulated test sets."""
    generator = np.random.default_rng(2)
    covered = 0
    for seed in range(400):
        hardness = generator.random(250)
        first = generator.random(250) < 0.95 - 0.4 * hardness
        second = generator.random(250) < 0.90 - 0.4 * hardness
        found = accuracy_difference(first, second, draws=400, seed=seed)
        covered += found.low <= 0.05 <= found.high
    assert 0.91 < covered / 400 < 0.98


def test_a_paired_interval_is_narrower_where_models_agree() -> None:
    generator = np.random.default_rng(3)
    first = generator.random(1_000) < 0.8
    second = np.where(generator.random(1_000) < 0.05, ~first, first)
    found = accuracy_difference(first, second)
    apart = 2 * 1.96 * (0.8 * 0.2 / 1_000 * 2) ** 0.5
    assert found.high - found.low < 0.7 * apart


def test_means_are_paired_by_row() -> None:
    """A shift that every row shares is sure, however far the rows are apart."""
    generator = np.random.default_rng(4)
    second = generator.normal(size=200) * 100
    shifted = mean_difference(second + 0.5, second)
    assert (shifted.value, shifted.low, shifted.high) == pytest.approx((0.5, 0.5, 0.5))
    gaps = generator.normal(size=200)
    found = mean_difference(second + gaps, second)
    half = 1.96 * gaps.std() / len(gaps) ** 0.5
    assert found.value == pytest.approx(gaps.mean())
    assert (found.low, found.high) == pytest.approx(
        (gaps.mean() - half, gaps.mean() + half), abs=0.1 * half
    )


def test_accuracies_are_means() -> None:
    first, second = np.random.default_rng(5).random((2, 100)) < 0.6
    expected = mean_difference(first.astype(float), second.astype(float))
    assert accuracy_difference(first, second) == expected


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_rows_must_be_the_same() -> None:
    with pytest.raises(UserError, match="same rows"):
        mcnemar([True], [True, False])
    with pytest.raises(UserError, match="same rows"):
        accuracy_difference([], [])

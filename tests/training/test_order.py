"""The order of the rows: complete, seeded, and next to no padding."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentilora.training.order import batches_of_epoch

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=400)
SEEDS = st.integers(0, 2**64 - 1)


@given(LENGTHS, SEEDS, st.integers(0, 9), st.integers(1, 40))
def test_every_row_stands_in_one_batch(
    lengths: list[int], seed: int, epoch: int, size: int
) -> None:
    batches = batches_of_epoch(lengths, seed, epoch, size)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [size] * (
        len(lengths) // size - (len(lengths) % size == 0)
    )
    assert len(batches) == -(-len(lengths) // size)


@given(LENGTHS, SEEDS)
def test_it_is_a_pure_function(lengths: list[int], seed: int) -> None:
    assert batches_of_epoch(lengths, seed, 1, 8) == batches_of_epoch(lengths, seed, 1, 8)


def test_epochs_and_seeds_differ() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 500).tolist()
    orders = [batches_of_epoch(lengths, seed, epoch, 8) for seed in (0, 1) for epoch in (0, 1)]
    assert all(orders[i] != orders[j] for i in range(4) for j in range(i))


def test_padding_is_small_though_lengths_vary() -> None:
    lengths = np.random.default_rng(0).integers(1, 61, 4000)
    batches = batches_of_epoch(lengths.tolist(), 0, 0, 32)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded / lengths.sum() < 1.03


def test_batches_do_not_come_by_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 61, 4000)
    means = [lengths[batch].mean() for batch in batches_of_epoch(lengths.tolist(), 0, 0, 32)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.25


def test_the_order_is_that_of_every_version() -> None:
    """A run that was started with an older version is resumed in the order that it had."""
    assert batches_of_epoch([5, 1, 4, 1, 3, 2, 6], 3, 1, 2) == ORDER


ORDER = [[2, 0], [3, 1], [5, 4], [6]]

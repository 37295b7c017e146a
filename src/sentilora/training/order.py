"""In which order the rows are trained on: a pure function of (lengths, seed, epoch).

Rows of like length are batched together, so that there is next to no padding, yet every epoch
shuffles them anew. Nothing is drawn from a generator whose state would have to be saved, so a run
that was killed goes on with the very batches that it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 64  # batches; sorted within, so lengths agree, while a batch's rows still vary by epoch


def batches_of_epoch(
    lengths: Sequence[int], seed: int, epoch: int, batch_size: int
) -> list[list[int]]:
    """The batches of one epoch, as indices into `lengths`; every row stands in exactly one.

    The rows are shuffled and cut into windows of `WINDOW` batches; a window's rows are sorted by
    length and cut into batches, and all batches are shuffled. One batch is shorter than
    `batch_size` where that doesn't divide the number of rows.
    """
    # Raw bits are sorted instead of calling Generator.permutation, whose results may change
    # between numpy's versions; the bits of Philox may not.
    bits = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))
    sizes = np.asarray(lengths)
    order = np.argsort(bits.random_raw(len(sizes)), kind="stable")
    batches: list[list[int]] = []
    for start in range(0, len(order), WINDOW * batch_size):
        window = order[start : start + WINDOW * batch_size]
        window = window[np.argsort(sizes[window], kind="stable")].tolist()
        batches += [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
    shuffled = np.argsort(bits.random_raw(len(batches)), kind="stable")
    return [batches[index] for index in shuffled]

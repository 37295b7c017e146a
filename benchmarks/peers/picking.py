"""A scoring peer's run: the best batch found first, then a warm-up and the measured pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from common import PEER_BATCHES, Job, Stopwatch

Score = Callable[[Sequence[int], int], list[int | None]]


def run_scoring(job: Job, score: Score) -> dict[str, Any]:
    """What a worker answers for a scoring peer.

    `score` takes row numbers and a batch size, and gives each row's label index, None where the
    peer said something that is no label.
    """
    rows = range(len(job.prompts))
    if job.mode == "tune":
        return {"batch": _best_size(rows, score)}
    # the last rows: what a peer still remembers of them is gone when the pass gets there
    score(rows[-job.warmup_rows :], job.batch)
    with Stopwatch() as clock:
        labels = score(rows, job.batch)
    return {"seconds": clock.seconds, "labels": labels}


def _best_size(rows: Sequence[int], score: Score) -> int:
    """The fastest batch on two of the largest; the smallest is run once before, to warm up."""
    sizes = PEER_BATCHES
    sample = rows[: 2 * max(sizes)]
    score(sample[: min(sizes)], min(sizes))
    best, least = min(sizes), math.inf
    for size in sizes:
        if size > len(sample) and size != min(sizes):
            break
        with Stopwatch() as clock:
            score(sample, size)
        if clock.seconds < least:
            best, least = size, clock.seconds
    return best


def label_of(token: int, job: Job) -> int | None:
    """Which label a token is, if any."""
    return job.labels.index(token) if token in job.labels else None

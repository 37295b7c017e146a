"""Cutting missing splits off the training rows.

Which split a row goes to depends on the seed and on the rows' texts and labels alone, not on their
order: the texts of each label are ordered by a hash of (seed, text), and the first tenth goes to
each missing split. All rows of one text stay together, so no text is both trained and tested on.
Rows keep the file's order within a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sentilora.data.dataset import TEST, TRAIN, VALIDATION, Example, row_hash

SHARE = 0.1  # of each label's rows, for each split that is cut off


def cut_splits(
    rows: Sequence[Example], missing: Sequence[str], seed: int
) -> dict[str, list[Example]]:
    """Divides training rows into `train` and the `missing` splits.

    A label with three different texts or more has at least one row in every split; one with two
    has them in train and the first missing split.

    Parameters
    ----------
    rows
        Rows without contradictions: every text has one label.
    missing
        `validation`, `test` or both.
    """
    by_label: dict[int, dict[str, int]] = {}  # label -> text -> number of rows
    hashes = [row_hash(row.text) for row in rows]
    for key, row in zip(hashes, rows, strict=True):
        sizes = by_label.setdefault(row.label, {})
        sizes[key] = sizes.get(key, 0) + 1
    order = [split for split in (VALIDATION, TEST) if split in missing]
    goes_to: dict[str, str] = {}
    for sizes in by_label.values():
        goes_to |= _assign(sizes, order, seed)
    divided: dict[str, list[Example]] = {split: [] for split in (TRAIN, *order)}
    for key, row in zip(hashes, rows, strict=True):
        split = goes_to.get(key, TRAIN)
        divided[split].append(replace(row, split=split))
    return divided


def _assign(sizes: dict[str, int], missing: Sequence[str], seed: int) -> dict[str, str]:
    """The texts of one label that leave train, each with the split it goes to.

    A text that fills more than a split's share by its repeats stays in train, unless there is no
    other.
    """
    waiting = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
    target = max(1, round(SHARE * sum(sizes.values())))
    goes_to: dict[str, str] = {}
    for number, split in enumerate(missing, start=1):
        needed_after = len(missing) - number + 1  # a text for each further split, and for train
        if len(waiting) < 2:
            break
        taken, room = [], target
        for key in waiting:
            if sizes[key] <= room:
                taken.append(key)
                room -= sizes[key]
        taken = taken or [min(waiting, key=lambda key: sizes[key])]
        taken = taken[: max(1, len(waiting) - needed_after)]
        goes_to |= dict.fromkeys(taken, split)
        waiting = [key for key in waiting if key not in goes_to]
    return goes_to

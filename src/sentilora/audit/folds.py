"""Which fold a row is held out in: every label in each, all rows of one text in the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sentilora.data import Example, row_hash
from sentilora.errors import UserError


def check_folds(folds: int) -> None:
    """Raise `UserError` for a number of folds that can't be."""
    if folds < 2:
        raise UserError(f"--folds {folds} can't be: a row is judged by a model of the other folds.")


def assign_folds(
    rows: Sequence[Example], labels: Sequence[str], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """[N] each row's fold, a pure function of the seed and the texts and labels.

    A text that stands under two labels goes by the first: were its copies apart, each would be
    judged by a model that was trained on the other.

    Raises
    ------
    UserError
        Where a label has fewer different texts than there are folds.
    """
    texts = [row_hash(row.text) for row in rows]
    label_of: dict[str, int] = {}
    for text, row in zip(texts, rows, strict=True):
        label_of.setdefault(text, row.label)
    _check_enough(label_of, labels, folds)
    waiting = sorted(label_of, key=lambda text: hashlib.sha256(f"{seed} {text}".encode()).digest())
    # Dealt out label after label, so that every fold gets its part of each.
    dealt = sorted(waiting, key=lambda text: label_of[text])
    fold_of = {text: number % folds for number, text in enumerate(dealt)}
    return np.array([fold_of[text] for text in texts], np.int64)


def _check_enough(label_of: dict[str, int], labels: Sequence[str], folds: int) -> None:
    counts = Counter(label_of.values())
    rarest = min(range(len(labels)), key=lambda label: counts[label])
    there = counts[rarest]
    if there < folds:
        remedy = f"take --folds {there}" if there > 1 else "take the label out"
        raise UserError(
            f"The label {labels[rarest]!r} has {there} different text{'s' * (there != 1)} of its "
            f"own, too few for {folds} folds. Add rows, or {remedy}."
        )

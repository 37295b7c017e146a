"""The errors that a model is surest of: the rows to look at first, be it for the labels' sake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sentilora.data.dataset import Example
    from sentilora.scoring import Scores

WORST = 20


@dataclass(frozen=True)
class WrongAnswer:
    """A row that got another label than its own.

    row, split
        Where it stands in the data.
    probability, of_true
        What the model gives the label it said, and the true one.
    """

    text: str
    row: int
    split: str
    said: str
    true: str
    probability: float
    of_true: float


def worst_errors(
    scores: Scores, examples: Sequence[Example], labels: Sequence[str], most: int = WORST
) -> list[WrongAnswer]:
    """The wrong answers of highest probability, the surest first; at most `most`.

    `scores` has the N `examples`' scores for the K `labels`.
    """
    probabilities, said = scores.probabilities, scores.predicted
    sure = probabilities[np.arange(len(examples)), said]
    wrong = [row for row, example in enumerate(examples) if said[row] != example.label]
    wrong.sort(key=lambda row: -sure[row])
    return [
        WrongAnswer(
            text=examples[row].text,
            row=examples[row].row,
            split=examples[row].split,
            said=labels[said[row]],
            true=labels[examples[row].label],
            probability=float(sure[row]),
            of_true=float(probabilities[row, examples[row].label]),
        )
        for row in wrong[:most]
    ]

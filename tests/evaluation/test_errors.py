"""The errors that a model is surest of, against a plain search."""

from __future__ import annotations

import numpy as np
import pytest

from sentilora.correction import Correction
from sentilora.data.dataset import Example
from sentilora.evaluation.errors import worst_errors
from sentilora.scoring import Scores

LABELS = ("a", "b", "c")


def rows(count: int) -> tuple[Scores, list[Example]]:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(count, 3)).astype(np.float32)
    examples = [
        Example(f"text {n}", int(generator.integers(3)), n + 1, "test") for n in range(count)
    ]
    return Scores(logits - 5, np.ones(count, bool), Correction(1.7)), examples


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_the_surest_first_and_only_errors(most: int) -> None:
    scores, examples = rows(60)
    found = worst_errors(scores, examples, LABELS, most)
    wrong = {
        example.text: row
        for row, example in enumerate(examples)
        if max(range(3), key=lambda k, row=row: scores.log_probs[row, k]) != example.label
    }
    assert len(found) == min(most, len(wrong))
    for error in found:
        row = wrong.pop(error.text)
        assert (error.row, error.split) == (row + 1, "test")
        assert error.true == LABELS[examples[row].label]
        assert error.probability == scores.probabilities[row].max()
        assert error.of_true == scores.probabilities[row, examples[row].label] < error.probability
        others = [scores.probabilities[other].max() for other in wrong.values()]
        assert error.probability >= max(others, default=0)


def test_none() -> None:
    scores, examples = rows(3)
    right = [Example(e.text, int(scores.predicted[n]), 1, "test") for n, e in enumerate(examples)]
    assert worst_errors(scores, right, LABELS) == []

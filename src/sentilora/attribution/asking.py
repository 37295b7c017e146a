"""What a method of attribution asks of a classifier: how far a label is ahead of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

if TYPE_CHECKING:
    from sentilora.classifier import Classifier
    from sentilora.scoring import Scores


@dataclass(frozen=True)
class Found:
    """What a method found out about one text.

    whole
        The scores of the text as it is shown.
    label
        The index of the label that is explained.
    by_word
        A figure for each word that is seen.
    residual
        As in `Attribution`.
    """

    whole: Scores
    label: int
    by_word: Mapping[int, float]
    residual: float | None = None


def ask(classifier: Classifier, texts: Sequence[str]) -> Scores:
    """The scores of texts, which may be empty when all of their words were taken out."""
    return replace(classifier.scorer.score(texts), correction=classifier.correction)


def log_odds(log_probs: NDArray[Any], label: int) -> NDArray[np.float64]:
    """[N] log p(label) - log p(any other label), of [N, K] log-probabilities."""
    exact = np.asarray(log_probs, dtype=np.float64)
    return exact[:, label] - logsumexp(np.delete(exact, label, axis=1), axis=1)

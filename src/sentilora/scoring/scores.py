"""What scoring answers for a batch of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from sentilora.correction import Correction


@dataclass(frozen=True)
class Scores:
    """Label scores of N texts for K labels, in the order of the texts and of the task's labels.

    Three things that are often confused are kept apart: the chosen label (`predicted`), how much
    probability the labels hold together (`label_mass`), and whether greedy generation would emit
    exactly a label (`greedy`).

    log_probs
        [N, K] float32, natural log p(label | text) over the whole vocabulary.
    greedy
        [N] bool, whether greedy decoding would emit exactly one of the labels.
    correction
        What `probabilities` are brought to mean what they say with.
    texts_cut
        How many of the texts were too long to be read in whole.
    """

    log_probs: NDArray[np.float32]
    greedy: NDArray[np.bool_]
    correction: Correction = field(default_factory=Correction)
    texts_cut: int = 0

    @property
    def label_mass(self) -> NDArray[np.float32]:
        """[N], the probability that the model says any of the labels at all."""
        return np.exp(self.log_probs).sum(axis=1)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """[N, K], each label's probability given that it is one of the labels, corrected."""
        return self.correction.apply(softmax(self.log_probs, axis=1))

    @property
    def before_temperature(self) -> Scores:
        """The same without the temperature, so with probabilities as the model itself has them."""
        return replace(self, correction=replace(self.correction, temperature=1.0))

    @property
    def predicted(self) -> NDArray[np.intp]:
        """[N], the index of the label that the model finds likeliest."""
        return self.log_probs.argmax(axis=1)

    @classmethod
    def concatenate(cls, parts: Sequence[Scores]) -> Scores:
        return cls(
            np.concatenate([part.log_probs for part in parts]),
            np.concatenate([part.greedy for part in parts]),
            parts[0].correction,
            sum(part.texts_cut for part in parts),
        )

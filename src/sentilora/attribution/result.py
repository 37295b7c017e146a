"""What an attribution says of a text: a figure for each word that the model read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sentilora.attribution.words import Word


@dataclass(frozen=True)
class Attribution:
    """Why the model gives `label` to `text`, or doesn't.

    text
        The whole text, as it was given.
    words
        Its words, in their order.
    scores
        A figure a word, in nats of the label's log-odds against the other labels: above 0 the word
        speaks for the label, below 0 against it. None for a word that the model didn't read, since
        the text is longer than its maximum length.
    label, chosen
        The label that is explained, and the one that the classifier chooses.
    probability
        The label's, as the classifier reports it (so calibrated, if it is).
    log_odds
        log p(label) - log p(any other label), the model's own.
    method
        "occlusion" or "gradients".
    residual
        Of gradients: how far the scores' sum is from what they share out, in nats. Of another
        method, whose scores don't share out anything, None.
    """

    text: str
    words: tuple[Word, ...]
    scores: tuple[float | None, ...]
    label: str
    chosen: str
    probability: float
    log_odds: float
    method: str
    residual: float | None = None

    @property
    def read(self) -> tuple[int, ...]:
        """Which words have a score."""
        return tuple(k for k, score in enumerate(self.scores) if score is not None)

    @property
    def most(self) -> float:
        """The largest score's amount, either way; 0 where no word has one."""
        return max((abs(score) for score in self.scores if score is not None), default=0.0)

    def ranked(self) -> list[tuple[int, float]]:
        """(word, score) of the words that were read, those that speak most for the label first."""
        known = [(k, score) for k, score in enumerate(self.scores) if score is not None]
        return sorted(known, key=lambda item: -item[1])

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        words = [
            {"text": word.text, "start": word.start, "end": word.end, "score": score}
            for word, score in zip(self.words, self.scores, strict=True)
        ]
        named = ("text", "label", "chosen", "probability", "log_odds", "method", "residual")
        return {**{name: getattr(self, name) for name in named}, "words": words}

"""Occlusion: what a word tells is what is lost without it.

Each word is left out in turn, and the label's log-odds without it are held against those of the
whole (Zeiler and Fergus 2014, for images; Li, Monroe and Jurafsky 2016, for words). It needs
nothing but scores. Words that say the same thing hide each other: without either, the other still
says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentilora.attribution.asking import Found, ask, log_odds

if TYPE_CHECKING:
    from sentilora.attribution.reading import Reading
    from sentilora.classifier import Classifier


def occlusion(classifier: Classifier, reading: Reading, label: int | None) -> Found:
    """The text and all of its variants are scored in one call; `label` None is the chosen one."""
    seen = reading.seen_words
    scores = ask(classifier, [reading.shown, *(reading.without([k]) for k in seen)])
    label = int(scores.predicted[0]) if label is None else label
    whole, *parts = log_odds(scores.log_probs, label)
    by_word = {k: float(whole - part) for k, part in zip(seen, parts, strict=True)}
    return Found(scores, label, by_word)

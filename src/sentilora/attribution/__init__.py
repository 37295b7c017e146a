"""Why this label: how much each word of a text speaks for it, and whether that is borne out.

    attribution = attribute(classifier, "a moving, beautifully shot film")
    movement = deleted(classifier, attribution, generator)

`attribute` names the words; `deletion` takes the words named most out of their texts and looks
whether the model changes its mind; `html_fragment` shows them.
"""

from __future__ import annotations

from sentilora.attribution.attribute import METHODS, attribute
from sentilora.attribution.deletion import Deletion, DeletionCheck, deleted
from sentilora.attribution.html import html_fragment
from sentilora.attribution.result import Attribution
from sentilora.attribution.words import Word, words_of

__all__ = [
    "METHODS",
    "Attribution",
    "Deletion",
    "DeletionCheck",
    "Word",
    "attribute",
    "deleted",
    "html_fragment",
    "words_of",
]

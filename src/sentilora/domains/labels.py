"""The labels of several domains: one word for what they spell in several ways, and what is shared.

"Positive" in one set and "pos" in another are one label, so that a model of the one can be measured
on the other and a model of both learns one word for it. Sets that agree keep their spelling, even
an odd one; else sentiment words are written out in lower case, and other labels are spelled as by
the set that was named first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from sentilora.data.labels import SENTIMENT_ORDER, WRITTEN_OUT, fold, sayable


def unified(label_sets: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Each set's labels in the words that all of them use, in the set's own order.

    A set is left as it is where two of its labels would become one, or one can't be written as
    `--labels` has it.
    """
    spellings: dict[str, list[str]] = {}
    for labels in label_sets:
        for label in labels:
            found = spellings.setdefault(_key(label), [])
            if label not in found:
                found.append(label)
    if all(len(found) == 1 for found in spellings.values()):
        return [tuple(labels) for labels in label_sets]
    words = {key: key if key in SENTIMENT_ORDER else found[0] for key, found in spellings.items()}
    return [_in_words(labels, words) for labels in label_sets]


def labels_option(own: Sequence[str], words: Sequence[str]) -> str:
    """What `--labels` is for labels that are called otherwise: "pos=positive,neg=negative"."""
    return ",".join(f"{label}={word}" for label, word in zip(own, words, strict=True))


def apart(label_sets: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The pairs of domains, by name, that have fewer than two labels in common."""
    return [
        (one, other)
        for one, other in combinations(label_sets, 2)
        if len(set(label_sets[one]) & set(label_sets[other])) < 2
    ]


def _key(label: str) -> str:
    return WRITTEN_OUT.get(fold(label), fold(label))


def _in_words(labels: Sequence[str], words: Mapping[str, str]) -> tuple[str, ...]:
    found = tuple(words[_key(label)] for label in labels)
    return found if sayable((*labels, *found)) and len(set(found)) == len(found) else tuple(labels)

"""A text as a model reads it, which may be less than there is of it, and the words in that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sentilora.attribution.words import Word, without, words_of
from sentilora.cutting import GAP
from sentilora.task import clean

if TYPE_CHECKING:
    from sentilora.cutting import Read
    from sentilora.encoding import PromptEncoder

Span = tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """A text, its words, and what the model is shown of them.

    shown
        The text as the model is shown it.
    seen
        For each word the characters of `shown` that are its own; None for a word that isn't there.
    """

    text: str
    words: tuple[Word, ...]
    shown: str
    seen: tuple[Span | None, ...]

    @property
    def seen_words(self) -> list[int]:
        """Which words are seen."""
        return [k for k, span in enumerate(self.seen) if span is not None]

    def limited_to(self, spans: Sequence[Span]) -> Reading:
        """The same, as if no word were seen but those wholly in one of these parts of the text."""
        kept = [
            any(start <= word.start and word.end <= end for start, end in spans)
            for word in self.words
        ]
        seen = [span if inside else None for span, inside in zip(self.seen, kept, strict=True)]
        return replace(self, seen=tuple(seen))

    def without(self, words: Iterable[int]) -> str:
        """What is shown, without some words that are seen.

        Taken out of what is shown, not of the text, where others would move up into their place.
        """
        return without(self.shown, [span for k in words if (span := self.seen[k]) is not None])


def read_by(encoder: PromptEncoder, text: str) -> Reading:
    """How the model behind `encoder` reads `text`."""
    text = clean(text)
    read = encoder.read(text)
    words = words_of(text)
    return Reading(text, words, read.text, tuple(_seen(word, read) for word in words))


def _seen(word: Word, read: Read) -> Span | None:
    shift = 0  # from the text to what is shown
    for start, end in read.spans:
        first, last = max(word.start, start), min(word.end, end)
        if first < last:
            return first - start + shift, last - start + shift
        shift += end - start + len(GAP)
    return None

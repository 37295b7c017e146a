"""The words of a text, in any script, and the text without some of them.

A word is a run of letters, digits and their marks, with apostrophes, hyphens and decimal points
inside it ("isn't", "e-mail", "3.5"). What stands between words and is no white space is a word of
its own, for it may tell ("!!!", ":(", an emoji). In scripts that put no spaces between words, every
character with its marks is one, as in the default boundaries of UAX #29 (Davis, Unicode 2023).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import regex

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}--\p{M}]"
_PART = rf"[_\p{{L}}\p{{M}}\p{{N}}--{_UNSPACED}]+"
_JOINT = (
    r"(?:['’\-‐\u200c\u200d]|(?<=\p{N})[.,](?=\p{N}))"  # U+200C/D: within words of Indic scripts
)
_OTHER = (
    r"[^\s_\p{L}\p{M}\p{N}][^\s_\p{L}\p{N}]*"  # with the marks that turn a symbol into an emoji
)
_CLOSING = ",.;:!?)"
_WORD = regex.compile(rf"{_UNSPACED}\p{{M}}*|{_PART}(?:{_JOINT}{_PART})*|{_OTHER}", regex.VERSION1)


@dataclass(frozen=True)
class Word:
    """A word and where it stands: `text` is the whole text from `start` to `end`, in characters."""

    text: str
    start: int
    end: int


def words_of(text: str) -> tuple[Word, ...]:
    """The words in their order; between them, before and behind, there is only white space."""
    return tuple(Word(found[0], *found.span()) for found in _WORD.finditer(text))


def without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` without the characters in `spans`, which don't overlap.

    Where that leaves two spaces, or one at an end or before a comma, one goes too, so that the text
    stays one that might have been written.
    """
    for start, end in sorted(spans, reverse=True):
        before, after = text[:start], text[end:]
        ends = not after or after[0].isspace() or after[0] in _CLOSING
        if ends and (not before or before[-1].isspace()):
            if after.startswith(" "):
                after = after[1:]
            elif before.endswith(" "):
                before = before[:-1]
        text = before + after
    return text

"""What is read of a text that is too long: its beginning, or its beginning and its end.

Reviews often judge at their end, so what a beginning alone says may mislead: of IMDb's, read in 256
tokens, both ends give 3.5 points of accuracy more (docs/quality.md). Of both, the beginning gets a
quarter (as 128 of 510 tokens in Sun et al. 2019, "How to Fine-Tune BERT for Text
Classification?"), and an ellipsis stands for what is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LongTexts = Literal["beginning", "ends"]

GAP = " ... "
_SHARE_OF_BEGINNING = 0.25


@dataclass(frozen=True)
class Read:
    """What is read of a text.

    text
        As the model is shown it.
    spans
        Which characters of the whole text it holds, from and to, in order; with a `GAP` between
        where there are two.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def all_of(cls, text: str) -> Read:
        return cls(text, ((0, len(text)),))

    @property
    def characters(self) -> int:
        """How many of the whole text's characters are read."""
        return sum(end - start for start, end in self.spans)


def cut_note(cut: int, texts: int, max_length: int, long_texts: LongTexts) -> str | None:
    """What is to be said of texts that were cut; None where none was."""
    if not cut:
        return None
    read = "both ends of each were" if long_texts == "ends" else "the beginning of each was"
    return (
        f"{cut:,} of {texts:,} texts {'is' if cut == 1 else 'are'} too long for a prompt of "
        f"{max_length:,} tokens: {read} read (--max-length and --long-texts of `sentilora train`)."
    )


def shortened(text: str, ends: Sequence[int], keep: int, long_texts: LongTexts) -> Read:
    """`text` with `keep` of its tokens left, give or take the gap.

    `ends` are where its tokens end, in characters.
    """
    if keep <= 0:
        return Read("", ())
    first = keep if long_texts == "beginning" else max(1, round(keep * _SHARE_OF_BEGINNING))
    stop = ends[first - 1]
    if first == keep:
        return Read(text[:stop], ((0, stop),))
    end = text[ends[len(ends) - (keep - first) - 1] :].lstrip()
    return Read(text[:stop] + GAP + end, ((0, stop), (len(text) - len(end), len(text))))

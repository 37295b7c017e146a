"""What is read of a text that is too long: its beginning, or its beginning and its end.

Reviews often judge at their end, so what a beginning alone says may mislead. Of both ends, the
beginning gets a quarter (as 128 of 510 tokens in Sun et al. 2019, "How to Fine-Tune BERT for Text
Classification?"), and an ellipsis stands for what is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

LongTexts = Literal["beginning", "ends"]

GAP = " ... "
_SHARE_OF_BEGINNING = 0.25


def shortened(text: str, ends: Sequence[int], keep: int, long_texts: LongTexts) -> tuple[str, int]:
    """`text` with `keep` of its tokens left, give or take the gap, and how many characters went.

    `ends` are where its tokens end, in characters.
    """
    if keep <= 0:
        return "", len(text)
    first = keep if long_texts == "beginning" else max(1, round(keep * _SHARE_OF_BEGINNING))
    beginning = text[: ends[first - 1]]
    if first == keep:
        return beginning, len(text) - len(beginning)
    end = text[ends[len(ends) - (keep - first) - 1] :].lstrip()
    return beginning + GAP + end, len(text) - len(beginning) - len(end)

"""The texts that a classifier is given, checked."""

from __future__ import annotations

from collections.abc import Iterable

from sentilora.errors import UserError


def checked_texts(texts: Iterable[str]) -> list[str]:
    """[N] texts as a list of strings.

    Raises `UserError` for a single string, anything but one dimension (a data frame), or an item
    that is empty or no string.
    """
    if isinstance(texts, str):
        raise UserError("A single string was given where a list of texts is wanted; use [text].")
    if getattr(texts, "ndim", 1) != 1:
        raise UserError(
            f"The texts have {getattr(texts, 'ndim', 0)} dimensions; give one column of them."
        )
    listed = list(texts)  # a generator can be gone through only once
    for row, text in enumerate(listed):
        if not isinstance(text, str) or not text.strip():
            raise UserError(
                f"The text at position {row} is {'empty' if isinstance(text, str) else 'no string'}"
                f" ({text!r}). Leave such rows out, or fill them."
            )
    return [str(text) for text in listed]  # numpy's own strings become plain ones

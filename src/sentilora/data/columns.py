"""Which column holds the text and which the label: named by the user or recognised."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from sentilora.errors import UserError

# In order of preference; compared without case, spaces, dashes and underscores.
TEXT_NAMES = (
    "text",
    "sentence",
    "review",
    "content",
    "comment",
    "body",
    "message",
    "tweet",
    "headline",
    "review text",
    "review body",
    "title",
)
LABEL_NAMES = (
    "label",
    "labels",
    "sentiment",
    "class",
    "target",
    "category",
    "polarity",
    "rating",
    "stars",
    "score",
)


def find_text_column(columns: Sequence[str], given: str | None = None) -> str:
    """`given` if it is one of `columns`; without it the first that is recognised as the text.

    Raises `UserError`, listing the columns there are.
    """
    return _find(columns, given, TEXT_NAMES, "texts", "--text-column")


def is_text_name(name: str) -> bool:
    """Whether a column of that name is recognised as the text."""
    return _plain(name) in set(map(_plain, TEXT_NAMES))


def find_label_column(columns: Sequence[str], given: str | None = None) -> str:
    """As `find_text_column`, for the label."""
    return _find(columns, given, LABEL_NAMES, "labels", "--label-column")


def _find(
    columns: Sequence[str], given: str | None, names: Sequence[str], what: str, option: str
) -> str:
    there = f"The columns are {listed(columns)}."
    if given is not None:
        if given in columns:
            return given
        near = [name for name in columns if name.casefold() == given.casefold()]
        near = near or difflib.get_close_matches(given, columns, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(f"There is no column '{given}' for {option}. {there}{hint}")
    for wanted in names:
        for name in columns:
            if _plain(name) == _plain(wanted):
                return name
    raise UserError(f"No column is recognised as the {what}. {there} Name it with {option}.")


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in " -_")


def listed(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:30])
    return f"{shown} and {len(names) - 30} more" if len(names) > 30 else shown

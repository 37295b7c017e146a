"""Texts of unknown origin, made fit to be shown: what would act on a terminal is written out.

An ESC in a review could move the cursor, rename the window or worse; a right-to-left override can
make a text read as another. They are shown as JSON writes them, `\\u001b`, in ASCII alone, so that
they can be shown wherever text can, and so that JSON stays the same JSON.
"""

from __future__ import annotations

import re

# C0 but for tab and line feed, DEL and C1; the marks that turn or isolate a direction; surrogates,
# which no stream of UTF-8 takes, and the two that no XML does.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """`text` with control characters, but for tabs and line feeds, written out."""
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

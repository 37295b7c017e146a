"""Amounts of memory in words: "8GB", "8 GiB", "8000MB".

GB is 10^9 bytes and GiB 2^30, as the standards have it (IEC 80000-13); a card that is sold with
"8 GB" has 8 GiB.
"""

from __future__ import annotations

import re

from sentilora.errors import UserError

_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def parse_bytes(words: str) -> int:
    """The bytes that `words` say; a number alone is bytes.

    Raises UserError for anything else, and for nothing at all.
    """
    found = _AMOUNT.fullmatch(words)
    unit = found and found[2].lower()
    if found is None or (found[3] and not unit):
        raise UserError(
            f"{words!r} is no amount of memory. Write it as 8GB (10^9 bytes each), 8GiB (2^30) or "
            "8000MB."
        )
    base = 1024 if found[3] else 1000
    amount = int(float(found[1]) * (base ** _POWERS[unit] if unit else 1))
    if amount < 1:
        raise UserError(f"A memory of {words} holds nothing. Give an amount above 0, such as 8GB.")
    return amount


def shown_bytes(amount: float) -> str:
    """An amount for people, in GB or MB of 10^9 and 10^6 bytes."""
    return f"{amount / 1e9:.2f} GB" if amount >= 1e9 else f"{amount / 1e6:,.0f} MB"

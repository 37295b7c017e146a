"""Names in a user's files that aren't known, and the ones that were meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from sentilora.errors import UserError


def check_names(given: Collection[Any], known: Collection[str], kind: str, where: str) -> None:
    """Raise UserError for a name in `given` that isn't `known`, with the one that was meant."""
    for name in given:
        if name not in known:
            close = get_close_matches(str(name).lower().replace("-", "_"), known, n=1)
            meant = f"; do you mean {close[0]}?" if close else f"; it is one of {_listed(known)}."
            raise UserError(f"{where}: unknown {kind} {name!r}{meant}")


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))

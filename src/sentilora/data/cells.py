"""Values on their way into a file: as JSON, as a CSV cell, as Arrow.

Strings, numbers and booleans stay what they are. What JSON lacks is written as text: dates and
times in ISO 8601, bytes in base64, anything else (decimals, UUIDs, infinity) as `str` gives it.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re

from sentilora.task import clean

_SURROGATE = re.compile("[\ud800-\udfff]")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def json_text(value: object) -> str:
    """`value` as JSON on one line; non-ASCII characters stay, half surrogate pairs are escaped."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_text, allow_nan=False)
    except ValueError:  # of a number that isn't finite, which json would give a name of its own
        return json_text(_finite(value))
    if _SURROGATE.search(text):
        return json.dumps(value, default=_text)
    return text


def csv_cell(value: object) -> object:
    """`value` as the standard library's CSV writer takes it; lists and objects as JSON."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return json_text(value) if isinstance(value, list | tuple | dict) else _text(value)


def spreadsheet_safe(cell: object) -> object:
    """A string that a spreadsheet would run as a formula gets an apostrophe in front.

    The characters are those of OWASP's page on CSV injection, full-width forms included.
    """
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
        return "'" + cell
    return cell


def string_or_json(value: object) -> str | None:
    """`value` for a column of strings: other values as JSON."""
    if value is None:
        return None
    return clean(value) if isinstance(value, str) else json_text(value)


def _finite(value: object) -> object:
    """`value` with text for the numbers in it that aren't finite."""
    if isinstance(value, dict):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> str:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)

"""Tables that come through a pipe: told by their first line, and read like the file that they were.

A table's columns and types are found by reading it through, so it is kept in a temporary file
first. Lines that are texts aren't: see `LineSource`.
"""

from __future__ import annotations

import json
import re
import tempfile
import weakref
from pathlib import Path

from sentilora.batch.live import LiveLines
from sentilora.data.columns import is_text_name
from sentilora.data.csv_dialect import declared_delimiter
from sentilora.data.files import open_table
from sentilora.data.table import Table

_DELIMITERS = {",": ".csv", ";": ".csv", "|": ".csv", "\t": ".tsv"}
_NAME = re.compile(r'("?)\w[\w .-]{0,60}\1')


def table_suffix(first: bytes, text_column: str | None = None) -> str | None:
    """What a file that begins with this line would be called: .jsonl, .json, .csv or .tsv.

    None where the line is a text. A CSV file is known by a header with two or more names, one of
    which is that of the texts.
    """
    line = first.decode("utf-8-sig", "replace").strip("\r\n ")
    if line.startswith("{"):
        return ".jsonl" if _is_object(line) else None
    if line == "[" or line.startswith("[{"):
        return ".json"
    if declared_delimiter(line + "\n"):
        return ".csv"
    for delimiter, suffix in _DELIMITERS.items():
        names = line.split(delimiter)
        if len(names) > 1 and all(map(_NAME.fullmatch, names)):
            plain = [name.strip('"') for name in names]
            if text_column in plain or any(map(is_text_name, plain)):
                return suffix
    return None


def spooled(lines: LiveLines, suffix: str) -> Table:
    """The table in all of `lines`; raises `UserError` as `open_table` does."""
    folder = tempfile.TemporaryDirectory(prefix="sentilora-")
    path = Path(folder.name) / f"standard-input{suffix}"
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in lines)
    table = open_table(path)
    weakref.finalize(table, folder.cleanup)
    return table


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False

"""Which format a file is in: its suffix says, `.gz` after it says that it is compressed.

Readers and writers share this table, so that what can be written can be read back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sentilora.errors import UserError

FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
KNOWN_SUFFIXES = f"{', '.join(FORMAT_OF_SUFFIX)} (each also with .gz)"


@dataclass(frozen=True)
class FileFormat:
    """`name` is csv, tsv, jsonl or parquet; `suffix` is the lower-case suffix without `.gz`."""

    name: str
    suffix: str
    gzipped: bool


def known_format(path: Path) -> FileFormat | None:
    """The format that the suffix of `path` names, in any case; None for any other suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[:-1][-1:] if gzipped else suffixes[-1:])
    known = FORMAT_OF_SUFFIX.get(suffix)
    return FileFormat(known, suffix, gzipped) if known else None


def file_format(path: Path) -> FileFormat:
    """As `known_format`; raises `UserError`, listing the known suffixes, for any other suffix."""
    known = known_format(path)
    if known is None:
        raise UserError(
            f"The name of '{path}' does not say which format it is in. Known are {KNOWN_SUFFIXES}: "
            "rename the file or convert it."
        )
    return known


def looks_like_file(argument: str) -> bool:
    """Whether an argument that may be a text is the name of a file: one that is there, or one
    that by its suffix should be (and then its absence is worth an error)."""
    if os.path.isfile(argument):  # noqa: PTH113 - Path.is_file raises for a text of a name's length
        return True
    known = known_format(Path(argument))
    return known is not None and not any(character.isspace() for character in argument)

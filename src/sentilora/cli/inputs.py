"""What `predict` reads: a table in a file, a stream's lines or table, or the arguments themselves.

An argument that names something to be read isn't taken for a text: its label would say nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any, BinaryIO

from sentilora.cli.console import say
from sentilora.errors import UserError

_STANDARD_INPUT = ("-", "/dev/stdin")
_AS_TEXT = "A text of that kind can come from standard input, a text a line."
# The end of a name such as reviews.txt; a sentence's end without a blank behind it is none.
_SUFFIX = re.compile(r"[\w)\]]\.([a-z][a-z0-9]{1,4}|[A-Z][A-Z0-9]{1,4})\Z")
_SPOOLED = {".jsonl": "JSON Lines", ".json": "JSON", ".csv": "CSV", ".tsv": "TSV"}


def source_of(inputs: list[str] | None, text_column: str | None) -> Any:
    """The source of rows that the command's arguments name; none is standard input.

    Raises `UserError` where they name nothing that can be read, or more than one thing.
    """
    from sentilora.batch import TextSource

    if not inputs:
        if sys.stdin is None or sys.stdin.isatty():
            raise UserError(
                "There is nothing to label: give texts, or one file, or - and lines on standard "
                "input."
            )
        inputs = ["-"]
    if len(inputs) == 1:
        return _one(inputs[0], text_column)
    for text in inputs:
        if text == "-" or names_something(text):
            raise UserError(
                f"Give either texts, or one file, or -; {text!r} stands among {len(inputs)} "
                f"arguments. {_AS_TEXT}"
            )
    return TextSource(inputs)


def _one(argument: str, text_column: str | None) -> Any:
    from sentilora.batch import TextSource
    from sentilora.data.formats import known_format

    if argument in _STANDARD_INPUT:
        return _stream(sys.stdin.buffer, text_column)
    if not names_something(argument):
        return TextSource([argument])
    path = Path(argument)
    if path.is_dir():
        raise UserError(f"'{path}' is a folder: name one of the files in it. {_AS_TEXT}")
    if path.exists() and not path.is_file():  # a pipe, as <(zcat reviews.txt.gz) is
        return _opened(path, text_column)
    if known_format(path) is None and not path.exists():
        raise UserError(f"There is no file '{path}'. {_AS_TEXT}")
    return _table(path)


def names_something(argument: str) -> bool:
    """Whether it is the name of something that is there, or looks like that of a file."""
    from sentilora.data.formats import looks_like_file

    if looks_like_file(argument):
        return True
    if any(character.isspace() for character in argument) or "://" in argument:
        return False
    # os.path, as Path's own raises for a text that is longer than names can be
    return os.path.exists(argument) or _SUFFIX.search(argument) is not None  # noqa: PTH110


def _table(path: Path) -> Any:
    from sentilora.data.files import open_table
    from sentilora.data.formats import known_format

    try:
        table = open_table(path)
    except UserError as error:
        if known_format(path) is None and path.suffix.lower() == ".txt":
            name = shlex.quote(str(path))
            raise UserError(f"{error} If it holds a text a line, give - and < {name}.") from error
        raise
    return _noted(table)


def _opened(path: Path, text_column: str | None) -> Any:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UserError(f"'{path}' can't be read: {error.strerror or error}.") from error
    return _stream(stream, text_column)


def _stream(stream: BinaryIO, text_column: str | None) -> Any:
    """Lines that are texts, or the rows of a table; lines are texts where somebody types them."""
    from sentilora.batch import LineSource
    from sentilora.batch.spooled import spooled, table_suffix

    source = LineSource(stream)
    if stream.isatty():
        return source
    first = source.lines.first()
    suffix = None if first is None else table_suffix(first, text_column)
    if suffix is None:
        return source
    say(f"The input is read as {_SPOOLED[suffix]}, by its first line, and to its end beforehand.")
    return _noted(spooled(source.lines, suffix))


def _noted(table: Any) -> Any:
    for note in table.notes:
        say(note)
    return table

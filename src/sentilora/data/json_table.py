"""JSON Lines (one object a line), or a `.json` file that is one array of objects.

Objects need not have the same keys, so the file is read through once beforehand for its columns
and their types: output with a fixed header can then be written in constant memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sentilora.data.decoding import TextFile, without_marks
from sentilora.data.formats import FileFormat
from sentilora.data.json_array import array_elements
from sentilora.data.kinds import arrow_type, kind_of
from sentilora.data.table import Record, Table
from sentilora.errors import UserError
from sentilora.task import clean

if TYPE_CHECKING:
    import pyarrow as pa


class _RepeatedKey(dict[str, Any]):
    """An object that names a key twice; the last one won."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else _RepeatedKey(value)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


class JsonTable(Table):
    """Values are the JSON ones: strings, numbers, booleans, None, lists and dicts.

    Raises `UserError` for a file that holds no object, and for an array that is not valid JSON.
    """

    def __init__(self, path: Path, kind: FileFormat) -> None:
        self.path = path
        self.format = kind.name
        self._file = TextFile(path, kind.gzipped)
        self.size = self._file.size
        self.notes = (self._file.note,) if self._file.note else ()
        self._is_array = kind.suffix == ".json" and self._opens_with_bracket()
        self._kinds: dict[str, set[str]] = {}
        self._find_columns()
        self.columns = tuple(self._kinds)

    def __iter__(self) -> Iterator[Record]:
        with self._file.open(newline="\n") as stream:
            parsed = self._elements(stream) if self._is_array else self._lines(stream)
            for number, (value, error) in enumerate(parsed, start=1):
                if isinstance(value, dict):
                    if isinstance(value, _RepeatedKey):
                        error = error or "the object names a key twice"
                    yield Record(number, dict(value), error)
                else:
                    yield Record(number, {}, error or "not a JSON object")

    def position(self) -> int:
        return self._file.position()

    def arrow_schema(self) -> pa.Schema:
        """Columns of one type keep it; others are strings, what is no string as JSON text."""
        import pyarrow as pa

        return pa.schema([(name, arrow_type(kinds)) for name, kinds in self._kinds.items()])

    def _opens_with_bracket(self) -> bool:
        with self._file.open(newline="\n") as stream:
            while piece := stream.read(4096):
                if piece.strip():
                    return piece.lstrip().startswith("[")
        return False

    def _lines(self, stream: TextIO) -> Iterator[tuple[Any, str | None]]:
        for line in stream:
            if not line.isspace():
                yield self._parse(line)

    def _elements(self, stream: TextIO) -> Iterator[tuple[Any, str | None]]:
        try:
            for value, source in array_elements(stream, _DECODER):
                undecodable = self._file.undecodable(source)
                yield self._parse(source) if undecodable else (value, None)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"'{self.path}' is not a valid JSON array: {error}. Mend it, or write one object "
                "a line (JSON Lines): there a faulty row does no harm to the others."
            ) from error

    def _parse(self, text: str) -> tuple[Any, str | None]:
        undecodable = None if text.isascii() else self._file.undecodable(text)
        try:
            value = _DECODER.decode(without_marks(text) if undecodable else text)
        except RecursionError:
            return None, undecodable or "not readable JSON: nested too deeply"
        except json.JSONDecodeError as error:
            return None, undecodable or f"not valid JSON: {error.msg} at character {error.pos}"
        except ValueError as error:  # a number of more digits than Python converts
            return None, undecodable or f"not readable JSON: {error}"
        return value, undecodable

    def _find_columns(self) -> None:
        problem: str | None = None
        for record in self:
            problem = problem or record.error
            for name, value in record.values.items():
                self._kinds.setdefault(name, set()).add(kind_of(value))
        if not self._kinds:
            why = f" Its first row is {problem}." if problem else ""
            raise UserError(f"'{self.path}' holds no JSON object with a key in it.{why}")
        for name in self._kinds:
            if clean(name) != name:
                raise UserError(f"'{self.path}' has a key, {name!a}, that no encoding can hold.")

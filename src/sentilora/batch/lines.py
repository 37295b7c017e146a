"""Texts that are in no file as sources of rows: a stream's lines, and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from sentilora.batch.live import LiveLines
from sentilora.data.table import Record

if TYPE_CHECKING:
    import pyarrow as pa

_BOM = b"\xef\xbb\xbf"


class LineSource:
    """Rows of one column, `text`, one a line; line ends (LF, CR LF) are not part of the text.

    Reads `stream` once, as UTF-8. A line that isn't is a record with an error; an empty one is a
    record with an empty text.
    """

    columns = ("text",)

    def __init__(self, stream: BinaryIO) -> None:
        self.lines = LiveLines(stream)

    def __iter__(self) -> Iterator[Record]:
        for number, line in enumerate(self.lines, start=1):
            if number == 1:
                line = line.removeprefix(_BOM)
            yield _record(number, line.removesuffix(b"\r"))

    def ready(self, seconds: float) -> bool:
        """Whether the next row, or the end, comes within so many seconds."""
        return self.lines.ready(seconds)

    def arrow_schema(self) -> pa.Schema:
        """One column of strings."""
        return _text_schema()


class TextSource:
    """Rows of one column, `text`, one a text."""

    columns = ("text",)

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def __iter__(self) -> Iterator[Record]:
        for number, text in enumerate(self._texts, start=1):
            yield Record(number, {"text": text})

    def arrow_schema(self) -> pa.Schema:
        """One column of strings."""
        return _text_schema()


def _text_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("text", pa.string())])


def _record(number: int, line: bytes) -> Record:
    try:
        return Record(number, {"text": line.decode("utf-8")})
    except UnicodeDecodeError as error:
        problem = f"undecodable: the byte 0x{line[error.start]:02X} cannot be read as UTF-8"
        return Record(number, {"text": line.decode("utf-8", "replace")}, problem)

"""Text files of unknown encoding, plain or gzipped, as a stream of characters.

The encoding is decided over the whole file before its first row is used: UTF-16 where there is a
byte order mark, else UTF-8 where the bytes are valid, else Windows-1252 (also behind the mark of
UTF-8, which some programs put before any text, and which is no part of it). A file that holds more
well-formed UTF-8 sequences than malformed bytes is a UTF-8 file with damage, not a Windows-1252
one: read as the latter, every accent in it would turn into two wrong letters without a word.

Bytes that the encoding cannot decode come through as *marks* (lone surrogates U+DC00 to U+DCFF,
one a byte, which no decoder gives otherwise), so the row that holds them can be told.
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from sentilora.errors import UserError

_CHUNK = 1 << 20
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK = re.compile("[\udc00-\udcff]")
_NOT_ASCII = re.compile("[^\x00-\x7f\udc00-\udcff]")
_LABEL = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("sentilora-mark", _mark_bytes)


class TextFile:
    """A text file whose encoding has been found out.

    Raises `UserError` for an empty file and for damaged gzip data. `note` says, where it isn't
    UTF-8, how the file was read; `size` is in bytes as stored; `marked` says whether it opens with
    a byte order mark.
    """

    def __init__(self, path: Path, gzipped: bool) -> None:
        self.path = path
        self.gzipped = gzipped
        self.size = path.stat().st_size
        self._raw: BinaryIO | None = None
        self._position = 0
        self.marked = False
        try:
            self.encoding, self.note = self._find_encoding()
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise damaged_gzip(path, error) from error

    @contextmanager
    def open(self, newline: str) -> Iterator[TextIO]:
        """The characters, with line ends as they are; `newline` as for the built-in `open`."""
        with self._bytes() as stream:
            text = io.TextIOWrapper(stream, self.encoding, "sentilora-mark", newline)
            if self.encoding == "cp1252" and self.marked:
                text.read(len(codecs.BOM_UTF8))  # in Windows-1252 a character a byte
            try:
                yield text
            finally:
                text.detach()  # what it wraps is closed by its own `with`

    def position(self) -> int:
        """Bytes (as stored) that the latest `open` has read so far."""
        return self._raw.tell() if self._raw else self._position

    def undecodable(self, text: str) -> str | None:
        """What is wrong with `text` if it holds bytes that could not be decoded, else None."""
        marks = _MARK.findall(text)
        if not marks:
            return None
        first = f"0x{ord(marks[0]) - 0xDC00:02X}"
        count = "the byte" if len(marks) == 1 else f"{len(marks)} bytes, the first"
        return f"undecodable: {count} {first}, cannot be read as {_LABEL[self.encoding]}"

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        with self.path.open("rb") as raw:
            self._raw = raw
            try:
                if self.gzipped:
                    with gzip.GzipFile(fileobj=raw) as unpacked:
                        yield cast(BinaryIO, unpacked)
                else:
                    yield raw
            finally:
                if self._raw is raw:
                    self._position = raw.tell()
                    self._raw = None

    def _chunks(self) -> Iterator[bytes]:
        with self._bytes() as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    def _find_encoding(self) -> tuple[str, str | None]:
        opening = next(self._chunks(), b"")
        if not opening:
            raise UserError(f"'{self.path}' is empty: it has not even a header.")
        self.marked = opening.startswith((*_UTF16_MARKS, codecs.BOM_UTF8))
        if opening.startswith(_UTF16_MARKS):
            for _ in self._chunks():  # to the end, so that damaged gzip data is found now
                pass
            return "utf-16", f"{self.path.name} is read as UTF-16"
        wellformed, malformed = self._count_utf8()
        if malformed == 0:
            return "utf-8-sig", None
        if wellformed >= malformed:
            return "utf-8-sig", (
                f"{self.path.name} is UTF-8, but {malformed} of its bytes are not valid: "
                "the rows that hold them are at fault"
            )
        return "cp1252", f"{self.path.name} is not valid UTF-8 and is read as Windows-1252"

    def _count_utf8(self) -> tuple[int, int]:
        """How many characters beyond ASCII are well-formed UTF-8, and how many bytes are not."""
        decoder = codecs.getincrementaldecoder("utf-8-sig")("sentilora-mark")
        wellformed = malformed = 0
        for chunk in itertools.chain(self._chunks(), [b""]):
            text = decoder.decode(chunk, final=not chunk)
            if not text.isascii():
                wellformed += len(_NOT_ASCII.findall(text))
                malformed += len(_MARK.findall(text))
        return wellformed, malformed


def without_marks(text: str) -> str:
    """`text` with U+FFFD, the replacement character, for each byte that could not be decoded."""
    return _MARK.sub("\ufffd", text)


def damaged_gzip(path: Path, error: Exception) -> UserError:
    """The error for gzip data that ends early or is none."""
    return UserError(f"'{path}' is not whole gzip data ({error}): compress or copy it again.")

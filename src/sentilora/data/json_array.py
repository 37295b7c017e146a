"""The elements of one JSON array, one at a time, from an array of any length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

_CHUNK = 1 << 16
_LONGEST_ELEMENT = 1 << 26  # characters; past it a string is taken as never closed
_LONGEST_TOKEN = 16  # a fault this near the end of what was read may be a token cut in two


def array_elements(stream: TextIO, decoder: json.JSONDecoder) -> Iterator[tuple[Any, str]]:
    """Each element's value and its source text.

    Raises `ValueError` where the text is not a JSON array, with the position of the fault.
    """
    array = _Array(stream, decoder)
    array.expect("[")
    if array.peek() == "]":
        array.expect("]")
    else:
        separator = ","
        while separator == ",":
            yield array.element()
            separator = array.expect(",]")
    if array.peek():
        raise ValueError(f"text after the array's end, at character {array.offset}")


class _Array:
    """A window on the text: what has been read and not yet used up."""

    def __init__(self, stream: TextIO, decoder: json.JSONDecoder) -> None:
        self._stream = stream
        self._decoder = decoder
        self._text = ""
        self._at = 0
        self._dropped = 0  # characters before the window

    @property
    def offset(self) -> int:
        """How many characters have been used up."""
        return self._dropped + self._at

    def peek(self) -> str:
        """The next character that isn't white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._read_more():
                return ""

    def expect(self, characters: str) -> str:
        """Use up the next character, which must be one of `characters`."""
        character = self.peek()
        if not character or character not in characters:
            found = repr(character) if character else "the end"
            raise ValueError(
                f"expected {' or '.join(characters)} but found {found} at character {self.offset}"
            )
        self._at += 1
        return character

    def element(self) -> tuple[Any, str]:
        """Use up the next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not (self._may_go_on(error) and self._read_more()):
                    where = self._dropped + error.pos
                    raise ValueError(f"{error.msg} at character {where}") from error
                continue
            if end == len(self._text) and self._read_more():
                continue  # a number may go on in what follows
            source = self._text[self._at : end]
            self._at = end
            return value, source

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        if len(self._text) - self._at > _LONGEST_ELEMENT:
            return False
        near_the_end = error.pos >= len(self._text) - _LONGEST_TOKEN
        return near_the_end or error.msg.startswith("Unterminated string")

    def _read_more(self) -> bool:
        rest = self._text[self._at :]
        more = self._stream.read(max(_CHUNK, len(rest)))  # doubling: long elements stay linear
        self._dropped += self._at
        self._text, self._at = rest + more, 0
        return bool(more)

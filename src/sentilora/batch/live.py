"""The lines of a stream that somebody may still be writing.

A thread of its own reads them, so that the reader of the lines can tell whether a further one is
there yet, and does what it has to do meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import Empty, Queue
from typing import Any, BinaryIO

from sentilora.errors import UserError

_CHUNK = 1 << 16  # bytes that are read at once, where there are as many
_AHEAD = 32  # chunks that are read before anybody asks for them
_PAUSE = 0.01  # seconds, before a stream that doesn't wait itself is asked again


class LiveLines:
    """The lines of `stream`, which nobody has read from or reads from beside it, once.

    They come without their line feeds. Raises `UserError` where the stream can't be read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        # Without its buffer, whose lock a thread that waits for a line would hold for ever; but it
        # is kept, for it closes the stream once nobody holds it.
        self._buffered = stream
        self._stream: Any = getattr(stream, "raw", stream)
        self._read: Queue[list[bytes] | UserError] = Queue(_AHEAD)
        self._lines: deque[bytes] = deque()
        self._thread: threading.Thread | None = None
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        while self.first() is not None:
            yield self._lines.popleft()

    def first(self) -> bytes | None:
        """The next line, which stays there, as soon as it comes; None at the end."""
        self.ready(None)
        return self._lines[0] if self._lines else None

    def ready(self, seconds: float | None) -> bool:
        """Whether the next line, or the end, comes within so many seconds (None: at any time)."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._read_on, name="sentilora-lines", daemon=True
            )
            self._thread.start()
        if self._lines or self._ended:
            return True
        try:
            found = self._read.get(timeout=None if seconds is None else max(0.0, seconds))
        except Empty:
            return False
        if isinstance(found, UserError):
            self._ended = True
            raise found
        self._lines.extend(found)
        self._ended = not found
        return True

    def _read_on(self) -> None:
        """Hand over the lines, and at the end none."""
        try:
            for lines in self._whole_lines():
                self._read.put(lines)
            self._read.put([])
        except OSError as error:
            self._read.put(UserError(f"The input can't be read: {error.strerror or error}."))

    def _whole_lines(self) -> Iterator[list[bytes]]:
        parts: list[bytes] = []  # of a line whose end hasn't come yet
        while (chunk := self._stream.read(_CHUNK)) != b"":
            if chunk is None:  # there is nothing yet, and the stream is one that says so
                time.sleep(_PAUSE)
                continue
            end = chunk.rfind(b"\n") + 1
            if not end:
                parts.append(chunk)
                continue
            yield b"".join([*parts, chunk[: end - 1]]).split(b"\n")
            parts = [chunk[end:]]
        if last := b"".join(parts):
            yield [last]

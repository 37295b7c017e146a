"""Rows that come as somebody writes them come out as soon, and those that are there at once."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sentilora.batch import LineSource, added_columns, predict_rows, run_job
from sentilora.batch.live import LiveLines
from sentilora.data.writing import Row, Writer
from sentilora.errors import UserError

ADDED = added_columns(("no", "yes"), ["text"])


class Scorer:
    """Says yes, and how many texts it was asked about at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, texts: list[str]) -> tuple[list[str], NDArray[np.float64]]:
        self.asked.append(len(texts))
        return ["yes"] * len(texts), np.tile([0.25, 0.75], (len(texts), 1))


class Sink(Writer):
    """Has what was written, once it is flushed."""

    def __init__(self) -> None:
        self.held: list[Row] = []
        self.seen: list[Row] = []

    def write(self, row: Row) -> None:
        self.held.append(row)

    def flush(self) -> None:
        self.seen, self.held = self.seen + self.held, []

    def finish(self) -> None:
        raise AssertionError("the job does not close what it did not open")


@pytest.fixture
def pipe() -> Iterator[tuple[Any, Any]]:
    """What is written to the one can be read from the other."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "wb", buffering=0) as target:
        yield target, source


def test_a_row_comes_out_before_the_next_is_written(pipe: tuple[Any, Any]) -> None:
    target, source = pipe
    target.write(b"first\n")
    rows = predict_rows(LineSource(source), Scorer(), text_column="text", added=ADDED)
    assert next(rows)["text"] == "first"
    target.write(b"second\nthird\nhalf")
    assert [next(rows)["text"], next(rows)["text"]] == ["second", "third"]
    target.write(b" a line")
    target.close()
    assert [row["text"] for row in rows] == ["half a line"]


def test_a_reader_sees_each_window_before_the_next(pipe: tuple[Any, Any]) -> None:
    target, source = pipe
    target.write(b"first\nsecond\n")
    sink, seen = Sink(), list[int]()

    def progress(rows: int) -> None:
        seen.append(len(sink.seen))
        if len(seen) == 1:
            target.write(b"third\n")
            target.close()

    summary = run_job(
        LineSource(source), sink, Scorer(), text_column="text", added=ADDED, progress=progress
    )
    assert (summary.rows, seen) == (3, [2, 3])


def test_windows_of_what_is_there_are_full() -> None:
    scorer = Scorer()
    source = LineSource(io.BytesIO(b"a fine film\n" * 20_000))
    rows = predict_rows(source, scorer, text_column="text", added=ADDED)
    assert sum(1 for _ in rows) == 20_000
    assert scorer.asked == [512] * 39 + [32]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 16])
@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"a\n\nbc\n", b"a\r\nbcdefghijkl\n\n\nm"])
def test_lines_are_whole_however_they_come(
    content: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentilora.batch.live._CHUNK", chunk)
    lines = LiveLines(io.BytesIO(content))
    wanted = [line.removesuffix(b"\n") for line in io.BytesIO(content)]
    assert lines.first() == (wanted[0] if wanted else None)
    assert list(lines) == wanted
    assert lines.ready(0)
    assert lines.first() is None


def test_what_cannot_be_read_is_said() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise IsADirectoryError(21, "Is a directory")

    with pytest.raises(UserError, match="can't be read: Is a directory"):
        list(LiveLines(Broken()))  # type: ignore[arg-type]


def test_a_stream_that_does_not_wait_loses_nothing() -> None:
    class Hesitant(io.RawIOBase):
        said = iter([None, b"a\nb", None, b"c\n", b""])

        def read(self, size: int = -1) -> bytes | None:
            return next(self.said)

    assert list(LiveLines(Hesitant())) == [b"a", b"bc"]  # type: ignore[arg-type]

"""A table that comes through a pipe is told from texts, and read as its file is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from sentilora.batch.live import LiveLines
from sentilora.batch.spooled import spooled, table_suffix
from sentilora.data.files import open_table


@pytest.mark.parametrize(
    ("line", "suffix"),
    [
        (b'{"id": 7, "text": "fine"}\r', ".jsonl"),
        (b'\xef\xbb\xbf{"id": 7}', ".jsonl"),
        (b"[", ".json"),
        (b'[{"text": "a"}, {"text": "b"}]', ".json"),
        (b"id,text,label", ".csv"),
        (b'"id";"Review Text"\r', ".csv"),
        (b"text\tlabel", ".tsv"),
        (b"sep=;\r", ".csv"),
        (b"id,quote", None),
        (b"text", None),
        (b"", None),
        (b"fine, text and all", None),
        (b"It was fine, but the title, well", None),
        (b"{curly} words", None),
        (b"[sic]", None),
        (b'"text"', None),
    ],
)
def test_the_first_line_tells(line: bytes, suffix: str | None) -> None:
    assert table_suffix(line) == suffix


def test_a_column_that_is_named_tells() -> None:
    assert table_suffix(b"id,quote", "quote") == ".csv"


def test_a_table_is_read_as_its_file_is(tmp_path: Path) -> None:
    content = b'text;n\r\n"a\r\nb; c";1\r\n;2\r\nd;3'
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    table = spooled(LiveLines(io.BytesIO(content)), ".csv")
    assert list(table) == list(open_table(path))
    assert table.form.delimiter == ";"
    folder = table.path.parent
    assert folder.exists()
    del table
    assert not folder.exists()

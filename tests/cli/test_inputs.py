"""What `predict` takes for texts, and what for the name of something to be read."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sentilora.batch import LineSource, TextSource
from sentilora.cli.inputs import source_of
from sentilora.data.files import Table
from sentilora.errors import UserError


def texts_of(source: Any) -> list[object]:
    return [record.values["text"] for record in source]


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


@pytest.mark.parametrize(
    "text",
    [
        *(
            "fine",
            "and/or",
            "wow...",
            "5.5",
            "U.S.A",
            "great.Loved",
            "so-so.",
            "\u2603",
            "\u597d\u3002",
        ),
        *("see notes/plot.txt", "a film.csv would hate", "https://example.org/a.html", "x" * 5000),
    ],
)
def test_a_text_is_a_text(text: str, here: Path) -> None:
    source = source_of([text], None)
    assert isinstance(source, TextSource)
    assert texts_of(source) == [text]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("set", "'set' is a folder"),
        ("set/", "'set' is a folder"),
        ("typo.txt", "There is no file 'typo.txt'"),
        ("old/rows.tar.gz", "There is no file"),
        ("gone.csv", "no file 'gone.csv'"),
        ("there.txt", r"which format.* < there\.txt"),
        ("there.xlsx", "save it as CSV"),
    ],
)
def test_what_names_something_is_no_text(name: str, said: str, here: Path) -> None:
    Path("set").mkdir()
    Path("there.txt").write_text("a text\n")
    Path("there.xlsx").write_bytes(b"PK")
    with pytest.raises(UserError, match=said):
        source_of([name], None)
    with pytest.raises(UserError, match="stands among 2 arguments"):
        source_of(["a text", name], None)


def test_a_pipe_is_read(here: Path) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(b"one\ntwo\n",))
    writer.start()
    source = source_of(["pipe"], None)
    gc.collect()  # the file that was opened belongs to the source
    assert isinstance(source, LineSource)
    assert texts_of(source) == ["one", "two"]
    writer.join()


@pytest.mark.parametrize("arguments", [["-"], ["/dev/stdin"], [], None])
def test_lines_of_standard_input(arguments: list[str] | None, standard_input: Any) -> None:
    standard_input(b"one\n\ntwo, and {three}\n")
    assert texts_of(source_of(arguments, None)) == ["one", "", "two, and {three}"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"id": 7, "text": "one"}\n{"text": "two"}\n', "JSON Lines"),
        (b'[\n{"text": "one"},\n{"text": "two"}\n]\n', "JSON"),
        (b"id,text\n1,one\n2,two\n", "CSV"),
    ],
)
def test_a_table_on_standard_input(
    content: bytes, kind: str, standard_input: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    standard_input(content)
    source = source_of(["-"], None)
    assert isinstance(source, Table)
    assert texts_of(source) == ["one", "two"]
    assert f"The input is read as {kind}" in capsys.readouterr().err


def test_nothing_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stdin in (Terminal(), None):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(UserError, match="nothing to label"):
            source_of([], None)

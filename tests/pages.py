"""Reading a report as a browser would: its tables, its plots, its text, what it refers to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "br", "link", "img", "hr", "input"}


@dataclass
class Table:
    """The lines of cells, the head's first; by its label."""

    label: str
    lines: list[list[str]] = field(default_factory=list)

    def line(self, name: str) -> list[str]:
        """The figures on the line of that name."""
        (found,) = [line[1:] for line in self.lines if line[0] == name]
        return found


class Page(HTMLParser):
    """A page; it must be balanced, and whole in itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, Table] = {}
        self.words: list[str] = []  # outside <style>
        self._cell: list[str] | None = None
        self._table: Table | None = None
        self.feed(text)
        self.close()
        assert self.open == []
        self.ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._table = self.tables[attributes["aria-label"]] = Table(attributes["aria-label"])
        elif tag == "tr":
            assert self._table is not None
            self._table.lines.append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            assert self._table is not None
            assert self._cell is not None
            self._table.lines[-1].append(" ".join(self._cell))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            return
        words = data.split()
        self.words += words
        if self._cell is not None:
            self._cell += words

    @property
    def text(self) -> str:
        """All that is to be read, single blanks between words."""
        return " ".join(self.words)

    def plots(self) -> list[str]:
        """What each plot says to those who can't see it."""
        return [attributes["aria-label"] for tag, attributes in self.tags if tag == "svg"]


def read_page(text: str) -> Page:
    """The page, which must be fit to be sent as one file, on its own and for everyone."""
    assert text.startswith("<!doctype html>\n")
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe", "object"} & set(names)
    assert dict(page.tags)["html"] == {"lang": "en"}
    headings = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert len(page.ids) == len(set(page.ids))
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action"):
                assert value[0] == "#"
                assert value[1:] in page.ids
            for target in re.findall(r"url\((.*?)\)", value):
                assert target.strip("'\"")[1:] in page.ids
    assert "@import" not in text
    assert all(page.plots())
    return page

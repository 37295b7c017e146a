"""The fragment of HTML: the text and nothing else, escaped, with every figure."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from models_in_memory import keyword_classifier

from sentilora.attribution import attribute, html_fragment
from sentilora.printable import printable


class Reader(HTMLParser):
    """What a browser would make of a fragment."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.text, self.tags, self.open = "", [], []  # type: ignore[var-annotated]
        self.feed(fragment)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_characters="\r")).filter(str.strip))
def test_any_text_comes_back(text: str) -> None:
    attribution = attribute(keyword_classifier({}), text)
    reader = Reader(html_fragment(attribution))
    assert reader.text == printable(attribution.text)
    assert {tag for tag, _ in reader.tags} <= {"span", "mark"}
    assert reader.open == []


def test_marks_say_what_they_mean_without_their_colour() -> None:
    classifier = keyword_classifier({"fine": 2.0, "bad": -1.0}, limit=16)
    attribution = attribute(classifier, "fine bad so so x long", "positive")
    reader = Reader(html_fragment(attribution))
    marks = [values for tag, values in reader.tags if tag == "mark"]
    assert [mark["title"] for mark in marks] == ["+2.00 for positive", "-1.00 for positive"]
    assert ["underline" in str(mark["style"]) for mark in marks] == [False, True]
    titles = [values.get("title") for tag, values in reader.tags[1:] if tag == "span"]
    assert titles == ["+0.00 for positive"] * 3 + ["not read"]


def test_nothing_of_a_text_becomes_markup() -> None:
    text = "<script>alert('1')</script> \"><mark onload=x> & \x1b[31m"
    fragment = html_fragment(attribute(keyword_classifier({"&": 1.0}), text))
    assert "<script" not in fragment
    assert "onload=x>" not in fragment
    assert "\x1b" not in fragment
    assert "\\u001b[31m" in Reader(fragment).text

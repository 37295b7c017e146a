"""Words: all of a text that isn't white space is in exactly one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentilora.attribution import words_of
from sentilora.attribution.words import without

MIXED = st.text() | st.text(alphabet="ab .,!'-\n\t\u200d\ufe0f❤👩好はภาहि\u0301\x1b1", max_size=40)


@given(MIXED)
def test_words_and_the_white_space_between_them_make_up_the_text(text: str) -> None:
    words = words_of(text)
    assert all(word.text == text[word.start : word.end] != "" for word in words)
    ends, starts = [0, *(word.end for word in words)], [*(word.start for word in words), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert all(gap == "" or gap.isspace() for gap in gaps)
    inside = [word.text for word in words]
    assert "".join(part for pair in zip(gaps, [*inside, ""], strict=True) for part in pair) == text
    assert not any(" " in word or "\n" in word for word in inside)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it isn't good!!! (really)", ["it", "isn't", "good", "!!!", "(", "really", ")"]),
        ("an e-mail, 3.5 of 1,000", ["an", "e-mail", ",", "3.5", "of", "1,000"]),
        ("good,but bad...", ["good", ",", "but", "bad", "..."]),
        ("can’t 'tis n't", ["can’t", "'", "tis", "n't"]),
        (":( ❤\ufe0f 👩\u200d👧", [":(", "❤\ufe0f", "👩\u200d👧"]),
        ("nai\u0308ve हिन्दी", ["nai\u0308ve", "हिन्दी"]),
        ("这部电影", ["这", "部", "电", "影"]),
        ("映画はカタカナ", ["映", "画", "は", "カタカナ"]),
        (" \n", []),
    ],
)
def test_words_of_some_texts(text: str, expected: list[str]) -> None:
    assert [word.text for word in words_of(text)] == expected


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("a fine film", [1], "a film"),
        ("a fine film", [0], "fine film"),
        ("a fine film", [2], "a fine"),
        ("a fine film", [0, 1, 2], ""),
        ("a fine, film", [1], "a, film"),
        ("good.\n\nBad film", [2], "good.\n\nfilm"),
        ("so\nbad", [1], "so\n"),
    ],
)
def test_a_text_without_words(text: str, gone: list[int], left: str) -> None:
    words = words_of(text)
    assert without(text, [(words[k].start, words[k].end) for k in gone]) == left


@given(MIXED, st.data())
def test_no_other_word_goes(text: str, data: st.DataObject) -> None:
    words = words_of(text)
    gone = data.draw(st.sets(st.sampled_from(range(len(words))))) if words else set()
    left = without(text, [(words[k].start, words[k].end) for k in gone])
    kept = "".join(word.text for k, word in enumerate(words) if k not in gone)
    assert "".join(left.split()) == "".join(kept.split())

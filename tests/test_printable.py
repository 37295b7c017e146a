"""What acts on a terminal is written out, all else stays."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentilora.printable import printable


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2067, 0xD800])
def test_control_characters_are_written_out(code: int) -> None:
    text = f"a{chr(code)}b"
    assert printable(text) == (text if chr(code) in "\t\n" else f"a\\u{code:04x}b")


@given(st.text())
def test_nothing_else_is_changed(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" for c in shown)
    assert printable(shown) == shown
    if not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text):
        assert shown == text


@given(st.dictionaries(st.text(), st.text()))
def test_json_stays_the_same(value: dict[str, str]) -> None:
    assert json.loads(printable(json.dumps(value, ensure_ascii=False))) == value

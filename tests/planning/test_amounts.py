"""Amounts of memory in words."""

from __future__ import annotations

import pytest

from sentilora.errors import UserError
from sentilora.planning import parse_bytes, shown_bytes


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("8GB", 8_000_000_000),
        ("8 gb", 8_000_000_000),
        ("8G", 8_000_000_000),
        ("8 GiB", 8_589_934_592),
        ("8000MB", 8_000_000_000),
        ("0.5 MiB", 524_288),
        ("1.5tb", 1_500_000_000_000),
        ("640KB", 640_000),
        ("12345", 12_345),
        ("12345 B", 12_345),
    ],
)
def test_words(words: str, expected: int) -> None:
    assert parse_bytes(words) == expected


@pytest.mark.parametrize(
    "words", ["", "GB", "eight GB", "-8GB", "8 XB", "8iB", "8GB 2", "0", "0GB"]
)
def test_words_that_mean_nothing(words: str) -> None:
    with pytest.raises(UserError, match=r"8GB"):
        parse_bytes(words)


def test_shown() -> None:
    assert shown_bytes(8e9) == "8.00 GB"
    assert shown_bytes(12_400_000) == "12 MB"

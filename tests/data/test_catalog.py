"""What data sets are known by."""

from __future__ import annotations

from collections import Counter

import pytest

from sentilora.data.catalog import KNOWN, known_set, nearest, on_the_hub


def test_no_name_stands_for_two_sets() -> None:
    counts = Counter(name for each in KNOWN for name in each.names)
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("imdb", "imdb"),
        ("IMDB", "imdb"),
        ("stanfordnlp/sst2", "sst2"),
        ("SST-2", "sst2"),
        ("zeroshot/twitter-financial-news-sentiment", "twitter_financial_news"),
        ("twitter-financial-news-sentiment", "twitter_financial_news"),
    ],
)
def test_a_set_by_any_of_its_names(name: str, known: str) -> None:
    found = known_set(name)
    assert found is not None
    assert found.name == known


def test_other_names() -> None:
    assert known_set("my_reviews") is None
    assert nearest("roten_tomatos") == "rotten_tomatoes"
    assert nearest("zzz") is None


def test_names_that_need_no_files() -> None:
    said = on_the_hub()
    for each in KNOWN:
        assert (each.name in said) == (each.hub is not None)
    assert said.startswith("film (rotten_tomatoes, sst2, imdb), finance (financial_phrasebank,")

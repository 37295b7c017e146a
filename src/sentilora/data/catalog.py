"""Data sets that are known by name: where the Hub has them, and what one of their texts is called.

A name stands for the Hub's data set, or for a folder that is called so: then what is known of the
Hub's columns doesn't matter, and the name only words the instruction. Sets that the Hub doesn't
have in a usable form have no address here; a folder of them is recognised all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches


@dataclass(frozen=True)
class KnownSet:
    """A data set that is known by name.

    name
        What it is called here; folders and the last part of the Hub's name are matched with it.
    domain
        Such as "film"; sets of one domain have like texts.
    subject
        What the instruction calls a text of it.
    hub, config, revision
        Its address on the Hub: the data set, its configuration, and a branch of it.
    words
        What the Hub's values of the label column mean, where it gives bare numbers.
    aliases
        Other names that it goes by.
    """

    name: str
    domain: str
    subject: str
    hub: str | None = None
    config: str | None = None
    revision: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """All that it is called, in lower case."""
        short = self.hub.rpartition("/")[2].lower() if self.hub and not self.config else self.name
        return {self.name, short, *self.aliases, *([self.hub.lower()] if self.hub else [])}


KNOWN = (
    KnownSet(
        "rotten_tomatoes", "film", "movie review", hub="cornell-movie-review-data/rotten_tomatoes"
    ),
    KnownSet("sst2", "film", "movie review", hub="stanfordnlp/sst2", aliases=("sst", "sst-2")),
    KnownSet("sst5", "film", "movie review"),
    KnownSet("imdb", "film", "movie review", hub="stanfordnlp/imdb"),
    KnownSet(
        "financial_phrasebank",
        "finance",
        "financial news sentence",
        hub="takala/financial_phrasebank",
        config="sentences_50agree",
        # The set itself is a script, which `datasets` no longer runs; the Hub keeps its rows here.
        revision="refs/convert/parquet",
    ),
    KnownSet(
        "twitter_financial_news",
        "finance",
        "financial tweet",
        hub="zeroshot/twitter-financial-news-sentiment",
        words={"0": "negative", "1": "positive", "2": "neutral"},  # bearish, bullish, neutral
    ),
    KnownSet("fiqa", "finance", "financial headline"),
    KnownSet("senti4sd", "software", "Stack Overflow post"),
    KnownSet("api_reviews", "software", "Stack Overflow sentence"),
    KnownSet("code_review", "software", "code review comment"),
    KnownSet("github_comments", "software", "GitHub comment"),
    KnownSet("customer_reviews", "products", "product review"),
    KnownSet("amazon_reviews", "products", "product review"),
    KnownSet("yelp_sentences", "products", "business review"),
    KnownSet("airline_tweets", "tweets", "tweet"),
    KnownSet(
        "tweet_eval_sentiment", "tweets", "tweet", hub="cardiffnlp/tweet_eval", config="sentiment"
    ),
)


def known_set(name: str) -> KnownSet | None:
    """The set that goes by `name`, whatever its case."""
    return next((each for each in KNOWN if name.lower() in each.names), None)


def nearest(name: str) -> str | None:
    """The known name most like `name`, if one is like it at all."""
    close = get_close_matches(name.lower(), [each.name for each in KNOWN], n=1)
    return close[0] if close else None


def on_the_hub() -> str:
    """The names that need no files, by what their texts are about: "film (imdb), finance (...)"."""
    names: dict[str, list[str]] = {}
    for each in KNOWN:
        if each.hub is not None:
            names.setdefault(each.domain, []).append(each.name)
    return ", ".join(f"{domain} ({', '.join(those)})" for domain, those in names.items())

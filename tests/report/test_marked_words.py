"""The words of texts on a page: marked as far as the budget goes, and else it is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sentilora.attribution import attribute
from sentilora.correction import Correction
from sentilora.report.page import LONGEST, shortened
from sentilora.report.words import at_both_ends, marked_by
from sentilora.scoring import Scores

SHORT = "a good film"
LONG = "good start " + "so it goes on " * 100 + "and a bad end"


class Counting:
    """A classifier that finds a text the more positive, the more often it says good and not bad."""

    correction = Correction()

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.task = self.scorer = self.encoder = self
        self.labels = ("negative", "positive")

    def read(self, text: str) -> Any:
        from sentilora.cutting import Read

        return Read.all_of(text)

    def score(self, texts: Sequence[str]) -> Scores:
        self.asked += texts
        odds = np.array([text.count("good") - text.count("bad") + 0.5 for text in texts])
        both = np.stack([-np.logaddexp(0, odds), -np.logaddexp(0, -odds)], axis=1)
        return Scores(both.astype(np.float32), np.ones(len(texts), bool))


def marks(html: str) -> list[str]:
    return re.findall(r"<mark[^>]*>(.*?)</mark>", html)


def test_a_long_text_is_marked_at_the_ends_that_are_shown() -> None:
    classifier: Any = Counting()
    html = marked_by(classifier)(LONG)
    assert marks(html) == ["good", "bad"]
    assert re.sub("<[^>]*>", "", html) == str(shortened(LONG))
    assert len(classifier.asked) < LONGEST / 2  # not each of its words
    found = {word.text: score for word, score in _scored(at_both_ends(classifier, LONG))}
    whole = {word.text: score for word, score in _scored(attribute(classifier, LONG))}
    assert found == {name: whole[name] for name in found}
    assert found["good"] == pytest.approx(1, abs=1e-5)


def _scored(attribution: Any) -> Any:
    for word, score in zip(attribution.words, attribution.scores, strict=True):
        assert attribution.text[word.start : word.end] == word.text
        yield word, score


def test_long_texts_beyond_the_budget_say_that_they_are_not_marked() -> None:
    classifier: Any = Counting()
    marked = marked_by(classifier, budget=1)
    assert marks(marked(LONG)) == ["good", "bad"]
    asked = len(classifier.asked)
    assert "Not marked" in marked(LONG)
    assert len(classifier.asked) == asked
    assert marks(marked(SHORT)) == ["good"]

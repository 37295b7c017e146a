"""The baselines learn what can be learned, pick their setting on validation, and are repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentilora.data.dataset import Example
from sentilora.evaluation import baselines
from sentilora.evaluation.baselines import majority_class, tfidf_logistic_regression


def rows(*pairs: tuple[str, int]) -> list[Example]:
    return [Example(text, label, number, "train") for number, (text, label) in enumerate(pairs, 1)]


REVIEWS = rows(
    ("a gorgeous film", 1),
    ("gorgeous and moving", 1),
    ("moving, never dull", 1),
    ("dull and empty", 0),
    ("an empty film", 0),
    ("empty, dull, long", 0),
)


def test_majority_is_the_most_frequent_label_and_the_first_of_equals() -> None:
    assert majority_class(rows(("a", 2), ("b", 2), ("c", 0)), ["x", "y"]).tolist() == [2, 2]
    assert majority_class(rows(("a", 2), ("b", 1)), ["x"]).tolist() == [1]
    assert majority_class(rows(("a", 1)), []).tolist() == []


def test_tfidf_learns_words_whatever_their_case() -> None:
    predicted = tfidf_logistic_regression(REVIEWS, [], ["GORGEOUS!", "Empty", "so moving"])
    assert predicted.tolist() == [1, 0, 1]


def test_tfidf_learns_word_pairs() -> None:
    train = rows(*[("not good", 0), ("good", 1), ("not bad", 1), ("bad", 0)] * 5)
    predicted = tfidf_logistic_regression(train, [], ["not good", "good", "not bad", "bad"])
    assert predicted.tolist() == [0, 1, 1, 0]


def test_tfidf_has_features_for_emoji_and_punctuation() -> None:
    train = rows(("👍", 1), ("👍👍", 1), (":-(", 0), ("...", 0), ("…", 0))
    assert tfidf_logistic_regression(train, [], ["👍", ":-("]).tolist() == [1, 0]


def test_tfidf_takes_ids_that_are_missing_from_training() -> None:
    train = rows(("good", 2), ("fine good", 2), ("bad", 0), ("bad day", 0))
    assert tfidf_logistic_regression(train, [], ["good", "bad"]).tolist() == [2, 0]


def test_the_strength_is_chosen_on_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    # Six words for 0 against two for 1: regularised to nothing, only the intercept speaks.
    train = rows(("a", 1), ("b", 1), *[(word, 0) for word in "cdefgh"])
    weak, strong = 1e-6, 100.0
    monkeypatch.setattr(baselines, "STRENGTHS", (weak, strong))
    monkeypatch.setattr(baselines, "DEFAULT_STRENGTH", weak)
    assert tfidf_logistic_regression(train, [], ["a", "c"]).tolist() == [0, 0]
    right = rows(("a", 1), ("c", 0))
    assert tfidf_logistic_regression(train, right, ["a", "c"]).tolist() == [1, 0]
    only_zero = rows(("a", 0), ("c", 0))
    assert tfidf_logistic_regression(train, only_zero, ["a", "c"]).tolist() == [0, 0]


def test_tfidf_is_repeatable_and_survives_odd_texts() -> None:
    odd = ["", "\x00", "\ud800", "x" * 100_000, "שלום", "\n"]
    first = tfidf_logistic_regression(REVIEWS, REVIEWS, odd)
    assert np.array_equal(first, tfidf_logistic_regression(REVIEWS, REVIEWS, odd))
    assert first.shape == (6,)


def test_tfidf_on_real_reviews_is_as_strong_as_is_known(shared: Path) -> None:
    import gzip
    import json

    def read(split: str) -> list[Example]:
        path = shared / "data" / "rotten_tomatoes" / f"{split}.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
        return rows(*[(row["text"], int(row["label"] == "positive")) for row in found])

    validation = read("validation")
    texts, true = [row.text for row in validation], [row.label for row in validation]
    predicted = tfidf_logistic_regression(read("train"), validation, texts)
    assert 0.75 < np.mean(predicted == np.array(true)) < 0.80

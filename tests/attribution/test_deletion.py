"""The check by deletion: passed where the words named carry the label, and else not."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from models_in_memory import keyword_classifier

from sentilora.attribution import Attribution, DeletionCheck, attribute, deleted
from sentilora.errors import UserError

PLANTED = {"splendid": 2.0, "superb": 1.5, "film": 0.1}
DULL = [f"word{n}" for n in range(8)]


def texts(count: int) -> list[str]:
    """Ten words each, two of them planted, in some order."""
    made = []
    for seed in range(count):
        words = ["splendid", "superb", *DULL]
        random.Random(seed).shuffle(words)
        made.append(" ".join(words))
    return made


def shuffled(attribution: Attribution, seed: int) -> Attribution:
    """The same figures for other words."""
    scores = list(attribution.scores)
    random.Random(seed).shuffle(scores)
    return replace(attribution, scores=tuple(scores))


def check(attributions: list[Attribution]) -> DeletionCheck:
    classifier, generator = keyword_classifier(PLANTED), np.random.default_rng(1)
    return DeletionCheck.of([deleted(classifier, each, generator) for each in attributions])


def test_planted_words_are_borne_out_and_shuffled_figures_are_not() -> None:
    classifier = keyword_classifier(PLANTED)
    attributions = [attribute(classifier, text) for text in texts(60)]
    passed = check(attributions)
    assert passed.passed
    # Without both words the odds are even; others don't move it.
    assert passed.named == pytest.approx(1 / (1 + np.exp(-3.5)) - 0.5, abs=1e-6)
    assert passed.others == pytest.approx(0, abs=1e-6)
    assert passed.difference.value == pytest.approx(passed.named - passed.others)
    assert (passed.rows, passed.skipped, passed.single_words) == (60, 0, 0)

    failed = check([shuffled(each, seed) for seed, each in enumerate(attributions)])
    assert not failed.passed
    assert failed.difference.low <= 0
    assert failed.to_dict()["passed"] is False


def test_words_against_the_label_are_not_the_ones_named() -> None:
    classifier = keyword_classifier({"awful": -9.0, "fine": 1.0})
    attribution = attribute(classifier, "awful but fine in it", "positive")
    found = deleted(classifier, attribution, np.random.default_rng(0))
    assert found is not None
    assert found.named == (2,)
    assert found.without_named < found.probability


def test_as_many_others_are_taken_out_and_none_of_the_named() -> None:
    """Each word has a weight of its own, so that what was taken out can be told."""
    words = [f"w{n}" for n in range(10)]
    weights = {word: 0.1 * 2**-n for n, word in enumerate(words)}
    classifier = keyword_classifier(weights)
    attribution = attribute(classifier, " ".join(words), "positive")
    found = deleted(classifier, attribution, np.random.default_rng(0))
    assert found is not None
    assert found.named == (0, 1)
    total, tail = sum(weights.values()), sum(weights[word] for word in words[2:])
    most, least = (1 / (1 + np.exp(-odds)) for odds in (total - 0.1 * 2**-8, total - tail))
    assert least < found.without_others < most
    assert found.without_named == pytest.approx(1 / (1 + np.exp(-tail)), abs=1e-6)


def test_texts_of_too_few_words_are_counted() -> None:
    classifier, generator = keyword_classifier(PLANTED), np.random.default_rng(0)
    one, two = (attribute(classifier, text) for text in ("splendid", "splendid film"))
    assert deleted(classifier, one, generator) is None
    found = DeletionCheck.of([None, deleted(classifier, two, generator), None])
    assert (found.rows, found.skipped, found.single_words) == (1, 2, 1)
    with pytest.raises(UserError, match="words enough"):
        DeletionCheck.of([None])

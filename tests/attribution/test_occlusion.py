"""Occlusion against one text after the other, each scored plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_in_memory import TASK, keyword_classifier, random_classifier

from reference import plain_log_probs
from sentilora.attribution import attribute, words_of
from sentilora.cutting import GAP
from sentilora.errors import UserError

TEXT = "the film is n't very good but it moves"


@pytest.mark.parametrize("label", [None, *TASK.labels])
def test_each_word_left_out_by_itself(label: str | None) -> None:
    classifier = random_classifier(exact=True)
    encoder = classifier.scorer.encoder

    def plain(text: str) -> np.ndarray:
        model = classifier.scorer.model
        found = plain_log_probs(model, encoder.tokenizer, TASK, text, encoder.terminator)
        return np.exp(found.detach().numpy())

    whole, words = plain(TEXT), TEXT.split()
    k = int(whole.argmax()) if label is None else TASK.labels.index(label)

    def odds(shares: np.ndarray) -> float:
        return float(np.log(shares[k] / (shares.sum() - shares[k])))

    attribution = attribute(classifier, TEXT, label)
    assert [word.text for word in attribution.words] == words
    expected = [
        odds(whole) - odds(plain(" ".join(words[:n] + words[n + 1 :]))) for n in range(len(words))
    ]
    assert attribution.scores == pytest.approx(expected, abs=1e-5)
    assert attribution.log_odds == pytest.approx(odds(whole), abs=1e-5)
    assert attribution.probability == pytest.approx(whole[k] / whole.sum(), abs=1e-5)
    assert attribution.label == TASK.labels[k]
    assert attribution.chosen == TASK.labels[int(whole.argmax())]
    assert attribution.residual is None


@pytest.mark.parametrize("method", ["occlusion", "gradients"])
@pytest.mark.parametrize("long_texts", ["beginning", "ends"])
def test_words_that_are_not_read_have_no_score(long_texts: str, method: str) -> None:
    task = replace(TASK, long_texts=long_texts)
    classifier = random_classifier(task=task)
    text = " ".join(f"word{n}" for n in range(60))
    attribution = attribute(classifier, text, method=method)
    shown = classifier.scorer.encoder.shown(text)
    pieces = shown.split(GAP)
    assert len(pieces) == (2 if long_texts == "ends" else 1)
    spans = [(0, len(pieces[0])), *[(len(text) - len(piece), len(text)) for piece in pieces[1:]]]
    seen = [
        any(word.start < end and word.end > start for start, end in spans)
        for word in attribution.words
    ]
    assert 0 < sum(seen) < 60
    assert [score is not None for score in attribution.scores] == seen
    assert attribution.words == words_of(text)


def test_in_a_long_text_no_other_words_move_up() -> None:
    """Leaving out a word of what is read must not bring in one that wasn't."""
    text = "so so fine unseen"
    attribution = attribute(keyword_classifier({"fine": 2.0, "unseen": 5.0}, limit=10), text)
    assert attribution.scores == pytest.approx((0.0, 0.0, 2.0, None))


def test_a_text_of_one_word() -> None:
    attribution = attribute(random_classifier(), "fine")
    assert len(attribution.scores) == 1
    assert np.isfinite(attribution.scores[0])


def test_what_cannot_be_explained() -> None:
    classifier = keyword_classifier({})
    with pytest.raises(UserError, match=r"no label 'great'.*negative, positive"):
        attribute(classifier, "a film", "great")
    with pytest.raises(UserError, match=r"no method 'magic'.*occlusion and gradients"):
        attribute(classifier, "a film", method="magic")
    with pytest.raises(UserError, match="empty"):
        attribute(classifier, "  ")

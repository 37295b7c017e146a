"""The bundled cases: well-formed, each once, and nothing that a constant answer could pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from sentilora.behaviour import Behaviour, bundled_cases, check
from sentilora.data import load_data, text_key
from sentilora.scoring import Scores

CASES = bundled_cases()
LABELS = ("negative", "neutral", "positive")
CAPABILITIES = {
    *("plain statements", "neutral facts", "negation", "intensifiers", "contrast", "irony"),
    *("named entities", "numbers", "typos", "case", "punctuation"),
    *("instructions", "control tokens"),
}


def test_there_are_several_hundred_in_every_capability() -> None:
    assert len(CASES) >= 400
    counts = Counter(case.capability for case in CASES)
    assert set(counts) == CAPABILITIES
    assert min(counts.values()) >= 20


def test_all_are_on_lines_of_their_own_in_canonical_form() -> None:
    assert all(type(case).from_dict(case.to_dict()) == case for case in CASES)


def test_a_capability_stands_in_one_piece() -> None:
    runs = [
        second.capability
        for first, second in pairwise(CASES)
        if first.capability != second.capability
    ]
    assert len(runs) == len(set(runs))


def test_no_text_stands_twice_in_a_capability_and_kind() -> None:
    texts = defaultdict(list)
    for case in CASES:
        texts[case.capability, case.kind].append(text_key(case.text))
    assert all(len(set(found)) == len(found) for found in texts.values())


def test_no_two_minimum_cases_ask_the_same() -> None:
    keys = [text_key(case.text) for case in CASES if case.kind == "minimum"]
    assert len(keys) == len(set(keys))


def test_none_is_a_bundled_review() -> None:
    reviews = {text_key(row.text) for row in load_data(None).all_rows()}
    assert not reviews & {text_key(text) for case in CASES for text in case.texts}


def test_labels_are_as_frequent_as_each_other() -> None:
    for capability in CAPABILITIES - {"neutral facts"}:
        for kind in ("minimum", "direction"):
            labels = Counter(
                case.label for case in CASES if (case.capability, case.kind) == (capability, kind)
            )
            assert labels["negative"] == labels["positive"], (capability, kind)
            assert set(labels) <= {"negative", "positive"}


def constant(label: int) -> Behaviour:
    """What comes of always saying the same, with the same probabilities."""
    log_probs = np.full(3, -3.0, dtype=np.float32)
    log_probs[label] = -0.2

    def score(texts: list[str]) -> Scores:
        return Scores(np.tile(log_probs, (len(texts), 1)), np.ones(len(texts), dtype=bool))

    return check(CASES, LABELS, score)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", range(3))
def test_a_constant_answer_fails_a_good_share(label: int) -> None:
    found = constant(label)
    for group in found.groups:
        if group.kind == "minimum" and group.capability != "neutral facts":
            assert group.rate >= 0.5, group.capability
        if group.kind == "direction" and group.outcomes[0].case.must == "rise":
            assert group.rate == 1
    total = {group.kind: group.rate for group in found.totals}
    assert total["minimum"] > 0.5
    assert total["invariance"] == 0  # which is why there are the others

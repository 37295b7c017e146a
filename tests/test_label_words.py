"""Which labels a run advises against."""

from __future__ import annotations

import pytest

from sentilora.encoding import PromptEncoder
from sentilora.label_words import label_advice
from sentilora.task import Task
from tiny_tokenizers import byte_level


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("negative", "positive"), None),
        (("very negative", "positive"), None),
        (("A", "B"), "without a meaning of their own: A, B."),
        (("0", "1", "2", "10"), "--labels 0=...,1=...,2=...,... puts"),
        (("negativeish", "positive"), "not one token a word: negativeish."),
        (("negativeish", "7"), "of their own: 7; not one token a word: negativeish."),
    ],
)
def test_advice(labels: tuple[str, ...], said: str | None) -> None:
    advice = label_advice(PromptEncoder(Task("Text: {text}\nLabel:", labels), byte_level()))
    assert advice is None if said is None else advice is not None and said in advice

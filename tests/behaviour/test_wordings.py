"""Wordings: the labels' order is turned where all are named, and chat stays chat."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from sentilora.behaviour import wordings_for
from sentilora.behaviour.wordings import labels_reversed, through_the_same_template
from sentilora.errors import UserError
from sentilora.task import Task
from tiny_tokenizers import byte_level, opens_with_bos, unigram

SENTIMENT = ("negative", "positive")


@pytest.mark.parametrize(
    ("template", "labels", "turned"),
    [
        ("As negative or positive: {text}", SENTIMENT, "As positive or negative: {text}"),
        ("a, b or c? {text}", ("a", "b", "c"), "c, b or a? {text}"),
        ("c (or a). {text} Or b?", ("a", "b", "c"), "b (or a). {text} Or c?"),
        ("good, very good: {text}", ("good", "very good"), "very good, good: {text}"),
        ("+ or -: {text}", ("+", "-"), "- or +: {text}"),
        ("text or code? {text}", ("text", "code"), "code or text? {text}"),  # the field stays
        ("{text} Sentiment:", SENTIMENT, None),
        ("Is it positive? {text}", SENTIMENT, None),
        ("negative or positive? {text} negative?", SENTIMENT, None),
        ("a positively negative thing {text}", SENTIMENT, None),  # no word inside another
    ],
)
def test_the_labels_that_are_named_are_turned(
    template: str, labels: tuple[str, ...], turned: str | None
) -> None:
    assert labels_reversed(template, labels) == turned
    if turned is not None:
        assert labels_reversed(turned, labels) == template


@pytest.mark.parametrize("labels", [SENTIMENT, ("billing", "technical", "other {asked}")])
def test_the_wordings_of_a_task(labels: tuple[str, ...]) -> None:
    task = Task.default(labels, "movie review", 77)
    found = wordings_for(task, "movie review", ["{text}\nSo:", "Say a. {text}:"])
    assert found[0].task == task
    assert found[0].origin == "own"
    assert len({each.name for each in found}) == len(found)
    templates = [each.task.template for each in found]
    assert len(set(templates)) == len(templates)
    assert all(each.task.labels == labels and each.task.max_length == 77 for each in found)
    assert [each.origin for each in found].count("given") == 2
    bundled = [each for each in found if each.origin == "bundled"]
    assert sum(not each.reversed for each in bundled) >= 5
    for before, after in pairwise(found):
        if after.reversed:
            turned = labels_reversed(before.task.template, labels)
            assert after.task.template == turned
    named = [each for each in bundled if all(label in each.task.template for label in labels)]
    assert 2 * sum(each.reversed for each in bundled) == len(named) > 4


def test_a_wording_that_cannot_be_is_named() -> None:
    with pytest.raises(UserError, match=r'--wording "Is it good\?": The template holds no'):
        wordings_for(Task.default(), "text", ["{text}:", "Is it good?"])


@pytest.mark.parametrize("make", [byte_level, opens_with_bos])
def test_a_chat_models_wordings_go_through_its_template(make: Any) -> None:
    tokenizer = byte_level() if make is byte_level else make()
    if not tokenizer.chat_template:
        tokenizer.chat_template = byte_level().chat_template
    plain = Task.default()
    own = plain.through_chat_template(tokenizer)
    found = through_the_same_template(wordings_for(own, "text", ["{text}?"]), tokenizer)
    expected = wordings_for(plain, "text", ["{text}?"])
    assert [each.task for each in found] == [
        each.task.through_chat_template(tokenizer) for each in expected
    ]


def test_a_plain_models_wordings_stay_plain() -> None:
    for tokenizer in (byte_level(), unigram()):
        made = wordings_for(Task.default(), "text")
        assert through_the_same_template(made, tokenizer) == made

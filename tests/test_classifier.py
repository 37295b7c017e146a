"""A loaded adapter is called like a transformers pipeline and like a scikit-learn classifier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2ForSequenceClassification, pipeline

from models import VOCABULARY
from sentilora import Classifier, Task, load
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer
from tiny_tokenizers import byte_level
from tuned import TASK, TEXTS, load_from, save_tuned, train, write_base

LABELS = ("bad", "middling", "good")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A base, and an adapter on it for three labels."""
    folder = tmp_path_factory.mktemp("classifier")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTILORA_CACHE", str(folder / "cache"))
        task = Task(TASK.template, LABELS, max_length=96)
        tuning, result = train(load_from(write_base(folder / "base")), folder / "run", task=task)
        save_tuned(tuning, result, folder / "adapter")
        yield folder / "base", folder / "adapter"


@pytest.fixture(scope="module")
def clf(folders: tuple[Path, Path]) -> Classifier:
    return load(folders[1], dtype="float32")


@pytest.fixture(scope="module")
def stock() -> Any:
    """The library's own pipeline, on a tiny sequence classifier with the same labels."""
    config = GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=2, n_positions=64, pad_token_id=0
    )
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: index for index, label in enumerate(LABELS)}
    torch.manual_seed(0)
    model = GPT2ForSequenceClassification(config).eval()
    return pipeline("text-classification", model=model, tokenizer=byte_level(), device="cpu")


def shape(answer: Any) -> Any:
    """Lists by their members, dicts by their keys and the types of their values."""
    if isinstance(answer, list):
        return [shape(member) for member in answer]
    return {key: type(value).__name__ for key, value in answer.items()}


@pytest.mark.parametrize("texts", ["one", ["one"], ["one", "two", "three"]])
@pytest.mark.parametrize(
    "options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}, {"top_k": 99}]
)
def test_it_answers_in_the_pipelines_shapes(
    texts: Any, options: dict[str, Any], clf: Classifier, stock: Any
) -> None:
    assert shape(clf(texts, **options)) == shape(stock(texts, **options))


def test_an_unknown_option_is_refused(clf: Classifier) -> None:
    with pytest.raises(TypeError, match="top_k"):
        clf("one", topk=1)


def test_answers_are_the_probabilities_best_first(clf: Classifier) -> None:
    probabilities = clf.predict_proba(TEXTS)
    for row, answer in zip(probabilities, clf(TEXTS, top_k=None), strict=True):
        assert [entry["score"] for entry in answer] == sorted(row.tolist(), reverse=True)
        assert {entry["label"]: entry["score"] for entry in answer} == dict(
            zip(LABELS, row.tolist(), strict=True)
        )
    best = [entry["label"] for entry in clf(TEXTS)]
    assert best == clf.predict(TEXTS).tolist()
    json.dumps(clf(TEXTS, top_k=None))  # plain types


def test_predictions_are_the_likeliest_classes(clf: Classifier) -> None:
    probabilities = clf.predict_proba(TEXTS)
    assert clf.classes_.tolist() == list(LABELS)
    assert probabilities.shape == (len(TEXTS), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (clf.predict(TEXTS) == clf.classes_[probabilities.argmax(axis=1)]).all()
    assert clf.predict_proba([]).shape == (0, 3)
    assert clf.predict([]).shape == (0,)


@pytest.mark.parametrize(
    "make", [list, tuple, iter, np.array, pd.Series, lambda x: np.array(x, object)]
)
def test_texts_come_in_any_sequence(make: Any, clf: Classifier) -> None:
    np.testing.assert_array_equal(clf.predict_proba(make(TEXTS)), clf.predict_proba(TEXTS))


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ("a single string", r"use \[text\]"),
        (["fine", None], "position 1 is no string"),
        (["fine", float("nan")], "position 1 is no string"),
        (["fine", "  \n"], "position 1 is empty"),
        (pd.DataFrame({"a": TEXTS, "b": TEXTS}), "2 dimensions; give one column"),
        (np.array([TEXTS]), "2 dimensions; give one column"),
    ],
)
def test_texts_that_are_none_are_named(texts: Any, problem: str, clf: Classifier) -> None:
    with pytest.raises(UserError, match=problem):
        clf.predict(texts)


def test_untuned_is_the_base_alone_and_only_within_the_block(
    clf: Classifier, folders: tuple[Path, Path]
) -> None:
    tuned = clf.score(TEXTS).log_probs
    with clf.untuned() as untuned:
        without = untuned.score(TEXTS).log_probs
    base = load_from(folders[0])
    alone = LabelScorer(base.model, PromptEncoder(clf.task, base.tokenizer)).score(TEXTS).log_probs
    np.testing.assert_array_equal(without, alone)
    np.testing.assert_array_equal(clf.score(TEXTS).log_probs, tuned)
    assert np.abs(tuned - without).max() > 0.1


def test_untuned_ends_with_its_block_whatever_happens_in_it(clf: Classifier) -> None:
    tuned = clf.predict_proba(TEXTS)
    with pytest.raises(RuntimeError), clf.untuned():
        raise RuntimeError
    np.testing.assert_array_equal(clf.predict_proba(TEXTS), tuned)


def test_a_batch_of_one_is_a_batch_of_many(clf: Classifier) -> None:
    together = clf.score(TEXTS).log_probs
    alone = np.concatenate([clf.score([text]).log_probs for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_in_bfloat16_it_loads_within_the_canarys_tolerance(
    folders: tuple[Path, Path], clf: Classifier
) -> None:
    loaded = load(folders[1], dtype="bfloat16")
    assert loaded.base.dtype == "bfloat16"
    difference = np.abs(loaded.score(TEXTS).log_probs - clf.score(TEXTS).log_probs)
    assert 0 < difference.max() < 0.3


def test_an_unknown_device_or_dtype_is_an_error_that_lists_them(
    folders: tuple[Path, Path],
) -> None:
    with pytest.raises(UserError, match="auto, cpu, cuda, mps"):
        load(folders[1], device="abacus")
    with pytest.raises(UserError, match="float32"):
        load(folders[1], dtype="float3")


def test_it_is_not_pushed_before_it_was_saved(clf: Classifier) -> None:
    with pytest.raises(UserError, match="not saved yet"):
        Classifier(clf.scorer, clf.base).push_to_hub("someone/something")

"""Folds: every label in each, copies of a text together, and no row judged by its own model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from sentilora.audit import assign_folds, held_out
from sentilora.data import Example
from sentilora.errors import UserError

LABELS = ("negative", "neutral", "positive")


def rows(counts: Sequence[int]) -> list[Example]:
    gold = [label for label, count in enumerate(counts) for _ in range(count)]
    return [Example(f"text {n}", label, n + 1, "all") for n, label in enumerate(gold)]


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_every_fold_has_its_part_of_each_label(folds: int) -> None:
    given = rows([31, 7, 12])
    found = assign_folds(given, LABELS, folds, seed=0)
    sizes = Counter(found.tolist())
    assert set(sizes) == set(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    for label in range(3):
        of = Counter(
            fold for fold, row in zip(found.tolist(), given, strict=True) if row.label == label
        )
        assert len(of) == folds
        assert max(of.values()) - min(of.values()) <= 1


def test_copies_of_a_text_are_in_one_fold_whatever_their_labels() -> None:
    given = rows([10, 10, 10])
    copies = [Example(row.text.upper(), (row.label + 1) % 3, 99, "all") for row in given[::3]]
    found = assign_folds([*given, *copies], LABELS, 5, seed=0)
    assert found[:30][::3].tolist() == found[30:].tolist()


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    given = rows([20, 20, 20])
    found = assign_folds(given, LABELS, 4, seed=0)
    assert assign_folds(given[::-1], LABELS, 4, seed=0).tolist() == found[::-1].tolist()
    assert assign_folds(given, LABELS, 4, seed=1).tolist() != found.tolist()


def test_too_few_texts_of_a_label() -> None:
    with pytest.raises(UserError, match=r"'neutral' has 3 different texts .* take --folds 3\."):
        assign_folds(rows([9, 3, 9]), LABELS, 5, seed=0)
    with pytest.raises(UserError, match=r"'neutral' has 1 different text of .* take the label out"):
        assign_folds(rows([9, 1, 9]), LABELS, 2, seed=0)


def test_no_row_is_judged_by_a_model_that_saw_it() -> None:
    given = rows([12, 12, 12])
    fold_of = assign_folds(given, LABELS, 3, seed=0)
    trained: list[int] = []

    def predict(train: Sequence[Example], texts: Sequence[str]) -> np.ndarray:
        assert not {row.text for row in train} & set(texts)
        trained.append(len(train))
        return np.array([[int(text.split()[1]), 0, len(train)] for text in texts])

    found = held_out(given, fold_of, 3, predict)
    assert found[:, 0].tolist() == list(range(36))
    assert trained == [24, 24, 24]

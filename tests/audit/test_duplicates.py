"""Near-duplicates, against all pairs of plainly computed vectors."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from sentilora.audit import duplicates
from sentilora.audit.duplicates import near_duplicates
from sentilora.data import text_key

WORDS = ("film", "was", "slow", "quite", "long", "but", "its", "music", "had", "a", "charm")


def texts(count: int, seed: int) -> list[str]:
    """A third new, a third changed in a letter or a word, some the same but for their case."""
    draw = random.Random(seed)
    found = ["👍", "ok"]
    while len(found) < count:
        new = " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 12)))
        old = draw.choice(found)
        at = draw.randrange(len(old))
        kinds = (new, new, old[:at] + draw.choice("xyz") + old[at:], old + " again", old.upper())
        found.append(draw.choice(kinds))
    return found


def cosines(given: list[str]) -> np.ndarray:
    """[N, N] by the definition: trigram counts times ln((1 + n) / (1 + df)) + 1."""
    keys = [f" {text_key(text)} " for text in given]
    counts = [Counter(key[i : i + 3] for i in range(len(key) - 2)) for key in keys]
    different = list(dict(zip(keys, counts, strict=True)).values())
    df = Counter(trigram for one in different for trigram in one)
    idf = {t: math.log((1 + len(different)) / (1 + n)) + 1 for t, n in df.items()}
    order = {trigram: number for number, trigram in enumerate(df)}
    vectors = np.zeros((len(given), len(order)))
    for row, one in enumerate(counts):
        for trigram, count in one.items():
            vectors[row, order[trigram]] = count * idf[trigram]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


def linked(near: np.ndarray) -> list[tuple[int, ...]]:
    """The groups of two or more that links make, by walking."""
    seen: set[int] = set()
    groups = []
    for start in range(len(near)):
        if start in seen:
            continue
        group, waiting = set(), [start]
        while waiting:
            row = waiting.pop()
            if row not in group:
                group.add(row)
                waiting += np.flatnonzero(near[row]).tolist()
        seen |= group
        if len(group) > 1:
            groups.append(tuple(sorted(group)))
    return sorted(groups)


@pytest.mark.parametrize("similarity", [0.4, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("block", [3, 64, 512])
def test_as_all_pairs_compared(
    similarity: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", block)
    monkeypatch.setattr(duplicates, "PAIRS", 7 * block)
    given = texts(150, seed=block)
    found = near_duplicates(given, similarity)
    expected = cosines(given)
    np.fill_diagonal(expected, 0)
    near = expected >= similarity - 1e-6
    assert [group.rows for group in found.groups] == linked(near)
    assert found.groups
    largest = np.where(near.any(axis=1), expected.max(axis=1), 0)
    np.testing.assert_allclose(found.similarity, largest, atol=1e-6)
    for row, nearest in enumerate(found.nearest):
        assert (nearest >= 0) == near[row].any()
        if nearest >= 0:
            assert expected[row, nearest] == pytest.approx(largest[row], abs=1e-6)
    for group in found.groups:
        assert group.similarity == pytest.approx(largest[list(group.rows)].min(), abs=1e-6)


def test_texts_with_nothing_in_common() -> None:
    found = near_duplicates(["abc", "xyz", "👍"], 0.9)
    assert found.groups == ()
    assert found.nearest.tolist() == [-1, -1, -1]


def test_one_text_and_its_copies() -> None:
    found = near_duplicates(["Fine.", "fine. ", "FINE."], 0.9)
    assert [group.rows for group in found.groups] == [(0, 1, 2)]
    assert found.nearest.tolist() == [1, 0, 0]


def test_progress_counts_every_different_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 10)
    told: list[int] = []
    given = texts(45, 1)
    near_duplicates(given, 0.9, told.append)
    assert sum(told) == len(given)

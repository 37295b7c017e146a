"""Cut-off splits: stratified, seeded, independent of row order, and never one text in two."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from sentilora.data.dataset import ALL, SPLITS, TEST, TRAIN, VALIDATION, Example, text_key
from sentilora.data.splits import cut_splits


def make_rows(sizes: dict[int, int]) -> list[Example]:
    """`sizes[label]` different texts of each label."""
    texts = [(f"text {label}-{n}", label) for label, size in sizes.items() for n in range(size)]
    return [Example(text, label, row, ALL) for row, (text, label) in enumerate(texts, start=1)]


def membership(divided: dict[str, list[Example]]) -> dict[str, str]:
    return {row.text: split for split, rows in divided.items() for row in rows}


def test_shares_and_stratification() -> None:
    divided = cut_splits(make_rows({0: 300, 1: 100, 2: 50}), [VALIDATION, TEST], seed=0)
    assert list(divided) == list(SPLITS)
    for split in (VALIDATION, TEST):
        assert Counter(row.label for row in divided[split]) == {0: 30, 1: 10, 2: 5}
    assert len(divided[TRAIN]) == 360
    assert all(row.split == split for split, rows in divided.items() for row in rows)


@pytest.mark.parametrize("missing", [[VALIDATION], [TEST], [TEST, VALIDATION], []])
def test_only_missing_splits_are_cut_and_nothing_is_lost(missing: list[str]) -> None:
    rows = make_rows({0: 40, 1: 7})
    divided = cut_splits(rows, missing, seed=1)
    assert set(divided) == {TRAIN, *missing}
    back = sorted(row.row for part in divided.values() for row in part)
    assert back == [row.row for row in rows]


def test_independent_of_row_order_but_not_of_the_seed() -> None:
    rows = make_rows({0: 60, 1: 60})
    shuffled = random.Random(0).sample(rows, len(rows))
    shuffled = [replace(row, row=number) for number, row in enumerate(shuffled, start=1)]
    first = membership(cut_splits(rows, [VALIDATION, TEST], seed=3))
    assert membership(cut_splits(shuffled, [VALIDATION, TEST], seed=3)) == first
    assert membership(cut_splits(rows, [VALIDATION, TEST], seed=4)) != first


def test_rows_keep_their_order_within_a_split() -> None:
    for part in cut_splits(make_rows({0: 50, 1: 50}), [VALIDATION, TEST], seed=0).values():
        assert [row.row for row in part] == sorted(row.row for row in part)


@pytest.mark.parametrize("seed", range(5))
def test_repeats_stay_together(seed: int) -> None:
    rows = make_rows({0: 30, 1: 30})
    repeated = [replace(row, text=f"  {row.text.upper()} ", row=row.row + 60) for row in rows]
    divided = cut_splits(rows + repeated, [VALIDATION, TEST], seed)
    keys = [{text_key(row.text) for row in part} for part in divided.values()]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]
    assert len(divided[VALIDATION]) == len(divided[TEST]) == 12


@pytest.mark.parametrize("seed", range(10))
def test_few_rows_reach_every_split(seed: int) -> None:
    divided = cut_splits(make_rows({0: 3, 1: 4, 2: 2, 3: 1}), [VALIDATION, TEST], seed)
    labels = {split: {row.label for row in part} for split, part in divided.items()}
    assert labels == {TRAIN: {0, 1, 2, 3}, VALIDATION: {0, 1, 2}, TEST: {0, 1}}


@pytest.mark.parametrize("seed", range(10))
def test_a_text_repeated_endlessly_stays_in_train(seed: int) -> None:
    rows = make_rows({0: 3, 1: 30})
    flood = [replace(rows[0], row=100 + n) for n in range(500)]
    divided = cut_splits(rows + flood, [VALIDATION, TEST], seed)
    assert all(row.text != rows[0].text for row in divided[VALIDATION] + divided[TEST])
    assert {row.label for row in divided[TEST]} == {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_texts_that_all_repeat_still_reach_every_split(seed: int) -> None:
    rows = make_rows({0: 3, 1: 3})
    rows = [replace(row, row=row.row + 6 * n) for n in range(5) for row in rows]
    divided = cut_splits(rows, [VALIDATION, TEST], seed)
    assert all({row.label for row in part} == {0, 1} for part in divided.values())

"""Which sequences are run: the fewest, in length order, under the budget, each term once."""

from __future__ import annotations

import random

import pytest
import torch

from sentilora.encoding import EncodedPrompt
from sentilora.scoring.sequences import Batch, batches
from sentilora.wanted import all_labels, gold_labels

PREFIX = (7, 8, 9)
LABELS = {
    "one token each": [[20], [21]],
    "several tokens": [[20, 30], [21, 31, 41], [22]],
    "shared beginnings": [[20, 30], [20, 31], [21, 30]],
    "one begins another": [[20, 2], [20, 30, 2], [21, 2]],
}


def prompts(count: int = 17, seed: int = 0) -> list[EncodedPrompt]:
    """Some share the instruction, some don't, some have labels of their own."""
    draw = random.Random(seed)
    made = []
    for row in range(count):
        body = tuple(draw.randrange(100, 200) for _ in range(draw.randint(1, 12)))
        shared = row % 3 != 1
        own = ((50, 51), (52,), (53, 54, 55)) if row % 5 == 4 else None
        made.append(EncodedPrompt((PREFIX if shared else ()) + body, shared, own))
    return made


def read(batch: Batch) -> dict[int, list[tuple[tuple[int, ...], int]]]:
    """For each slot, what stands before each of its terms, and the term's token."""
    found: dict[int, list[tuple[tuple[int, ...], int]]] = {}
    terms = zip(batch.term_positions, batch.term_tokens, batch.term_slots, strict=True)
    for position, token, slot in terms:
        row, column = batch.position_rows[position], batch.position_columns[position]
        before = batch.input_ids[row, : column + 1]
        if batch.visible is not None and batch.places is not None:
            seen = batch.visible[row, column, : column + 1]
            assert not batch.visible[row, column, column + 1 :].any()
            assert batch.places[row, : column + 1][seen].tolist() == list(range(int(seen.sum())))
            before = before[seen]
        front = PREFIX if batch.shared else ()
        found.setdefault(int(slot), []).append(((*front, *before.tolist()), int(token)))
    return found


def spelled(prompt: EncodedPrompt, label: tuple[int, ...]) -> list[tuple[tuple[int, ...], int]]:
    return [((*prompt.ids, *label[:k]), token) for k, token in enumerate(label)]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("budget", [1, 20, 10_000])
@pytest.mark.parametrize("branching", [False, True])
def test_each_label_token_is_read_once_behind_its_own_context(
    labels: list[list[int]], budget: int, branching: bool
) -> None:
    rows = [p for p in prompts() if p.continuations is None or len(labels) == 3]
    found: dict[int, list[tuple[tuple[int, ...], int]]] = {}
    wanted = all_labels(rows, labels)
    for batch in batches(wanted, len(PREFIX), lambda: budget, branching=branching):
        for slot, terms in read(batch).items():
            found.setdefault(slot, []).extend(terms)
    assert len(found) == len(rows) * len(labels)
    for row, prompt in enumerate(rows):
        for k, label in enumerate(prompt.continuations or labels):
            terms = sorted(found[row * len(labels) + k], key=lambda term: len(term[0]))
            assert terms == spelled(prompt, tuple(label))


@pytest.mark.parametrize("branching", [False, True])
def test_halves_read_the_same(branching: bool) -> None:
    wanted = all_labels(prompts(), LABELS["several tokens"])
    for batch in batches(wanted, len(PREFIX), lambda: 10_000, branching=branching):
        halves: dict[int, list[tuple[tuple[int, ...], int]]] = {}
        for half in batch.halves():
            assert len(half.runs) in (len(batch.runs) // 2, (len(batch.runs) + 1) // 2)
            for slot, terms in read(half).items():
                halves.setdefault(slot, []).extend(terms)
        whole = read(batch)
        assert halves.keys() == whole.keys()
        for slot, terms in whole.items():
            assert sorted(halves[slot]) == sorted(terms)


def test_tries_run_each_prompt_once() -> None:
    rows = [p for p in prompts() if p.continuations is None]
    for labels in LABELS.values():
        made = list(batches(all_labels(rows, labels), len(PREFIX), lambda: 10_000, branching=True))
        assert sum(len(batch.input_ids) for batch in made) == len(rows)


def test_gold_labels_are_read_alone() -> None:
    rows, labels = prompts(), LABELS["several tokens"]
    gold = [row % 3 for row in range(len(rows))]
    for batch in batches(gold_labels(rows, labels, gold), len(PREFIX), lambda: 10_000):
        for slot, terms in read(batch).items():
            label = (rows[slot].continuations or labels)[gold[slot]]
            assert sorted(terms, key=lambda term: len(term[0])) == spelled(rows[slot], tuple(label))


def test_gold_and_prompts_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        gold_labels(prompts(3), [[1], [2]], [0])


@pytest.mark.parametrize(
    ("name", "sequences"),
    [("one token each", 1), ("several tokens", 2), ("shared beginnings", 2)],
)
def test_the_fewest_sequences(name: str, sequences: int) -> None:
    rows = [p for p in prompts() if p.continuations is None]
    made = list(batches(all_labels(rows, LABELS[name]), len(PREFIX), lambda: 10_000))
    assert sum(len(batch.input_ids) for batch in made) == sequences * len(rows)


@pytest.mark.parametrize("budget", [1, 20, 60])
def test_batches_keep_the_budget_and_come_longest_first(budget: int) -> None:
    made = list(batches(all_labels(prompts(60), [[1], [2]]), len(PREFIX), lambda: budget))
    for batch in made:
        assert batch.input_ids.numel() <= budget or len(batch.input_ids) == 1
        assert batch.input_ids.dtype == torch.int64
    for shared in (True, False):
        widths = [batch.input_ids.shape[1] for batch in made if batch.shared == shared]
        assert widths == sorted(widths, reverse=True)


def test_little_padding() -> None:
    rows = [EncodedPrompt((*PREFIX, *[100] * n), True) for n in range(1, 200)]
    random.Random(0).shuffle(rows)
    made = list(batches(all_labels(rows, [[1], [2]]), len(PREFIX), lambda: 400))
    padding = sum(int((batch.input_ids == 0).sum()) for batch in made)
    assert padding < 0.03 * sum(len(row.ids) for row in rows)


def test_nothing_to_run() -> None:
    assert list(batches([], 3, lambda: 100)) == []

"""Which rows a model is measured on, and which the baselines beside it learn from.

A row that the model was trained on tells nothing about rows to come, so it is left out wherever it
turns up, and counted. Rows are known by the hash of their text, which the run folder keeps, so this
works for a file without splits and for another data set that happens to share rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sentilora.data.dataset import (
    ALL,
    TEST,
    TRAIN,
    VALIDATION,
    DataSet,
    Example,
    count_rows,
    row_hash,
)
from sentilora.errors import UserError

HELD_OUT = "held-out"  # the rows that training held out for its test, found again by their hashes


@dataclass(frozen=True)
class Selection:
    """The rows to measure on, none of them trained on."""

    split: str  # a split of the data, ALL or HELD_OUT
    examples: tuple[Example, ...]
    left_out: int  # rows trained on, so not measured
    note: str | None  # what the user should know about the choice


@dataclass(frozen=True)
class BaselineRows:
    """The rows that the baselines learn from; `train` is empty where the data has none."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    note: str


def select_rows(
    dataset: DataSet,
    split: str | None,
    trained_hashes: Collection[str],
    held_out_hashes: Collection[str],
) -> Selection:
    """Chooses the rows to evaluate on.

    Parameters
    ----------
    split
        A split of the data or `ALL`. None means `test`; where the data has none, the rows that
        training held out, when most of them are there; else every row of a file without splits.
    trained_hashes, held_out_hashes
        `row_hash` of the rows that were trained on, and of those held out for the test.

    Raises
    ------
    UserError
        Where the data has no such split, or every row of it was trained on.
    """
    trained = frozenset(trained_hashes)
    rows = [(example, row_hash(example.text)) for example in dataset.all_rows()]
    splits = sorted({example.split for example, _ in rows})
    held_out = frozenset(held_out_hashes).intersection(key for _, key in rows)
    # A text that both happen to hold doesn't make this the file that training split.
    known = len(held_out) > len(frozenset(held_out_hashes)) / 2
    chosen = split or _default_split(splits, known)
    if chosen is None or chosen not in {*splits, ALL, *([HELD_OUT] if held_out else [])}:
        raise UserError(
            f"{dataset.name} has no {split or TEST} split; it has: {', '.join(splits) or 'none'}. "
            "Name one with --split."
        )
    if chosen == HELD_OUT:
        examples = [row for row, key in rows if key in held_out and key not in trained]
        left_out = sum(key in trained for _, key in rows)
    else:
        pool = [(row, key) for row, key in rows if chosen in (row.split, ALL)]
        examples = [row for row, key in pool if key not in trained]
        left_out = len(pool) - len(examples)
    if not examples:
        raise UserError(
            f"{dataset.name} ({chosen}) has no rows to measure on once those trained on are left "
            f"out ({count_rows(left_out)}). Choose another split with --split, or other data."
        )
    others = len(rows) - left_out - len(examples) if chosen == HELD_OUT else 0
    return Selection(chosen, tuple(examples), left_out, _note(chosen, left_out, others))


def baseline_rows(
    dataset: DataSet, selection: Selection, trained_hashes: Collection[str]
) -> BaselineRows:
    """The rows that the baselines may learn from: never one that is measured on.

    Those are the data's own train and validation rows; where it has no train split, the rows of it
    that the model was trained on.
    """
    trained = frozenset(trained_hashes)
    measured = {row_hash(example.text) for example in selection.examples}
    free = [(row, key) for row in dataset.all_rows() if (key := row_hash(row.text)) not in measured]
    train = [(row, key) for row, key in free if row.split == TRAIN]
    if not train:
        train = [(row, key) for row, key in free if key in trained]
    validation = tuple(row for row, _ in free if row.split == VALIDATION)
    note = _baseline_note(len(train), sum(key in trained for _, key in train))
    return BaselineRows(tuple(row for row, _ in train), validation, note)


def _default_split(splits: list[str], held_out: bool) -> str | None:
    if TEST in splits:
        return TEST
    if held_out:
        return HELD_OUT
    return ALL if splits == [ALL] else None


def _note(split: str, left_out: int, others: int) -> str | None:
    if split != HELD_OUT:
        return f"Left out: {count_rows(left_out)} trained on." if left_out else None
    note = "No test split here, so these are the rows that training held out. Left out: "
    note += f"{count_rows(left_out)} trained on"
    return f"{note}, {count_rows(others)} of neither kind." if others else f"{note}."


def _baseline_note(rows: int, tuned_on: int) -> str:
    if not rows:
        return "No TF-IDF and no majority class beside them: the data has no rows to train them on."
    note = f"TF-IDF and the majority class learned from {count_rows(rows)} of this data"
    if tuned_on == rows:
        return f"{note}."
    return f"{note}; the model was tuned on {f'{tuned_on:,}' if tuned_on else 'none'} of these."

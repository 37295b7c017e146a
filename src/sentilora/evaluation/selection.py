"""Which rows a model is measured on, and which the baselines beside it learn from.

A row that the model was trained on tells nothing about rows to come, so it is left out wherever it
turns up, and counted. So is one that it was validated on, by which its weights were chosen and its
temperature and its label sets fitted; where the validation split is asked for by name, or there are
no other rows, it is measured and that is said. Rows are known by the hash of their text, which the
run folder keeps, so this works for a file without splits and for another data set that happens to
share rows.
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
    left_out: int  # rows trained or validated on, so not measured
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
    validated_hashes: Collection[str] = (),
) -> Selection:
    """Chooses the rows to evaluate on.

    Parameters
    ----------
    split
        A split of the data or `ALL`. None means `test`; where the data has none, the rows that
        training held out, when most of them are there; else every row of a file without splits.
    trained_hashes, held_out_hashes, validated_hashes
        `row_hash` of the rows that were trained on, of those held out for the test, and of those
        that the training was validated on.

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
    validated = frozenset(validated_hashes) - trained
    pool = [(row, key) for row, key in rows if chosen in (row.split, ALL, HELD_OUT)]
    untrained = [(row, key) for row, key in pool if key not in trained]
    if chosen == HELD_OUT:
        usable = [(row, key) for row, key in untrained if key in held_out]
    else:
        usable = untrained
    if not usable:
        raise UserError(
            f"{dataset.name} ({chosen}) has no rows to measure on once those trained on are left "
            f"out ({count_rows(len(pool))}). Choose another split with --split, or other data."
        )
    tuned_on = len(pool) - len(untrained)
    fresh = [row for row, key in usable if key not in validated]
    if chosen == VALIDATION or not fresh:
        chosen_by = sum(key in validated for _, key in usable)
        note = _validation_note(chosen, tuned_on, chosen_by)
        return Selection(chosen, tuple(row for row, _ in usable), tuned_on, note)
    chosen_by = sum(key in validated for _, key in untrained)
    note = _note(chosen, tuned_on, chosen_by, len(untrained) - chosen_by - len(fresh))
    return Selection(chosen, tuple(fresh), tuned_on + chosen_by, note)


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


def _note(split: str, trained: int, validated: int, others: int) -> str | None:
    parts = [f"{count_rows(trained)} trained on"] if trained or split == HELD_OUT else []
    parts += [f"{count_rows(validated)} validated on"] if validated else []
    parts += [f"{count_rows(others)} of neither kind"] if others else []
    if not parts:
        return None
    why = "No test split here, so these are the rows that training held out. "
    return f"{why if split == HELD_OUT else ''}Left out: {', '.join(parts)}."


def _validation_note(split: str, trained: int, validated: int) -> str | None:
    left_out = _note(split, trained, 0, 0)
    if not validated:
        return left_out
    said = (
        f"{count_rows(validated)} of these had a part in choosing the weights, the temperature or "
        "the label sets, so that the figures are better than on rows to come."
    )
    return f"{left_out} {said}" if left_out else said


def _baseline_note(rows: int, tuned_on: int) -> str:
    if not rows:
        return "No TF-IDF and no majority class beside them: the data has no rows to train them on."
    note = f"TF-IDF and the majority class learned from {count_rows(rows)} of this data"
    if tuned_on == rows:
        return f"{note}."
    return f"{note}; the model was tuned on {f'{tuned_on:,}' if tuned_on else 'none'} of these."

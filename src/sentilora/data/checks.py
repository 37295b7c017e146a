"""What rows must be like before anything is trained or measured on them.

Every check is a pure function over rows, and runs before a model is loaded. What it finds is
either *refused* (`UserError`: the data must be mended or better described) or *set aside* or
*reported*, counted, with the first few row numbers, counted from 1 in each file or split:

| found | done |
|---|---|
| row that cannot be read (bytes, number of fields, JSON) | set aside |
| text empty, missing or no text at all | set aside |
| label cell empty or missing (on the Hub also -1) | set aside |
| label of which `--labels` says nothing further, as `3=` | set aside |
| label not among those given (`--labels`, the trained task) | refused |
| one text under two labels, within a file or split | all its copies set aside |
| training row whose text is in validation or test too | set aside; the evaluation row stays |
| text in both validation and test | reported |
| training row that repeats an earlier one | reported |
| fewer than two labels; no usable rows | refused |
| label absent from train or validation | refused |
| label absent from test | reported |

Splits for evaluation stay as published wherever possible, so that results compare: only rows that
contradict each other leave them. The last three are asked only of data to train on; to evaluate on,
rows of a single label are fine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from sentilora.data.dataset import (
    FIRST_ROWS,
    TEST,
    VALIDATION,
    Example,
    Finding,
    Problem,
    RawRow,
    count_rows,
    place,
    row_hash,
)
from sentilora.data.labels import LabelMapping, label_word
from sentilora.errors import UserError

UNREADABLE = "unreadable row"
NO_TEXT = "no text"
NO_LABEL = "no label"
UNWANTED = "unwanted label"
CONFLICT = "conflicting labels"
OVERLAP = "train text in validation or test"
SHARED_EVALUATION = "validation text in test"
REPEAT = "repeat in train"


def readable_rows(rows: Sequence[RawRow]) -> tuple[list[RawRow], list[Problem]]:
    """The rows that have a text and a label, whatever the label means."""
    first_error = next((row.error for row in rows if row.error), "")
    unreadable = Finding(UNREADABLE, "set aside", f"that cannot be read (first: {first_error})")
    no_text = Finding(NO_TEXT, "set aside", "with an empty or missing text")
    no_label = Finding(NO_LABEL, "set aside", "without a label")
    kept = []
    for row in rows:
        if row.error:
            unreadable.add(row.part, row.row)
        elif not isinstance(row.text, str) or not row.text.strip():
            no_text.add(row.part, row.row)
        elif label_word(row.label) is None:
            no_label.add(row.part, row.row)
        else:
            kept.append(row)
    return kept, _found(unreadable, no_text, no_label)


def labelled_rows(
    rows: Sequence[RawRow], mapping: LabelMapping
) -> tuple[list[Example], list[Problem]]:
    """The rows as examples, in the split that they were read from, but for those not wanted.

    Parameters
    ----------
    rows
        Rows that `readable_rows` let through.

    Raises
    ------
    UserError
        Where a value means none of the labels; the message lists such values with their counts.
    """
    examples = []
    unknown = Finding("unknown label", "reported", "")
    values: Counter[str] = Counter()
    unwanted = Finding(UNWANTED, "set aside", "")
    left_out: Counter[str] = Counter()
    for row in rows:
        word = label_word(row.label) or ""
        if mapping.sets_aside(word):
            unwanted.add(row.part, row.row)
            left_out[word] += 1
            continue
        label = mapping.find(word)
        if label is None:
            unknown.add(row.part, row.row)
            values[word] += 1
        else:
            examples.append(Example(str(row.text), label, row.row, row.part, row.others))
    if values:
        listed = ", ".join(f"{value!r} ({n:,})" for value, n in values.most_common(FIRST_ROWS))
        more = f" and {len(values) - FIRST_ROWS:,} more values" if len(values) > FIRST_ROWS else ""
        raise UserError(
            f"{count_rows(unknown.count)} with a label that is none of "
            f"{', '.join(mapping.labels)}: {listed}{more} ({place(unknown.rows, unknown.count)}). "
            "Say what each value means, as in --labels 0=negative,1=positive, or that its rows are "
            "to be set aside, as in 3=."
        )
    words = ", ".join(repr(word) for word, _ in left_out.most_common(FIRST_ROWS))
    unwanted.message = f"with a label that --labels sets aside ({words})"
    return examples, _found(unwanted)


def without_conflicts(rows: Sequence[Example]) -> tuple[list[Example], list[Problem]]:
    """The rows without the texts that stand under more than one label within their split."""
    texts = [(row.split, row_hash(row.text)) for row in rows]
    labels: dict[tuple[str, str], set[int]] = {}
    for text, row in zip(texts, rows, strict=True):
        labels.setdefault(text, set()).add(row.label)
    finding = Finding(CONFLICT, "set aside", "whose text stands under two labels")
    kept = []
    for text, row in zip(texts, rows, strict=True):
        if len(labels[text]) > 1:
            finding.add(row.split, row.row)
        else:
            kept.append(row)
    return kept, _found(finding)


def without_overlap(
    train: Sequence[Example], evaluation: Mapping[str, Sequence[Example]]
) -> tuple[list[Example], list[Problem]]:
    """The training rows without those that an evaluation split holds too."""
    texts = {
        split: [(row, row_hash(row.text)) for row in rows] for split, rows in evaluation.items()
    }
    where: dict[str, set[str]] = {}
    for split, pairs in texts.items():
        for _, key in pairs:
            where.setdefault(key, set()).add(split)
    overlap = Finding(OVERLAP, "set aside", "whose text is in validation or test too")
    kept = []
    for row in train:
        if row_hash(row.text) in where:
            overlap.add(row.split, row.row)
        else:
            kept.append(row)
    shared = Finding(SHARED_EVALUATION, "reported", "whose text is in test too")
    for row, key in texts.get(VALIDATION, ()):
        if TEST in where[key]:
            shared.add(row.split, row.row)
    return kept, _found(overlap, shared)


def repeats(rows: Sequence[Example]) -> list[Problem]:
    """Reports the rows that say again what an earlier row says."""
    finding = Finding(REPEAT, "reported", "that repeat the text of an earlier row")
    seen: set[str] = set()
    for row in rows:
        key = row_hash(row.text)
        if key in seen:
            finding.add(row.split, row.row)
        seen.add(key)
    return _found(finding)


def absent_labels(rows: Sequence[Example], labels: Sequence[str]) -> list[str]:
    """The labels that no row has, in label order."""
    present = {row.label for row in rows}
    return [label for number, label in enumerate(labels) if number not in present]


def require_every_label(
    splits: Mapping[str, Sequence[Example]],
    labels: Sequence[str],
    cut_off: Collection[str],
    name: str,
) -> list[str]:
    """Makes sure that a model can be trained on, and chosen by, rows of every label.

    Parameters
    ----------
    splits
        The rows in train, validation and test.
    cut_off
        The splits that were cut off the training rows.

    Returns
    -------
    list of str
        What is to be said of labels that are absent from test.

    Raises
    ------
    UserError
        Where a label is absent from train or validation, or test is empty: better now than when
        all is trained.
    """
    notes = []
    for split, rows in splits.items():
        absent = absent_labels(rows, labels)
        if not absent:
            continue
        named = ", ".join(repr(label) for label in absent[:FIRST_ROWS])
        lack = f"the {split} split of {name} has no row labelled {named}"
        if split == TEST and rows:
            notes.append(f"{_sentence(lack)}: the test result says nothing of it.")
        elif split in cut_off:
            raise UserError(
                f"{_sentence(lack)}, as there are too few rows of it to cut a {split} split off. A "
                "label needs at least three different texts, better ten or more: add rows, or "
                "take the label out."
            )
        else:
            raise UserError(
                f"{_sentence(lack)}. Every label needs rows to be trained on and to be validated "
                "with: add some, take the label out, or give no validation file, so that one is "
                "cut off the training rows."
            )
    return notes


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _found(*findings: Finding) -> list[Problem]:
    return [finding.problem() for finding in findings if finding.count]

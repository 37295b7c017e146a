"""The checks on rows: what is set aside, what is reported, what is refused."""

from __future__ import annotations

import hashlib

import pytest

from sentilora.data import checks
from sentilora.data.dataset import (
    ALL,
    TEST,
    TRAIN,
    VALIDATION,
    DataReport,
    Example,
    RawRow,
    row_hash,
    text_key,
)
from sentilora.data.labels import given_mapping
from sentilora.errors import UserError

LABELS = ("negative", "positive")


def examples(split: str, *rows: tuple[str, int]) -> list[Example]:
    return [Example(text, label, n, split) for n, (text, label) in enumerate(rows, start=1)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A  film.\n", "a film."),
        ("caf\u00e9", "cafe\u0301"),
        ("STRASSE", "straße"),
        ("a\u00a0b", "a b"),
    ],
)
def test_same_texts(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)
    assert row_hash(one) == row_hash(other)


@pytest.mark.parametrize(("one", "other"), [("a film.", "a film"), ("a", "á"), ("ab", "a b")])
def test_different_texts(one: str, other: str) -> None:
    assert row_hash(one) != row_hash(other)


def test_row_hash_is_a_sha256_prefix_and_takes_lone_surrogates() -> None:
    assert row_hash("Good  film") == hashlib.sha256(b"good film").hexdigest()[:16]
    assert len(row_hash("\ud83d broken")) == 16


def test_readable_rows_sets_aside_each_row_for_one_reason() -> None:
    cells: list[tuple[object, object, str | None]] = [
        ("fine", "positive", None),
        ("", "positive", None),
        (None, "positive", None),
        (" \t", None, None),  # no text comes first
        (7, "positive", None),
        ("x", None, None),
        ("x", "", None),
        (None, None, "2 fields instead of 3"),
        ("NA", 0, None),
        ("null", "None", None),
    ]
    rows = [RawRow(TRAIN, n, *cell) for n, cell in enumerate(cells, start=1)]
    kept, problems = checks.readable_rows(rows)
    assert [row.row for row in kept] == [1, 9, 10]
    assert {problem.kind: (problem.count, problem.rows) for problem in problems} == {
        checks.UNREADABLE: (1, ((TRAIN, 8),)),
        checks.NO_TEXT: (4, ((TRAIN, 2), (TRAIN, 3), (TRAIN, 4), (TRAIN, 5))),
        checks.NO_LABEL: (2, ((TRAIN, 6), (TRAIN, 7))),
    }
    assert "2 fields instead of 3" in problems[0].message


def test_unknown_labels_are_refused_with_values_counts_and_rows() -> None:
    words = ["positive", "mixed", "neutral", "mixed", "Negative "]
    rows = [RawRow(TRAIN, n, f"text {n}", word) for n, word in enumerate(words, start=1)]
    with pytest.raises(UserError) as caught:
        checks.labelled_rows(rows, given_mapping(LABELS))
    message = str(caught.value)
    assert "3 rows" in message
    assert "'mixed' (2), 'neutral' (1)" in message
    assert "train rows 2, 3, 4" in message
    assert "--labels" in message


def test_conflicts_are_set_aside_within_a_split_only() -> None:
    rows = examples(TRAIN, ("Same", 0), ("other", 0), ("same ", 1), ("across", 0))
    rows += examples(TEST, ("across", 1), ("twice", 1), ("twice", 1))
    kept, (problem,) = checks.without_conflicts(rows)
    assert [row.text for row in kept] == ["other", "across", "across", "twice", "twice"]
    assert (problem.kind, problem.count) == (checks.CONFLICT, 2)
    assert problem.rows == ((TRAIN, 1), (TRAIN, 3))


def test_overlap_leaves_train_and_stays_in_evaluation() -> None:
    train = examples(TRAIN, ("in both", 0), ("mine", 1), ("In  BOTH", 0), ("in test", 1))
    evaluation = {
        VALIDATION: examples(VALIDATION, ("in both", 0), ("shared", 1)),
        TEST: examples(TEST, ("in test", 0), ("shared", 1)),
    }
    kept, problems = checks.without_overlap(train, evaluation)
    assert [row.text for row in kept] == ["mine"]
    found = {problem.kind: (problem.count, problem.action, problem.rows) for problem in problems}
    assert found == {
        checks.OVERLAP: (3, "set aside", ((TRAIN, 1), (TRAIN, 3), (TRAIN, 4))),
        checks.SHARED_EVALUATION: (1, "reported", ((VALIDATION, 2),)),
    }


def test_repeats_are_reported_beyond_the_first() -> None:
    (problem,) = checks.repeats(examples(ALL, ("a", 0), ("A", 0), ("b", 1), (" a", 0)))
    assert (problem.count, problem.rows, problem.action) == (2, ((ALL, 2), (ALL, 4)), "reported")
    assert checks.repeats(examples(ALL, ("a", 0), ("b", 0))) == []


@pytest.mark.parametrize("split", [TRAIN, VALIDATION])
def test_a_label_absent_from_train_or_validation_is_refused(split: str) -> None:
    both = (("a", 0), ("b", 1))
    splits = {name: examples(name, *both) for name in (TRAIN, VALIDATION, TEST)}
    splits[split] = examples(split, ("a", 0))
    with pytest.raises(UserError, match=f"{split} split of mine has no row labelled 'positive'"):
        checks.require_every_label(splits, LABELS, (), "mine")
    with pytest.raises(UserError, match="'positive'"):
        checks.require_every_label(splits, LABELS, (split,), "mine")


def test_a_label_absent_from_test_is_said() -> None:
    labels, all_three = (*LABELS, "neutral"), (("a", 0), ("b", 1), ("c", 2))
    splits = {name: examples(name, *all_three) for name in (TRAIN, VALIDATION)}
    lacking = {**splits, TEST: examples(TEST, ("d", 1))}
    (note,) = checks.require_every_label(lacking, labels, (TEST,), "mine")
    assert "'negative', 'neutral'" in note
    assert checks.require_every_label(splits, labels, (), "mine") == []


def test_report_lines_and_limits() -> None:
    rows = [RawRow(ALL, n, "", "x") for n in range(1, 1201)] + [RawRow(ALL, 1201, "t", None)]
    _, problems = checks.readable_rows(rows)
    report = DataReport(1201, 0, tuple(problems))
    assert report.rows_set_aside == 1201
    assert report.lines() == [
        "1,200 rows with an empty or missing text: set aside (rows 1, 2, 3, 4, 5, and 1,195 more)",
        "1 row without a label: set aside (row 1201)",
    ]

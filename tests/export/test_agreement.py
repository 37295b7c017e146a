"""Agreement between an adapter and its export, against figures worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from sentilora.errors import UserError
from sentilora.export.agreement import EXACTER, Agreement, agreement
from sentilora.export.tables import agreement_lines

LABELS = ("negative", "positive")


def logs(*shares: float) -> np.ndarray:
    """[N, 2] from the probabilities of "positive"."""
    return np.log([[1 - share, share] for share in shares])


def test_the_same_answers() -> None:
    found = agreement(logs(0.2, 0.9), logs(0.2, 0.9), LABELS, [0, 0])
    assert (found.rows, found.same, found.share, found.largest) == (2, 2, 1.0, 0.0)
    assert found.changed == ()
    assert found.accuracy is not None
    assert found.accuracy.adapter == found.accuracy.exported == 0.5
    assert found.accuracy.p_value == 1


def test_what_the_labels_hold_together_does_not_count() -> None:
    """Over the vocabulary or over the labels alone: the same answer; but how much it is is told."""
    found = agreement(logs(0.2, 0.9) - [[3.5], [1.0]], logs(0.2, 0.9), LABELS)
    assert found.largest < 1e-12
    assert found.mass == pytest.approx(3.5)


def test_changed_rows_are_named_the_widest_margin_first() -> None:
    found = agreement(logs(0.505, 0.7, 0.1), logs(0.495, 0.2, 0.1), LABELS, [1, 0, 0])
    assert [(row.row, row.adapter, row.exported) for row in found.changed] == [
        (2, "positive", "negative"),
        (1, "positive", "negative"),
    ]
    assert [row.margin for row in found.changed] == pytest.approx([0.4, 0.01])
    assert (found.same, found.near_ties) == (1, 1)
    assert found.largest == pytest.approx(np.log(0.7 / 0.2))
    assert found.accuracy is not None
    assert (found.accuracy.adapter, found.accuracy.exported) == pytest.approx((2 / 3, 2 / 3))


def test_too_few_of_the_same_label_are_refused() -> None:
    found = agreement(logs(0.9, 0.9, 0.9, 0.9), logs(0.9, 0.9, 0.9, 0.1), LABELS)
    found.require(0.75, "The file", EXACTER)
    with pytest.raises(UserError, match=r"The file chooses another label .* on 25\.00% of 4 rows"):
        found.require(0.76, "The file", EXACTER)
    with pytest.raises(UserError, match=r"Train longer, or accept it with --agreement\."):
        found.require(0.76, "The file", "Train longer")


def test_a_near_tie_is_no_reason_to_refuse() -> None:
    found = agreement(logs(0.9, 0.505), logs(0.9, 0.495), LABELS)
    assert (found.share, found.kept) == (0.5, 1.0)
    found.require(1.0, "The file", EXACTER)


def shown(found: Agreement) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(agreement_lines(found, "The file", "reviews", 0.00123))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_rows_of_both_kinds_are_shown_however_many_there_are() -> None:
    wide, ties = [0.9 - 0.01 * row for row in range(15)], [0.505, 0.503]
    text = shown(agreement(logs(*wide, *ties), logs(*(1 - each for each in wide + ties)), LABELS))
    assert "Rows with another label: 17, near-ties 2; up to 10 of each kind" in text
    assert text.count("(near-tie)") == 2
    assert text.count("0.8") + text.count("0.7") + text.count("0.6") == 10  # margins
    assert "0.0012" in text


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(UserError, match="aren't finite"):
        agreement(logs(0.9), [[np.nan, 0.0]], LABELS)

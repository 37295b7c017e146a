"""Runs that were asked for the same labels in another order are compared label by label."""

from __future__ import annotations

import numpy as np
import pytest

from sentilora.comparison.labels import check_same_labels, in_order
from sentilora.correction import Correction
from sentilora.errors import UserError
from sentilora.scoring import Scores

OWN, WANTED = ("good", "bad", "so-so"), ("bad", "so-so", "good")


def test_another_order_is_no_other_answer() -> None:
    drawn = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    own = Scores(drawn, np.ones(50, bool), Correction(1.5, (0.5, 0.3, 0.2)))
    moved = in_order(own, OWN, WANTED)
    assert [OWN[said] for said in own.predicted] == [WANTED[said] for said in moved.predicted]
    for place, label in enumerate(OWN):
        there = moved.probabilities[:, WANTED.index(label)]
        assert there == pytest.approx(own.probabilities[:, place], abs=1e-6)
    assert in_order(own, OWN, OWN) is own


def test_other_labels_are_refused_and_another_order_is_not() -> None:
    check_same_labels({"a": OWN})
    check_same_labels({"a": OWN, "b": WANTED})
    with pytest.raises(UserError, match="b answers good, bad and a good, bad, so-so: they can't"):
        check_same_labels({"a": OWN, "b": OWN[:2]})

"""The labels that runs are compared on: the same for all, in whatever order each was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.scoring import Scores


def check_same_labels(labels_of: Mapping[str, Sequence[str]]) -> None:
    """Raise UserError where runs, by name, don't answer with the same labels."""
    (first, wanted), *others = labels_of.items()
    for name, labels in others:
        if set(labels) != set(wanted):
            raise UserError(
                f"{name} answers {', '.join(labels)} and {first} {', '.join(wanted)}: they can't "
                "be compared on the same rows. Name runs and variants with the same labels."
            )


def in_order(scores: Scores, own: Sequence[str], wanted: Sequence[str]) -> Scores:
    """The scores of a model with labels in its `own` order as if it had those `wanted`."""
    if tuple(own) == tuple(wanted):
        return scores
    order = [list(own).index(label) for label in wanted]
    shares = scores.correction.label_shares
    moved = shares and tuple(shares[place] for place in order)
    correction = replace(scores.correction, label_shares=moved)
    return replace(scores, log_probs=scores.log_probs[:, order], correction=correction)

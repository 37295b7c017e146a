"""Does an exported model say what its adapter says? Both asked the same rows.

A label may change where the adapter itself was all but undecided; so each row on which it changed
is kept with its *margin*: how much likelier the adapter found its label than the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from sentilora.errors import UserError
from sentilora.evaluation.paired import Difference, accuracy_difference, mcnemar

NEAR_TIE = 0.02  # a margin in probability below which a changed label says little
EXACTER = "Choose a more exact form"


@dataclass(frozen=True)
class ChangedRow:
    """A row whose label is another one in the export."""

    row: int  # from 1, in the order they were asked
    adapter: str
    exported: str
    margin: float


@dataclass(frozen=True)
class AccuracyChange:
    """Both accuracies on the same rows, the export's less the adapter's, and McNemar's p-value."""

    adapter: float
    exported: float
    difference: Difference
    p_value: float


@dataclass(frozen=True)
class Agreement:
    """What came of asking both.

    rows, same
        How many were asked, and on how many the label is the same.
    largest, mean
        Distances between the labels' log-probabilities, each given that it is one of the labels.
    mass
        The largest distance between the log-probabilities that it is one of the labels at all.
    changed
        The rows on which the label is another one, the widest margin first.
    accuracy
        Where the rows' true labels are known.
    """

    rows: int
    same: int
    largest: float
    mean: float
    mass: float
    changed: tuple[ChangedRow, ...]
    accuracy: AccuracyChange | None

    @property
    def share(self) -> float:
        """Of rows with the same label."""
        return self.same / self.rows

    @property
    def near_ties(self) -> int:
        """How many of the changed rows were near-ties to the adapter itself."""
        return sum(row.margin < NEAR_TIE for row in self.changed)

    @property
    def kept(self) -> float:
        """The share of rows with the same label, or a label that was a near-tie before."""
        return (self.same + self.near_ties) / self.rows

    def to_dict(self) -> dict[str, Any]:
        figures = {"share": self.share, "near_ties": self.near_ties, "kept": self.kept}
        return {**asdict(self), **figures}

    def require(self, threshold: float, what: str, remedy: str) -> None:
        """Raise UserError, which ends in `remedy`, where a smaller share than `threshold` is
        `kept`."""
        if self.kept < threshold:
            raise UserError(
                f"{what} chooses another label than the adapter on {1 - self.kept:.2%} of "
                f"{self.rows:,} rows, near-ties aside, and {1 - threshold:.2%} are accepted; it "
                f"was not kept. {remedy}, or accept it with --agreement."
            )


def agreement(
    adapter: npt.ArrayLike,
    exported: npt.ArrayLike,
    labels: Sequence[str],
    gold: Sequence[int] | None = None,
) -> Agreement:
    """Compare the label log-probabilities of N rows.

    Parameters
    ----------
    adapter, exported
        [N, K] log p(label | text), over the vocabulary or over the labels.
    labels
        The K labels.
    gold
        [N] the true labels' indices, where they are known.

    Raises
    ------
    UserError
        Where the export gave something that isn't a finite number.
    """
    said = np.asarray(adapter, dtype=np.float64), np.asarray(exported, dtype=np.float64)
    one, other = (log_softmax(each, axis=1) for each in said)
    masses = [logsumexp(each, axis=1) for each in said]
    if not np.isfinite(other).all():
        raise UserError(
            "The exported model gives log-probabilities that aren't finite numbers; it was not "
            f"kept. {EXACTER}."
        )
    first, second = one.argmax(axis=1), other.argmax(axis=1)
    ranked = np.sort(np.exp(one), axis=1)
    margins = ranked[:, -1] - ranked[:, -2]
    rows = sorted(np.flatnonzero(first != second), key=lambda row: -margins[row])
    gaps = np.abs(one - other)
    return Agreement(
        rows=len(one),
        same=len(one) - len(rows),
        largest=float(gaps.max()),
        mean=float(gaps.mean()),
        mass=float(np.abs(masses[0] - masses[1]).max()),
        changed=tuple(
            ChangedRow(int(row) + 1, labels[first[row]], labels[second[row]], float(margins[row]))
            for row in rows
        ),
        accuracy=None if gold is None else _accuracy(first, second, np.asarray(gold)),
    )


def _accuracy(
    first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], gold: npt.NDArray[Any]
) -> AccuracyChange:
    right, now = first == gold, second == gold
    return AccuracyChange(
        float(right.mean()), float(now.mean()), accuracy_difference(now, right), mcnemar(now, right)
    )

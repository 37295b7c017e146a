"""How sure a label must be to be in a text's set, so that the sets hold the true label as promised.

Split-conformal prediction (Vovk, Gammerman and Shafer 2005; Angelopoulos and Bates 2021) with the
LAC score, 1 - p(true label) (Sadinle, Lei and Wasserman 2019): a text's set holds the labels whose
1 - p is no more than a quantile of the scores of rows that were held out. A new text's set then
holds its true label with the coverage that was asked for, on average over such rows and texts,
whatever the model is like, *if the text is exchangeable with those rows*. Other domains aren't.

The rows are the validation rows, and two things were fitted on them before: which evaluation's
weights are kept, and the temperature. The promise is for rows on which nothing was fitted, so it
holds here only nearly. The temperature is one number, and between two labels (without class
weights) it moves no label into a set or out of it, for it keeps the rows' order; the choice among a
few evaluations favours weights that do well on these rows. Both make the sets a little too small:
`sentilora evaluate` says what they hold on rows that had no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sentilora.errors import UserError

KEPT = 1000  # scores at most: coverage is then met to a thousandth


@dataclass(frozen=True)
class Conformal:
    """Scores of held-out rows, from which the sets of any coverage follow.

    rows
        N, how many rows were scored.
    scores
        The M = min(N, KEPT) scores of ranks ceil(N / M), ceil(2 N / M), ... N, from the lowest.
    """

    rows: int
    scores: tuple[float, ...]

    @classmethod
    def calibrate(cls, probabilities: npt.ArrayLike, true: npt.ArrayLike) -> Self:
        """From reported probabilities [N, K] and the true class ids [N].

        Raises UserError where there are no rows.
        """
        scores = np.sort(true_label_scores(probabilities, true))
        rows = len(scores)
        if not rows:
            raise UserError("There are no rows to calibrate label sets on.")
        kept = min(rows, KEPT)
        ranks = [-(-number * rows // kept) for number in range(1, kept + 1)]
        return cls(rows, tuple(float(scores[rank - 1]) for rank in ranks))

    def threshold(self, coverage: float) -> float:
        """What 1 - p of a label may be at most, for it to be in a set.

        It is the score of rank ceil((N + 1) coverage), or the next higher one that was kept; and 1,
        which all labels keep to, where that is more than N: so few rows can promise no more.

        Raises UserError where `coverage` isn't between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise UserError(
                f"A coverage of {coverage} can't be asked for; it must be above 0 and below 1, "
                "such as 0.9."
            )
        rank = math.ceil(round((self.rows + 1) * coverage, 9))  # 10 x 0.7 is a little more than 7
        if rank > self.rows:
            return 1.0
        return self.scores[(rank - 1) * len(self.scores) // self.rows]

    def rows_needed(self, coverage: float) -> int | None:
        """With how many rows `coverage` takes more than sets of all labels; None with these."""
        needed = math.ceil(round(coverage / (1 - coverage), 9))
        return needed if needed > self.rows else None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "scores": list(self.scores)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["rows"], tuple(values["scores"]))


def true_label_scores(probabilities: npt.ArrayLike, true: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """[N] 1 - p(true label)."""
    given = np.asarray(probabilities, dtype=np.float64)
    return 1 - given[np.arange(len(given)), np.asarray(true, dtype=np.intp)]


def label_sets(probabilities: npt.ArrayLike, threshold: float) -> npt.NDArray[np.bool_]:
    """[N, K] which labels each text's set holds; it may be none of them."""
    return 1 - np.asarray(probabilities, dtype=np.float64) <= threshold

"""When a label is withheld: where the set of labels that may be true isn't it alone, or where its
own probability is too low."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from sentilora.conformal import Conformal, label_sets
from sentilora.errors import UserError


@dataclass(frozen=True)
class Abstention:
    """What `sentilora predict` and `Classifier.predict` say of a text instead of a forced label.

    labels
        [K] the task's.
    threshold
        The `Conformal.threshold` of the labels' sets; None asks for no sets.
    below
        A label of less probability is withheld; None withholds none for that.
    """

    labels: tuple[str, ...]
    threshold: float | None
    below: float | None

    @classmethod
    def create(
        cls,
        labels: Sequence[str],
        conformal: Conformal | None,
        coverage: float | None = None,
        below: float | None = None,
    ) -> Self:
        """Sets of `coverage` by the scores in `conformal`, and no label `below` a probability.

        Raises UserError for either outside (0, 1), or where sets are asked for and there are no
        scores.
        """
        if below is not None and not 0 < below < 1:
            raise UserError(
                f"A probability of {below} to abstain below can't be; it must be above 0 and below "
                "1, such as 0.8."
            )
        if coverage is None:
            return cls(tuple(labels), None, below)
        if conformal is None:
            raise UserError(
                "This adapter holds no conformal scores, so it can give no label sets: it was "
                "trained without validation rows, or before sentilora kept them, or combined from "
                "several. Train again with validation rows, or abstain by probability, with "
                "--abstain-below (abstain_below=)."
            )
        return cls(tuple(labels), conformal.threshold(coverage), below)

    def decide(
        self, chosen: npt.ArrayLike, probabilities: npt.NDArray[np.floating]
    ) -> tuple[list[str | None], list[list[str]] | None]:
        """[N] the labels, None where one is withheld, and [N] the sets, where they were asked for.

        Parameters
        ----------
        chosen
            [N] the chosen labels' indices.
        probabilities
            [N, K]
        """
        ids = np.asarray(chosen, dtype=np.intp)
        rows = np.arange(len(ids))
        given = np.asarray(probabilities, dtype=np.float64)
        keeps = np.ones(len(ids), dtype=bool)
        if self.below is not None:
            keeps &= given[rows, ids] >= self.below
        sets = None
        if self.threshold is not None:
            held = label_sets(given, self.threshold)
            keeps &= held[rows, ids] & (held.sum(axis=1) == 1)
            sets = [[self.labels[k] for k in np.flatnonzero(row)] for row in held]
        found = [self.labels[k] if kept else None for k, kept in zip(ids, keeps, strict=True)]
        return found, sets

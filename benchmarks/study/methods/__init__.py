"""The methods, each a function from a `Job` to an `Answer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from study.draws import StudyData, Texts


@dataclass(frozen=True)
class Job:
    """What a method is given.

    data
        Labels and subject; its splits are not to be looked at beyond the three below.
    train, validation
        The rows that may be learned from; `validation` is None where only few rows were drawn.
    texts
        [N] what is to be classified.
    device
        Where the language model runs.
    """

    data: StudyData
    train: Texts
    validation: Texts | None
    texts: list[str]
    seed: int
    options: dict[str, Any]
    device: str = "cpu"


@dataclass(frozen=True)
class Answer:
    """What a method says.

    probabilities
        [N, K] of the labels.
    train_seconds, saved_bytes
        How long learning took, and the size of what is kept of it.
    chosen
        [N] the labels' ids, where they aren't the likeliest.
    """

    probabilities: NDArray[np.floating]
    train_seconds: float
    saved_bytes: int
    chosen: NDArray[np.integer] | None = None

    @property
    def predicted(self) -> NDArray[np.integer]:
        """[N] the labels' ids."""
        return self.probabilities.argmax(axis=1) if self.chosen is None else self.chosen

"""The rows that an export is held against its adapter on, and what either says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sentilora.artifact import Artifact
from sentilora.canary import CANARY_TEXTS
from sentilora.evaluation.measuring import data_for
from sentilora.evaluation.selection import select_rows
from sentilora.export.speed import Speed, latency, timed

if TYPE_CHECKING:
    from sentilora.classifier import Classifier


@dataclass(frozen=True)
class Rows:
    """N texts, the indices of their labels, and what they are called."""

    name: str
    texts: list[str]
    gold: list[int]


@dataclass(frozen=True)
class Answers:
    """What a model says, and what that costs.

    log_probs, canary
        [N, K] log p(label | text) over the vocabulary of the rows, and of the canary's texts.
    """

    log_probs: NDArray[np.float32]
    canary: NDArray[np.float32]
    speed: Speed

    def canary_gap(self, other: Answers) -> float:
        """How far apart two models are on the canary's texts at most."""
        return float(np.abs(self.canary - other.canary).max())


def ask(
    classifier: Classifier,
    rows: Rows,
    score: Callable[[Sequence[str]], Any],
    size: int,
    loading: float,
) -> Answers:
    """Ask for all rows by `score`, and for some alone; `size` and `loading` are `Speed`'s."""
    found, seconds = timed(partial(score, rows.texts))
    canary = classifier.score(CANARY_TEXTS).log_probs
    single = latency(classifier.predict, rows.texts)
    speed = Speed(size, loading, single, len(rows.texts) / seconds)
    return Answers(found.log_probs, canary, speed)


def rows_for(run: Path, data: str | None, rows: int, others: Sequence[Artifact] = ()) -> Rows:
    """Rows that no adapter was trained on, the one in `run` or `others`: `data`'s, or the test
    rows of `run`.

    Of more than `rows`, so many are taken at even distances.

    Raises
    ------
    UserError
        Where there are none.
    """
    dataset, artifact = data_for(
        run, data, text_column=None, label_column=None, labels=None, revision=None
    )
    trained = {row for each in (artifact, *others) for row in each.rows.train}
    selection = select_rows(dataset, None, trained, artifact.rows.test)
    step = max(1.0, len(selection.examples) / rows)
    count = min(rows, len(selection.examples))
    chosen = [selection.examples[int(place * step)] for place in range(count)]
    name = f"{dataset.name}, {selection.split}"
    return Rows(name, [row.text for row in chosen], [row.label for row in chosen])

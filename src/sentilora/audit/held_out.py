"""Held-out probabilities: for each fold a model of the others, tuned or linear."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sentilora.data import DataSet, Example

Integers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]  # [N, K]
# From rows to learn from, and texts, to the texts' probabilities.
Predict = Callable[[Sequence[Example], Sequence[str]], npt.NDArray[Any]]


class Judge(Protocol):
    """Gives all rows' held-out probabilities. `name` says what of, in words."""

    @property
    def name(self) -> str: ...

    def probabilities(self, dataset: DataSet, fold_of: Integers) -> Probabilities: ...


def held_out(
    rows: Sequence[Example], fold_of: Integers, labels: int, predict: Predict
) -> Probabilities:
    """[N, K] each row's probabilities by a model that was fitted without its fold."""
    found = np.empty((len(rows), labels))
    for fold in range(int(fold_of.max()) + 1):
        train = [row for row, its in zip(rows, fold_of, strict=True) if its != fold]
        asked = np.flatnonzero(fold_of == fold)
        found[asked] = predict(train, [rows[n].text for n in asked.tolist()])
    return found


@dataclass(frozen=True)
class FoldTuner:
    """Tunes a base anew on each fold's training rows; a `Predict`.

    load
        Gives the base, untouched, each time that it is called.
    task, adapter, given, seed
        As for any run; `given` are the training settings that don't go by the number of rows.
    progress
        Is told of rows trained on or scored, as they are done.
    """

    load: Callable[[], Any]
    task: Any
    adapter: Any
    given: Mapping[str, Any]
    seed: int
    progress: Callable[[int], None]

    def work(self, train_rows: int, rows: int) -> int:
        """How many rows `progress` will be told of for one fold."""
        return self._settings(train_rows).epochs * train_rows + rows

    def __call__(self, train: Sequence[Example], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        from sentilora.tuning import Labelled, prepare, tune

        tuning = prepare(
            self.load(),
            self.task,
            self.adapter,
            self.seed,
            gradient_checkpointing=self._settings(len(train)).gradient_checkpointing,
        )
        rows = Labelled([row.text for row in train], [row.label for row in train])
        with tempfile.TemporaryDirectory(prefix="sentilora-") as folder:
            result = tune(
                tuning,
                rows,
                Labelled([], []),
                self._settings(len(train)),
                Path(folder),
                reporter=_rows_reporter(self.progress),
            )
        return result.correction.apply(tuning.scorer.score(texts, self.progress).probabilities)

    def _settings(self, rows: int) -> Any:
        from sentilora.training import choose_settings

        given = {**self.given, "seed": self.seed}
        return choose_settings(given, rows, 0, len(self.task.labels)).settings


def _rows_reporter(progress: Callable[[int], None]) -> Any:
    from sentilora.training import Reporter, StepReport

    class Rows(Reporter):
        done = 0

        def on_step(self, report: StepReport) -> None:
            progress(report.rows_done - self.done)
            self.done = report.rows_done

    return Rows()

"""What a run tells while it goes on; the command line draws it, a test records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What is about to be done.

    `done` is how many of the `steps` a resumed run has behind it already, `texts_cut` how many of
    the rows to train on and to validate with are too long to be read in whole.
    """

    rows: int
    validation_rows: int
    epochs: int
    steps: int
    done: int
    warmup_steps: int
    batch_size: int
    micro_batch: int
    trained_parameters: int
    texts_cut: int = 0


@dataclass(frozen=True)
class StepReport:
    """One step done. `loss` is the mean of its rows; `rows_done` counts from the run's start.

    `gradient_norm` is that before clipping. The rate is that of this process, without evaluations
    and checkpoints.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    gradient_norm: float
    rows_done: int
    rows_per_second: float


class Reporter:
    """Is told what happens, in order. This one says nothing; others override what they tell."""

    def on_start(self, plan: Plan) -> None:
        """Everything is checked; the first evaluation or step comes next."""

    def on_step(self, report: StepReport) -> None:
        """A step was done."""

    def on_evaluating(self, step: int, rows: int) -> None:
        """The validation rows are about to be scored."""

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """The validation rows were scored; `record` is the history's newest entry."""

    def on_checkpoint(self, path: Path) -> None:
        """A checkpoint was written."""

    def on_warning(self, message: str) -> None:
        """Something went wrong that doesn't end the run."""


class Several(Reporter):
    """Tells each of several reporters, in order."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def on_start(self, plan: Plan) -> None:
        for reporter in self._reporters:
            reporter.on_start(plan)

    def on_step(self, report: StepReport) -> None:
        for reporter in self._reporters:
            reporter.on_step(report)

    def on_evaluating(self, step: int, rows: int) -> None:
        for reporter in self._reporters:
            reporter.on_evaluating(step, rows)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        for reporter in self._reporters:
            reporter.on_evaluation(record)

    def on_checkpoint(self, path: Path) -> None:
        for reporter in self._reporters:
            reporter.on_checkpoint(path)

    def on_warning(self, message: str) -> None:
        for reporter in self._reporters:
            reporter.on_warning(message)

"""What a training run shows while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from sentilora.cli.console import Progress, say
from sentilora.training import Plan, Reporter, StepReport


class TrainingReporter(Reporter):
    """Draws a progress bar with ETA and the current validation result; a line an evaluation."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, traceback)

    def on_start(self, plan: Plan) -> None:
        say(
            f"Training {plan.epochs} x {plan.rows:,} rows in {plan.steps:,} steps of "
            f"{plan.batch_size}"
            + (f" ({plan.micro_batch} at once)" if plan.micro_batch < plan.batch_size else "")
            + (f", going on after step {plan.done:,}" if plan.done else "")
        )
        self._bar = Progress("training", unit="steps", total=plan.steps, done=plan.done)
        self._bar.__enter__()

    def on_step(self, report: StepReport) -> None:
        assert self._bar is not None
        self._bar.advance()
        self._bar.note(f"loss {report.loss:.3f}, {report.rows_per_second:.1f} rows/s")

    def on_evaluating(self, step: int, rows: int) -> None:
        assert self._bar is not None
        self._bar.note(f"validating {rows:,} rows")

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        when = f"step {record['step']:,}" if record["step"] else "untuned"
        say(
            f"  {when:>10}  validation loss {record['loss']:.3f}  "
            f"accuracy {record['accuracy']:.1%}  macro-F1 {record['macro_f1']:.3f}  "
            f"label mass {record['label_mass']:.1%}" + ("  best" if record["best"] else "")
        )

    def on_warning(self, message: str) -> None:
        say(message, style="yellow")

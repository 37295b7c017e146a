"""What a training run shows while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from sentilora.cli.console import Progress, say
from sentilora.cutting import cut_note
from sentilora.task import Task
from sentilora.training import Plan, Reporter, StepReport


class TrainingReporter(Reporter):
    """Draws a progress bar with ETA and the current validation result; a line an evaluation."""

    def __init__(self, stack: ExitStack, task: Task) -> None:
        """The bar stays until `stack` is closed."""
        self._stack = stack
        self._task = task
        self._bar: Progress | None = None
        self._validated: list[str] = []  # the last result, in words

    def on_start(self, plan: Plan) -> None:
        rows = plan.rows + plan.validation_rows
        if cut := cut_note(plan.texts_cut, rows, self._task.max_length, self._task.long_texts):
            say(cut)
        say(
            f"Training {plan.epochs} x {plan.rows:,} rows in {plan.steps:,} steps of "
            f"{plan.batch_size}"
            + (f" ({plan.micro_batch} at once)" if plan.micro_batch < plan.batch_size else "")
            + (f", going on after step {plan.done:,}" if plan.done else "")
        )
        bar = Progress("training", unit="steps", total=plan.steps, done=plan.done)
        self._bar = self._stack.enter_context(bar)

    def on_step(self, report: StepReport) -> None:
        assert self._bar is not None
        self._bar.advance()
        # The validation result first: where a terminal is narrow, the end is cut off.
        self._bar.note(", ".join([*self._validated, f"loss {report.loss:.3f}"]))

    def on_evaluating(self, step: int, rows: int) -> None:
        assert self._bar is not None
        self._bar.note(f"validating {rows:,} rows")

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        assert self._bar is not None
        if not self._validated:
            say("   validation    loss  accuracy  macro-F1  label mass")
        self._validated = [f"val {_percent(record['accuracy'])}"]
        self._bar.note(self._validated[0])
        when = f"step {record['step']:,}" if record["step"] else "untuned"
        say(
            f"{when:>13}  {record['loss']:6.3f}  {_percent(record['accuracy']):>8}  "
            f"{record['macro_f1']:8.3f}  {_percent(record['label_mass']):>10}"
            + ("  best" if record["best"] else "")
        )

    def on_warning(self, message: str) -> None:
        say(message, style="yellow")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

"""The product's own training: `sentilora.training.fit`, and one step of it for the check."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from common import ALPHA, DROPOUT, LEARNING_RATE, RANK, Job, Stopwatch

from peers.stock import batches, checked_rows
from sentilora.adapters import AdapterSettings, trainable_parameters
from sentilora.bases import load_base, resolve
from sentilora.task import Task
from sentilora.training import Plan, Reporter, Rows, StepReport, TrainSettings, fit
from sentilora.training.gradients import Gradients
from sentilora.training.randomness import training_mode
from sentilora.training.state import TrainingState
from sentilora.tuning import Tuning, prepare


def run(job: Job) -> dict[str, Any]:
    tuning = _prepared(job)
    prompts = tuning.scorer.encoder.encode(job.texts)
    if [list(prompt.ids) for prompt in prompts] != job.prompts:
        raise RuntimeError("the product's token ids aren't those that the peers were given")
    if job.mode == "check":
        rows = checked_rows(job)
        return {"losses": _losses(job, tuning, Rows(prompts[:rows], job.gold[:rows]))}
    warm = job.warmup_rows
    _seconds(job, tuning, Rows(prompts[:warm], job.gold[:warm]))
    seconds = _seconds(job, tuning, Rows(prompts, job.gold))
    return {"seconds": seconds, "path": tuning.scorer.path}


def _prepared(job: Job) -> Tuning:
    check = job.mode == "check"
    # Stock PEFT adapts the key of a fused projection as well; so the check does here.
    targets = ("query", "key", "value") if check and job.fused else ("query", "value")
    adapter = AdapterSettings(RANK, ALPHA, 0.0 if check else DROPOUT, targets)
    base = load_base(resolve(job.model), device=job.device, dtype=job.dtype)
    return prepare(base, Task.from_dict(job.task), adapter, seed=0)


class _Clock(Reporter):
    """Times the steps of a run, which are all that there is of it without validation rows."""

    def __init__(self) -> None:
        self.watch = Stopwatch()

    def on_start(self, plan: Plan) -> None:
        self.watch.start()

    def on_step(self, report: StepReport) -> None:
        self.watch.stop()


def _seconds(job: Job, tuning: Tuning, rows: Rows) -> float:
    """How long one epoch's steps take."""
    settings = TrainSettings(
        epochs=1, learning_rate=LEARNING_RATE, batch_size=job.batch, select="last"
    )
    clock, nothing = _Clock(), Rows([], [])
    with tempfile.TemporaryDirectory() as folder:
        fit(
            tuning.scorer,
            rows,
            nothing,
            settings,
            Path(folder),
            reporter=clock,
            checkpoint_seconds=1e9,
        )
    return clock.watch.seconds


def _losses(job: Job, tuning: Tuning, rows: Rows) -> list[float]:
    """The losses of the first steps, on rows in their order."""
    settings = TrainSettings(learning_rate=LEARNING_RATE, batch_size=job.batch)
    state = TrainingState(trainable_parameters(tuning.model), settings)
    parameters = list(state.parameters.values())
    gradients = Gradients(
        tuning.scorer.loss, rows, parameters, shared=0, seed=0, most=settings.batch_size
    )
    losses = []
    for step, batch in enumerate(batches(range(len(rows)), job.batch, shuffled=False)):
        training_mode(tuning.model)
        losses.append(gradients.accumulate(batch, step, lambda rows: None))
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        state.advance(LEARNING_RATE, losses[-1], len(batch), averaged=False)
    return losses

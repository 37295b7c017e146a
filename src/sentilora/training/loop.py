"""The training loop: `fit`.

From a state, the settings and the rows the next state follows, with nothing else to remember: the
order of the rows, the learning rate and what dropout draws are pure functions of the step. So a
checkpoint of any state is enough to go on from it bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

from sentilora.adapters import trainable_parameters
from sentilora.correction import Correction, label_shares
from sentilora.devices import peak_memory
from sentilora.encoding import texts_cut
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer
from sentilora.training.checkpoint import Checkpoint, CheckpointStore
from sentilora.training.conditions import Conditions, check_conditions, conditions_of
from sentilora.training.gradients import Gradients
from sentilora.training.history import best_entry, out_of_patience, validate
from sentilora.training.interrupts import Interrupted
from sentilora.training.objective import label_weights, loss_function
from sentilora.training.order import batches_of_epoch
from sentilora.training.randomness import training_mode
from sentilora.training.reporting import Plan, Reporter, StepReport
from sentilora.training.result import FitResult
from sentilora.training.rows import Rows
from sentilora.training.schedule import Schedule
from sentilora.training.settings import TrainSettings
from sentilora.training.state import TrainingState

CHECKPOINT_SECONDS = 120.0


def fit(
    scorer: LabelScorer,
    train: Rows,
    validation: Rows,
    settings: TrainSettings,
    run_dir: Path,
    *,
    reporter: Reporter | None = None,
    resume_from: Checkpoint | None = None,
    fingerprint: Mapping[str, str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> FitResult:
    """Trains the adapter of the scorer's model, and leaves it with the best weights.

    Parameters
    ----------
    scorer
        The model with its adapter, which is trained in place, and the prompts' encoder.
    train, validation
        Rows to train on, and rows that choose the best weights; with `settings.select` "last"
        there may be none of these.
    settings
        How to train; a resumed run must be given its own (`resume_from.settings`).
    run_dir
        Checkpoints go into its `checkpoints` folder.
    reporter
        Is told what happens.
    resume_from
        `newest_valid(run_dir)`, to go on with a run.
    fingerprint
        Hashes, by name, of what else the result depends on (the base's weights, the adapter's
        settings): a resumed run must have the same.
    checkpoint_seconds
        A checkpoint is written after each evaluation, and at least this often.

    Raises
    ------
    UserError
        Where there are no rows, the run's folder is of no use, the run can't be resumed here, or
        the loss isn't finite, or no gradient reaches the adapter.
    Interrupted
        On Ctrl-C, after a checkpoint was written.
    """
    if not len(train):
        raise UserError("There are no training rows. Give data that has some.")
    if not len(validation) and settings.select != "last":
        raise UserError(
            "There are no validation rows to choose the best weights by. Give data that has some, "
            "or take the last weights with --select last."
        )
    at_once = settings.rows_at_once
    if resume_from is not None:  # it may have been halved where memory ran out
        at_once = min(at_once, resume_from.environment["micro_batch"])
    conditions = conditions_of(scorer, train, validation, settings, at_once, fingerprint or {})
    if resume_from is not None:
        check_conditions(resume_from.state, conditions)
    state = TrainingState(trainable_parameters(scorer.model), settings)
    store = CheckpointStore(run_dir, resume_from)
    store.check_space(state.checkpoint_bytes)
    run = _Run(scorer, train, validation, state, store, reporter or Reporter(), conditions)
    if resume_from is not None:
        run.resume(resume_from)
    run.reporter.on_start(run.plan())
    try:
        run.go(checkpoint_seconds)
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):  # a second Ctrl-C: the checkpoint before this one stands
            run.save()
        raise Interrupted(state.step, run.schedule.steps, store.newest) from None
    finally:
        run.close()
    return run.result()


class _Run:
    """Takes a state to its end, and tells and saves how it goes."""

    def __init__(
        self,
        scorer: LabelScorer,
        train: Rows,
        validation: Rows,
        state: TrainingState,
        store: CheckpointStore,
        reporter: Reporter,
        conditions: Conditions,
    ) -> None:
        self.scorer, self.train, self.validation = scorer, train, validation
        self.settings, self.schedule = state.settings, Schedule(state.settings, len(train))
        self.state, self.store, self.reporter = state, store, reporter
        self.conditions = conditions
        self.parameters = list(state.parameters.values())
        labels = len(scorer.encoder.task.labels)
        self.weights = label_weights(self.settings, train.gold, labels)
        self.shares = self.settings.class_weight and label_shares(train.gold, labels)
        self.gradients = Gradients(
            loss_function(scorer, self.settings, self.weights),
            train,
            self.parameters,
            shared=0 if self.settings.gradient_checkpointing else len(scorer.encoder.prefix_ids),
            seed=self.settings.seed,
            most=int(conditions["environment"]["micro_batch"]),
            tokens=self.settings.micro_batch_tokens,
        )
        self._epoch, self._batches = -1, [[0]]  # the epoch whose batches are at hand
        self._saved: tuple[int, bool] | None = None  # the state last written
        self._rows_here, self._seconds_here = 0, 0.0  # of the steps of this process

    def plan(self) -> Plan:
        return Plan(
            rows=len(self.train),
            validation_rows=len(self.validation),
            epochs=self.settings.epochs,
            steps=self.schedule.steps,
            done=self.state.step,
            warmup_steps=self.schedule.warmup_steps,
            batch_size=self.settings.batch_size,
            micro_batch=self.gradients.most,
            trained_parameters=sum(parameter.numel() for parameter in self.parameters),
            texts_cut=texts_cut(self.train.prompts) + texts_cut(self.validation.prompts),
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        self.state.restore(checkpoint)
        self._saved = (self.state.step, self.state.evaluated)

    @property
    def stops_early(self) -> bool:
        unfinished = self.state.step < self.schedule.steps
        return unfinished and out_of_patience(self.state.history, self.settings.patience)

    @property
    def evaluation_is_due(self) -> bool:
        planned = bool(len(self.validation)) and self.schedule.evaluates(self.state.step)
        return planned and not self.state.evaluated

    def go(self, checkpoint_seconds: float) -> None:
        """From whatever state to the end: an evaluation that is due comes first."""
        saved_at = time.monotonic()
        while True:
            due = self.evaluation_is_due
            if due:
                self.evaluate()
            if due or time.monotonic() - saved_at >= checkpoint_seconds:
                self.save()
                saved_at = time.monotonic()
            if self.state.step == self.schedule.steps or self.stops_early:
                return
            self.take_step()

    def take_step(self) -> None:
        started = time.perf_counter()
        step = self.state.step + 1
        rows = self._rows_of(step)
        rate = self.schedule.learning_rate(step)
        training_mode(self.scorer.model)
        loss = self.gradients.accumulate(rows, step, self._halved)
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise UserError(
                f"At step {step} the {'gradient' if math.isfinite(loss) else 'loss'} is no longer "
                f"a finite number (learning rate {rate:.2g}), so training has stopped. Start a new "
                "run with a lower --learning-rate, or with --dtype float32 if it ran in less."
            )
        if step == 1 and norm == 0 < loss:
            raise UserError(
                "No gradient reaches the adapter through this base, so training would change "
                "nothing. Try another --device, or another form of the base."
            )
        self.state.advance(rate, loss, len(rows), averaged=self.schedule.averages(step))
        self._rows_here += len(rows)
        self._seconds_here += time.perf_counter() - started
        self.reporter.on_step(
            StepReport(
                step=step,
                steps=self.schedule.steps,
                loss=loss,
                learning_rate=rate,
                gradient_norm=norm,
                rows_done=self.state.rows_done,
                rows_per_second=self._rows_here / max(self._seconds_here, 1e-9),
            )
        )

    def _halved(self, before: int) -> None:
        """The step is done again in smaller parts. A resumed run goes on with these, too."""
        self.conditions["environment"]["micro_batch"] = self.gradients.most
        self.reporter.on_warning(
            f"Memory ran out in step {self.state.step + 1} with {before} rows at once; it goes on "
            f"with {self.gradients.most} at once, and batches of {self.settings.batch_size} as "
            "before."
        )

    def _rows_of(self, step: int) -> list[int]:
        epoch, batch = self.schedule.position(step)
        if epoch != self._epoch:
            settings = self.settings
            self._batches = batches_of_epoch(
                self.train.lengths, settings.seed, epoch, settings.batch_size
            )
            self._epoch = epoch
        return self._batches[batch]

    def evaluate(self) -> None:
        step = self.state.step
        self.reporter.on_evaluating(step, len(self.validation))
        asked = (self.settings.objective, self.weights, self.shares)
        with self.state.averaged():
            found = validate(self.scorer, self.validation, *asked)
            entry = {
                "step": step,
                "epoch": step / self.schedule.steps_per_epoch,
                "learning_rate": self.schedule.learning_rate(step) if step else None,
                "train_loss": self.state.train_loss,
                **found.figures,
            }
            recorded = self.state.record(entry, found.conformal)
        self.reporter.on_evaluation(recorded)

    def save(self) -> None:
        """Writes a checkpoint of the present state, unless it is the one last written.

        Where the disk fails the run goes on: what matters is its end.
        """
        which = (self.state.step, self.state.evaluated)
        if which == self._saved:
            return
        content = {**self.conditions, **self.state.to_dict()}
        try:
            path = self.store.write(*which, content, self.state.tensors())
        except OSError as error:
            self.reporter.on_warning(
                f"The checkpoint after step {which[0]} couldn't be written "
                f"({error.strerror or error}); training goes on, and the one before it stays."
            )
            return
        self._saved = which
        self.reporter.on_checkpoint(path)

    def close(self) -> None:
        """Leaves the model as it is used."""
        self.state.optimizer.zero_grad(set_to_none=True)
        self.scorer.model.eval()

    def result(self) -> FitResult:
        self.state.use_best()
        best = best_entry(self.state.history)
        return FitResult(
            best_step=best["step"] if best else self.state.step,
            steps=self.state.step,
            history=self.state.history,
            seconds=self.state.seconds,
            stopped_early=self.stops_early,
            environment=dict(self.conditions["environment"]),
            peak_memory=peak_memory(self.scorer.device),
            correction=Correction(best["temperature"] if best else 1.0, self.shares),
            conformal=self.state.conformal,
        )

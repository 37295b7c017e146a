"""The evaluations of a run, and which of them is the best.

An entry is a dict as JSON has it: `step`, `epoch` (a fraction), `learning_rate` (None before
training), `train_loss` (the mean since the entry before; None before training), on the validation
rows `loss`, `accuracy`, `macro_f1`, `label_mass`, `greedy_share` and `temperature` (what makes the
probabilities mean what they say, see `correction`; 1 where the rows are too few to tell), and
`best`: whether it was the best when it was made. The entry before training is the untuned model's
and never the best: what a run keeps is a tuned one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.evaluation.calibration import fit_temperature
from sentilora.evaluation.metrics import score_metrics
from sentilora.scoring import LabelScorer
from sentilora.training.objective import Weights
from sentilora.training.rows import Rows
from sentilora.training.settings import Objective, Selection

# A temperature that is fitted on fewer rows than this is mostly chance.
ROWS_TO_CALIBRATE = 100

Entry = dict[str, Any]
History = list[Entry]


@dataclass(frozen=True)
class Validation:
    """What was found on the validation rows.

    figures
        Those of an entry.
    conformal
        The rows' scores by the probabilities that the temperature gives; kept of the best alone.
    """

    figures: dict[str, float]
    conformal: Conformal


def validate(
    scorer: LabelScorer,
    rows: Rows,
    objective: Objective,
    weights: Weights,
    shares: tuple[float, ...] | None = None,
) -> Validation:
    """Scores the validation rows: the loss that training lessens, and what a user cares for.

    `weights` [K] is what a row of each label counts for in the loss; `shares` [K] are the labels'
    shares of the training rows, where the weights balanced them.

    Raises UserError where a score is not a finite number.
    """
    scores = scorer.score_prompts(rows.prompts)
    metrics = score_metrics(scores, rows.gold, scorer.encoder.task.labels)
    log_probs, gold = scores.log_probs.astype(np.float64), np.asarray(rows.gold)  # [N, K], [N]
    if objective == "labels":
        log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    enough = len(rows) >= ROWS_TO_CALIBRATE
    temperature = fit_temperature(scores.probabilities, rows.gold, shares) if enough else 1.0
    calibrated = Correction(temperature, shares).apply(scores.probabilities)
    figures = {
        "loss": float(np.mean(-log_probs[np.arange(len(rows)), gold] * weights[gold])),
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        "label_mass": float(scores.label_mass.mean(dtype=np.float64)),
        "greedy_share": float(scores.greedy.mean()),
        "temperature": temperature,
    }
    return Validation(figures, Conformal.calibrate(calibrated, rows.gold))


def best_entry(history: Sequence[Entry]) -> Entry | None:
    """The entry of the best evaluation so far, if there was one after training began."""
    return next((entry for entry in reversed(history) if entry["best"]), None)


def is_better(entry: Entry, history: Sequence[Entry], select: Selection) -> bool:
    """Whether `entry` beats every one in `history`; of equal ones the earlier stays the best."""
    best = best_entry(history)
    if entry["step"] == 0 or best is None:
        return bool(entry["step"] > 0)
    if select == "last":
        return True
    if select == "loss":
        return bool(entry["loss"] < best["loss"])
    return bool(entry["macro_f1"] > best["macro_f1"])


def out_of_patience(history: Sequence[Entry], patience: int | None) -> bool:
    """Whether the last `patience` evaluations brought none that was better."""
    best = best_entry(history)
    if patience is None or best is None:
        return False
    return len(history) - 1 - history.index(best) >= patience

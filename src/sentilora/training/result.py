"""What a training run comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.training.history import History


@dataclass(frozen=True)
class FitResult:
    """How a run ended. The model holds the weights of `best_step`.

    history
        The evaluations, as `history` describes them; the first is the untuned model's.
    steps
        Steps done.
    seconds
        Time spent, evaluations and checkpoints included, over all processes of the run.
    stopped_early
        Whether patience ended the run before its last step.
    environment
        What it ran in.
    peak_memory
        Bytes, of the process that ended it; see `devices.peak_memory`.
    correction
        What the probabilities of the best weights are brought to mean what they say with.
    conformal
        The validation rows' scores by these probabilities; None without validation rows.
    """

    best_step: int
    steps: int
    history: History
    seconds: float
    stopped_early: bool
    environment: dict[str, Any]
    peak_memory: int | None
    correction: Correction
    conformal: Conformal | None

"""Training: the loop, its schedule, checkpoints, and going on after an interruption."""

from __future__ import annotations

from sentilora.training.checkpoint import FOLDER, Checkpoint, newest_valid
from sentilora.training.defaults import Chosen, choose_settings
from sentilora.training.interrupts import Interrupted
from sentilora.training.loop import fit
from sentilora.training.reporting import Plan, Reporter, Several, StepReport
from sentilora.training.result import FitResult
from sentilora.training.rows import Rows
from sentilora.training.settings import TrainSettings

__all__ = [
    "FOLDER",
    "Checkpoint",
    "Chosen",
    "FitResult",
    "Interrupted",
    "Plan",
    "Reporter",
    "Rows",
    "Several",
    "StepReport",
    "TrainSettings",
    "choose_settings",
    "fit",
    "newest_valid",
]

"""What happens at which step: the learning rate, and when to evaluate. Pure functions of the step.

Steps are counted from 1; step 0 is the state before training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sentilora.training.settings import TrainSettings


@dataclass(frozen=True)
class Schedule:
    """The steps of a run over `rows` training rows."""

    settings: TrainSettings
    rows: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch, the short one included."""
        return math.ceil(self.rows / self.settings.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.settings.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises."""
        return math.ceil(self.settings.warmup * self.steps)

    def learning_rate(self, step: int) -> float:
        """For `step` from 1 to `steps`: a linear rise to the full rate, then a linear fall.

        The full rate is that of the warm-up's last step, or of step 1 without a warm-up. The fall
        would reach 0 one step after the last, so that no step goes to waste.
        """
        full, top = self.settings.learning_rate, max(1, self.warmup_steps)
        if step <= top:
            return full * step / top
        return full * (self.steps + 1 - step) / (self.steps + 1 - top)

    def evaluates(self, step: int) -> bool:
        """Whether the model is evaluated after `step`: before training, as set, and at the end."""
        every = self.settings.eval_every or self.steps_per_epoch
        return step % every == 0 or step == self.steps

    def averages(self, step: int) -> bool:
        """Whether the weights after `step` are among those whose mean is kept."""
        return step > (1 - self.settings.average) * self.steps

    def position(self, step: int) -> tuple[int, int]:
        """Epoch and batch within it, both from 0, of `step` from 1 on."""
        return divmod(step - 1, self.steps_per_epoch)

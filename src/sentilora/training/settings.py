"""How a run is trained: every choice that its result depends on, validated once.

The settings are saved with the run, and a resumed run takes them from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sentilora.errors import UserError

Selection = Literal["loss", "macro_f1", "last"]
Objective = Literal["vocabulary", "labels"]
ClassWeight = Literal["balanced"]


@dataclass(frozen=True)
class TrainSettings:
    """The settings of one training run.

    Attributes
    ----------
    epochs
        Passes over the training rows.
    learning_rate
        At the end of the warm-up; it then falls linearly to 0.
    batch_size
        Rows per optimiser step.
    micro_batch
        The most rows of a forward and backward pass; by default the batch, cut where it has more
        tokens than suit the device. Gradients are accumulated, so without dropout it doesn't change
        the result but for rounding. Where memory runs out it is halved.
    micro_batch_tokens
        The most tokens of a forward and backward pass, padding counted and the instruction's aside
        where it is run once for all rows; None for as many as suit the device.
    gradient_checkpointing
        Keep only each block's input for the backward pass, which runs the blocks again (Chen et al.
        2016). Rows are then run whole, each with its own instruction.
    warmup
        Share of the steps in which the learning rate rises.
    lora_plus
        B's learning rate as a multiple of A's (LoRA+, Hayou et al. 2024); None trains both at the
        same.
    weight_decay, betas
        Of AdamW (Loshchilov and Hutter 2019).
    average
        Share of the steps, the last ones, of whose weights the mean is kept (Izmailov et al. 2018);
        with 0 it is the weights of the last step.
    clip
        The largest norm that all gradients may have together.
    seed
        Of the order of the rows and of dropout.
    eval_every
        Steps between evaluations on the validation rows; None evaluates after each epoch.
    select
        What makes an evaluation the best one: the least loss, the highest macro-F1, or being the
        last, which needs no validation rows.
    patience
        Stop after so many evaluations without a better one; None never stops early.
    objective
        Cross-entropy over the whole vocabulary (what generation needs), or over the labels alone.
    class_weight
        "balanced" gives every label the same part in the loss, however few its rows.

    Raises
    ------
    UserError
        Where a value is out of its range.
    """

    epochs: int = 2
    learning_rate: float = 1e-3
    batch_size: int = 32
    micro_batch: int | None = None
    micro_batch_tokens: int | None = None
    gradient_checkpointing: bool = False
    warmup: float = 0.06
    lora_plus: float | None = None
    weight_decay: float = 0.0
    average: float = 0.25
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    seed: int = 0
    eval_every: int | None = None
    select: Selection = "loss"
    patience: int | None = None
    objective: Objective = "vocabulary"
    class_weight: ClassWeight | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        optional = ("micro_batch", "micro_batch_tokens", "eval_every", "patience")
        for name in ("epochs", "batch_size", *optional):
            value = getattr(self, name)
            if not (name in optional and value is None):
                _check(name, value, _is_int(value) and value >= 1, "a whole number of 1 or more")
        seed_fits = _is_int(self.seed) and 0 <= self.seed < 2**64
        _check("seed", self.seed, seed_fits, "a whole number from 0 to 2^64 - 1")
        if self.lora_plus is not None:
            rates_fit = 0 < self.lora_plus < math.inf
            _check("lora_plus", self.lora_plus, rates_fit, "a number above 0")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            _check(name, value, 0 < value < math.inf, "a number above 0")
        decay_fits = 0 <= self.weight_decay < math.inf
        _check("weight_decay", self.weight_decay, decay_fits, "a number of 0 or more")
        for name in ("warmup", "average"):
            value = getattr(self, name)
            _check(name, value, 0 <= value < 1, "a share from 0 to below 1")
        betas_fit = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check("betas", self.betas, betas_fit, "two numbers from 0 to below 1")
        known = self.select in get_args(Selection)
        _check("select", self.select, known, "loss, macro_f1 or last")
        if self.select == "last" and self.patience is not None:
            raise UserError(
                "The training setting patience (--patience) waits for a better validation, and "
                "with select (--select) 'last' the last one always is. Leave one of them out."
            )
        known = self.objective in get_args(Objective)
        _check("objective", self.objective, known, "vocabulary or labels")
        known = self.class_weight in (None, *get_args(ClassWeight))
        _check("class_weight", self.class_weight, known, "balanced, or left out")

    @property
    def rows_at_once(self) -> int:
        """The most rows of a forward and backward pass."""
        return min(self.micro_batch or self.batch_size, self.batch_size)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return {**asdict(self), "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainSettings:
        """The inverse of `to_dict`."""
        return cls(**values)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(name: str, value: object, holds: bool, wanted: str) -> None:
    if not holds:
        shown = f"--{name.replace('_', '-')}"
        raise UserError(f"The training setting {name} ({shown}) is {value!r}; it must be {wanted}.")

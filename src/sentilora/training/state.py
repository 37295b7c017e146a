"""All that changes while a run goes on, and how it gets to the disk and back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sentilora.conformal import Conformal
from sentilora.training.checkpoint import Checkpoint
from sentilora.training.history import Entry, History, is_better
from sentilora.training.interrupts import without_interrupts
from sentilora.training.settings import TrainSettings


class TrainingState:
    """Weights, moments and counts after a completed step.

    It goes from one step to the next at once: Ctrl-C comes before or after, never in between.

    Attributes
    ----------
    step
        The last step that was completed; 0 before training.
    rows_done
        Rows trained on since the run's start.
    history
        The evaluations, as `history` describes them.
    best
        The weights at the best evaluation, on the CPU; empty until there is one.
    conformal
        The validation rows' scores at the best evaluation; None until there is one.
    sums, summed
        The sum of the weights after the steps that are averaged, and how many these are so far.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], settings: TrainSettings
    ) -> None:
        groups = _groups(parameters, settings)
        self.parameters = {name: p for named, _ in groups for name, p in named.items()}
        self.settings = settings
        self.optimizer = torch.optim.AdamW(
            [{"params": list(named.values()), **own} for named, own in groups],
            lr=settings.learning_rate,
            betas=settings.betas,
            fused=True,
        )
        self.step = 0
        self.rows_done = 0
        self.history: History = []
        self.best: dict[str, Tensor] = {}
        self.conformal: Conformal | None = None
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self._loss_sum, self._loss_rows = 0.0, 0  # since the last evaluation
        self._seconds_before, self._began = 0.0, time.monotonic()

    @property
    def evaluated(self) -> bool:
        """Whether the present step's weights were evaluated."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    @property
    def train_loss(self) -> float | None:
        """The mean loss of the rows trained on since the last evaluation."""
        return self._loss_sum / self._loss_rows if self._loss_rows else None

    @property
    def seconds(self) -> float:
        """Time spent on the run, over all its processes."""
        return self._seconds_before + time.monotonic() - self._began

    @property
    def checkpoint_bytes(self) -> int:
        """What a checkpoint holds: weights, the best ones, their sum, and AdamW's two moments."""
        return sum(5 * p.numel() * p.element_size() for p in self.parameters.values())

    def advance(self, learning_rate: float, loss: float, rows: int, *, averaged: bool) -> None:
        """Completes a step with the gradients that are there; `loss` is the mean of its rows.

        `averaged` tells whether its weights count for the mean.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["rates"]
        with without_interrupts():
            self.optimizer.step()
            self.step += 1
            self.rows_done += rows
            self._loss_sum += loss * rows
            self._loss_rows += rows
            if averaged:
                self._add_to_sums()

    def _add_to_sums(self) -> None:
        self.summed += 1
        for name, parameter in self.parameters.items():
            weight = parameter.detach()
            self.sums[name] = self.sums[name] + weight if name in self.sums else weight.clone()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model has the mean of the weights that were averaged so far, where any were."""
        if not self.summed:
            yield
            return
        kept = _copies(self.parameters)
        try:
            _copy_into(self.parameters, {n: total / self.summed for n, total in self.sums.items()})
            yield
        finally:
            with without_interrupts():
                _copy_into(self.parameters, kept)

    def record(self, entry: Entry, conformal: Conformal) -> Entry:
        """Adds an evaluation of the weights in the model; gives it with its `best`."""
        entry = {**entry, "best": is_better(entry, self.history, self.settings.select)}
        weights, scores = self.best, self.conformal
        if entry["best"]:
            weights, scores = _copies(self.parameters), conformal
        with without_interrupts():
            self.best, self.conformal = weights, scores
            self.history.append(entry)
            self._loss_sum, self._loss_rows = 0.0, 0
        return entry

    def use_best(self) -> None:
        """Puts the best weights into the model; where nothing was evaluated, those of the end."""
        if not self.best:
            with self.averaged():
                self.best = _copies(self.parameters)
        _copy_into(self.parameters, self.best)

    def to_dict(self) -> dict[str, Any]:
        """All but the tensors, as JSON has it."""
        return {
            "step": self.step,
            "rows_done": self.rows_done,
            "history": self.history,
            "loss_sum": self._loss_sum,
            "loss_rows": self._loss_rows,
            "seconds": self.seconds,
            "summed": self.summed,
            "conformal": self.conformal and self.conformal.to_dict(),
        }

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """A checkpoint's tensors, by file."""
        moments = {
            f"{kind}.{name}": value.cpu()
            for name, parameter in self.parameters.items()
            for kind, value in self.optimizer.state[parameter].items()
        }
        return {
            "weights": _copies(self.parameters),
            "moments": moments,
            "best": self.best,
            "sums": {name: total.cpu() for name, total in self.sums.items()},
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Becomes the state that was saved in `checkpoint`."""
        saved = checkpoint.state
        self.step, self.rows_done = saved["step"], saved["rows_done"]
        self.history = list(saved["history"])
        self._loss_sum, self._loss_rows = saved["loss_sum"], saved["loss_rows"]
        self._seconds_before = saved["seconds"]
        self.best = checkpoint.tensors("best")
        self.summed = saved["summed"]
        kept = saved.get("conformal")  # a run that an older sentilora began has none
        self.conformal = kept and Conformal.from_dict(kept)
        self.sums = {
            name: total.to(self.parameters[name].device)
            for name, total in checkpoint.tensors("sums").items()
        }
        _copy_into(self.parameters, checkpoint.tensors("weights"))
        moments: dict[str, dict[str, Tensor]] = {name: {} for name in self.parameters}
        for key, value in checkpoint.tensors("moments").items():
            kind, _, name = key.partition(".")
            moments[name][kind] = value
        self.optimizer.load_state_dict(
            {
                "param_groups": self.optimizer.state_dict()["param_groups"],
                "state": {i: held for i, held in enumerate(moments.values()) if held},
            }
        )


def _groups(
    parameters: Mapping[str, torch.nn.Parameter], settings: TrainSettings
) -> list[tuple[dict[str, torch.nn.Parameter], dict[str, float]]]:
    """Parameters with the same decay and as many times the learning rate, by name, and both."""
    ordered = sorted(parameters.items())
    matrices = {name: p for name, p in ordered if p.dim() > 1}
    apart = settings.lora_plus is not None
    up = {name: p for name, p in matrices.items() if apart and ".lora_B." in name}
    rest = {name: p for name, p in matrices.items() if name not in up}
    # DoRA's magnitudes aren't decayed: that would pull the base's own weights towards zero, the
    # key's rows of a fused projection too, which must stay as they are.
    vectors = {name: p for name, p in ordered if p.dim() <= 1}
    decay = settings.weight_decay
    groups = [
        (rest, {"weight_decay": decay, "rates": 1.0}),
        (up, {"weight_decay": decay, "rates": settings.lora_plus or 1.0}),
        (vectors, {"weight_decay": 0.0, "rates": 1.0}),
    ]
    return [(named, own) for named, own in groups if named]


def _copies(parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, Tensor]:
    return {
        name: parameter.detach().to("cpu", copy=True).contiguous()
        for name, parameter in parameters.items()
    }


def _copy_into(parameters: Mapping[str, torch.nn.Parameter], stored: Mapping[str, Tensor]) -> None:
    """Into the memory that the parameters have, so that its alignment stays as it was."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(stored[name])

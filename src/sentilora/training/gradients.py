"""The gradient of one step's batch, in as many parts as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sentilora.devices import release_memory, tokens_at_once
from sentilora.errors import UserError
from sentilora.training.objective import LossFunction
from sentilora.training.randomness import seed_dropout
from sentilora.training.rows import Rows


class Gradients:
    """Leaves a batch's gradient in the parameters.

    Parameters
    ----------
    loss, rows
        The loss of prompts, and the rows that batches are made of.
    parameters
        All that is trained.
    shared
        Tokens of the instruction, which is run once for all rows.
    seed
        What dropout draws depends on it, the step and the micro-batch's index alone.
    most
        The most rows of a forward and backward pass. It is halved where memory runs out.
    tokens
        The most tokens of one, the shared ones aside; None for as many as suit the device.
    """

    def __init__(
        self,
        loss: LossFunction,
        rows: Rows,
        parameters: Sequence[torch.nn.Parameter],
        *,
        shared: int,
        seed: int,
        most: int,
        tokens: int | None = None,
    ) -> None:
        self.loss, self.rows, self.parameters = loss, rows, parameters
        self.shared, self.seed, self.most = shared, seed, most
        self.device = parameters[0].device
        self.tokens = tokens or tokens_at_once(self.device.type)

    def accumulate(self, batch: Sequence[int], step: int, halved: Callable[[int], None]) -> float:
        """The mean loss of the rows in `batch`, whose gradient the parameters then hold.

        `halved` is told the rows at once for which memory didn't suffice.

        Raises UserError where it doesn't suffice for a single row.
        """
        while (loss := self._attempt(batch, step)) is None:
            before = self._at_once(batch)
            self.most = (before + 1) // 2
            release_memory(self.device)
            halved(before)
        return loss

    def _attempt(self, batch: Sequence[int], step: int) -> float | None:
        """The loss; None where memory didn't suffice: what the pass held is free only then."""
        at_once = self._at_once(batch)
        try:
            return self._sum_of_parts(batch, step, at_once)
        except torch.OutOfMemoryError:
            if at_once == 1:
                raise UserError(
                    f"At step {step} memory doesn't suffice for one row. Lower --max-length, or "
                    "choose a smaller base."
                ) from None
            return None

    def _sum_of_parts(self, batch: Sequence[int], step: int, at_once: int) -> float:
        """A part adds the sum over its rows, divided by the number of rows of the *whole* batch,
        so that parts of unequal size weigh by their rows."""
        for parameter in self.parameters:
            parameter.grad = None
        losses = []
        for index, start in enumerate(range(0, len(batch), at_once)):
            prompts, gold = self.rows.pick(batch[start : start + at_once])
            seed_dropout(self.seed, step, index)
            part = self.loss(prompts, gold).sum() / len(batch)
            part.backward()
            losses.append(part.detach())
        return float(torch.stack(losses).sum())

    def _at_once(self, batch: Sequence[int]) -> int:
        lengths = [max(1, self.rows.lengths[row] - self.shared) for row in batch]
        return rows_at_once(lengths, self.most, self.tokens)


def rows_at_once(lengths: Sequence[int], most: int, tokens: int) -> int:
    """How many rows of a batch are run at once: up to `most`, and up to so many tokens, padding
    counted, but for a single row that has more.

    `lengths` [n] are the rows' own tokens. A batch is divided evenly, so no part is left over that
    is too small to be fast.
    """
    fitting = max(1, tokens // max(lengths))
    parts = -(-len(lengths) // fitting)
    return min(most, -(-len(lengths) // parts))

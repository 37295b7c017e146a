"""The gradient of one step's batch, in as many parts as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sentilora.encoding import EncodedPrompt
from sentilora.training.randomness import seed_dropout
from sentilora.training.rows import Rows

# Tokens of a forward and backward pass, the instruction's aside: enough for matrix products to be
# at their fastest, so that what a pass keeps for its backward grows neither with the batch nor with
# the texts' length.
TOKENS_AT_ONCE = {"cpu": 1024}
TOKENS_AT_ONCE_ELSEWHERE = 4096

LossFunction = Callable[[Sequence[EncodedPrompt], Sequence[int]], Tensor]


def rows_at_once(lengths: Sequence[int], most: int, device: torch.device) -> int:
    """How many rows of a batch are run at once: up to `most`, and so many tokens as suit a device.

    `lengths` [n] are the rows' own tokens. A batch is divided evenly, so no part is left over that
    is too small to be fast.
    """
    budget = TOKENS_AT_ONCE.get(device.type, TOKENS_AT_ONCE_ELSEWHERE)
    parts = -(-len(lengths) * max(lengths) // budget)
    return min(most, -(-len(lengths) // parts))


def accumulate_gradients(
    loss: LossFunction, rows: Rows, batch: Sequence[int], at_once: int, seed: int, step: int
) -> float:
    """Adds the gradient of the batch's mean loss to the parameters', and gives that loss.

    A micro-batch adds the sum over its rows, divided by the number of rows of the *whole* batch,
    so that micro-batches of unequal size weigh by their rows.

    Parameters
    ----------
    loss
        From n prompts and label indices to their [n] losses.
    rows, batch
        The training rows, and the indices of this step's.
    at_once
        Rows per forward and backward pass.
    seed, step
        What dropout draws depends on these and the micro-batch's index alone.
    """
    losses = []
    for index, start in enumerate(range(0, len(batch), at_once)):
        prompts, gold = rows.pick(batch[start : start + at_once])
        seed_dropout(seed, step, index)
        part = loss(prompts, gold).sum() / len(batch)
        part.backward()
        losses.append(part.detach())
    return float(torch.stack(losses).sum())

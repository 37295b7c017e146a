"""The gradient of one step's batch, in as many parts as memory asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sentilora.encoding import EncodedPrompt
from sentilora.training.randomness import seed_dropout
from sentilora.training.rows import Rows

LossFunction = Callable[[Sequence[EncodedPrompt], Sequence[int]], Tensor]


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

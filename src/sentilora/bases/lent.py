"""Weights that are held in 4 or 8 bits, made whole for one product at a time.

On a CPU always in the same memory: a matrix of megabytes that is made and let go of for every
product fragments the C library's heap, which grew by hundreds of MB within ten steps.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Packed(Protocol):
    """A layer whose weight [out, in] is held in few bits."""

    out_features: int
    in_features: int
    weight: Tensor

    def whole(self) -> Tensor:
        """The weight, in the base's dtype."""

    def fill(self, whole: Tensor) -> None:
        """Write the weight into `whole`, which is of its shape and lies in one piece."""

    @property
    def whole_dtype(self) -> torch.dtype:
        """The base's dtype."""


class _Memory(threading.local):
    """A thread's own, for each dtype as large as it was needed so far."""

    def __init__(self) -> None:
        self.held: dict[torch.dtype, Tensor] = {}

    def give(self, size: int, dtype: torch.dtype) -> Tensor:
        held = self.held.get(dtype)
        if held is None or len(held) < size:
            self.held.pop(dtype, None)  # let go of before more is taken
            with torch.inference_mode(False):  # else it could only be written to in that mode
                held = self.held[dtype] = torch.empty(size, dtype=dtype)
        return held[:size]


_memory = _Memory()


def lent_whole(layers: Sequence[Packed]) -> Tensor:
    """[sum of out, in] the weights of layers with one input, one below the other.

    On a CPU it holds until the thread's next call.
    """
    first = layers[0]
    if first.weight.device.type != "cpu":  # torch's allocator keeps what is let go of
        return first.whole() if len(layers) == 1 else torch.cat([each.whole() for each in layers])
    rows = [layer.out_features for layer in layers]
    lent = _memory.give(sum(rows) * first.in_features, first.whole_dtype)
    found = lent.view(sum(rows), first.in_features)
    for layer, part in zip(layers, found.split(rows), strict=True):
        layer.fill(part)
    return found

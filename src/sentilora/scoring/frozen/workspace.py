"""Memory for what a step keeps for its backward, used again by the next step.

Hundreds of tensors of changing sizes, made and freed every step, fragment the C library's heap: it
grew to three times what a step needs. Here they are laid one after the other into a few large slabs
that stay; a step that needs more adds a slab.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Makes an uninitialised tensor of a shape and dtype.
Make = Callable[[tuple[int, ...], torch.dtype], Tensor]

# Of a CPU's slab only what is written to is taken from the machine; elsewhere all of it is.
_SLAB_BYTES = {"cpu": 2**29}
_SLAB_BYTES_ELSEWHERE = 2**25
_ALIGNMENT = 64


class Workspace:
    """Gives out tensors until it is `reset`, when all of them are up for use again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._slabs: list[Tensor] = []
        self.reset()

    def reset(self) -> None:
        """Take everything back."""
        self._slab, self._used = 0, 0

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor of this shape."""
        size = math.prod(shape) * dtype.itemsize
        while self._slab < len(self._slabs) and self._used + size > len(self._slabs[self._slab]):
            self._slab, self._used = self._slab + 1, 0
        if self._slab == len(self._slabs):
            most = max(size, _SLAB_BYTES.get(self._device.type, _SLAB_BYTES_ELSEWHERE))
            self._slabs.append(torch.empty(most, dtype=torch.uint8, device=self._device))
        start = self._used
        self._used += -(-size // _ALIGNMENT) * _ALIGNMENT
        return self._slabs[self._slab][start : start + size].view(dtype).view(shape)


def make_fresh(device: torch.device) -> Make:
    """Memory of its own for each tensor, for what nobody keeps."""
    return lambda shape, dtype: torch.empty(shape, dtype=dtype, device=device)

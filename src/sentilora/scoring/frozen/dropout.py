"""The adapters' dropout, drawn cheaply: drawing random numbers is what dropout costs on a CPU.

Sixteen random bits decide on an element, four elements a draw. The mask is applied to the bits of
the numbers; that the kept ones are scaled up by 1 / keep is left to the matrix behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sentilora.scoring.frozen.workspace import Make

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Dropout:
    """Which share of the elements is kept, and the generator that decides on each.

    `keep` is meant to 16 bits: 0.9 is 0.90000 to five digits.
    """

    keep: float
    generator: torch.Generator

    def draw(self, like: Tensor, make: Make) -> Tensor:
        """A mask for elements as `like` has them, one byte each."""
        count = like.numel()
        bits = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device)
        bits.random_(-(2**63), 2**63 - 1, generator=self.generator)
        threshold = round((1 - self.keep) * 2**16) - 2**15
        halves = bits.view(torch.int16)[:count].view_as(like)
        kept = torch.ge(halves, threshold, out=torch.empty_like(halves))
        return make(tuple(like.shape), torch.int8).copy_(kept)


def masked(x: Tensor, mask: Tensor) -> Tensor:
    """`x` with zeros where the mask has them."""
    integer = _INTEGERS[x.element_size()]
    return x.view(integer).bitwise_and(mask.to(integer).neg_()).view(x.dtype)

"""Linear layers whose weights bitsandbytes holds in 4 or 8 bits.

A product makes the weight whole in the base's dtype and lets go of it again, in the backward pass
too. bitsandbytes' own products would be further approximations: its 8-bit one rounds activations,
by what else is in their batch; its 4-bit one repacks the weights on some CPUs when a model is first
evaluated, with coarser scales, and gives no gradients from then on.
"""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor
from torch.nn import functional as F

from sentilora.bases.lent import lent_whole

VERSION = version("bitsandbytes")
_AT_ONCE = 2**18  # numbers that bitsandbytes makes whole at once, where it is to fill given memory


class _Product(torch.autograd.Function):
    """`x @ weight.T + bias`, both frozen, without keeping the weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Any) -> Tensor:
        ctx.layer = layer
        return F.linear(x, lent_whole([layer]), layer.bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ lent_whole([ctx.layer]), None


class Packed4bit(bnb.nn.Linear4bit):
    """A weight in nf4 (or in fp4, where a base is stored so)."""

    weight: Any  # bitsandbytes' parameter, with its scales

    @property
    def kind(self) -> str:
        """What its four bits mean."""
        return str(self.weight.quant_state.quant_type)

    def whole(self) -> Tensor:
        """[out, in] the weight in the base's dtype."""
        state = copy.copy(self.weight.quant_state)
        state.shape = _in_blocks(state.shape.numel(), state.blocksize)
        unpacked = bnb.functional.dequantize_4bit(self.weight.data, state)
        return unpacked.view(self.out_features, self.in_features)

    def fill(self, whole: Tensor) -> None:
        """Write `whole()` into memory of its shape and dtype, some of its blocks at a time."""
        state, packed, flat = self.weight.quant_state, self.weight.data.view(-1), whole.view(-1)
        absmax = state.absmax
        if state.nested:
            absmax = bnb.functional.dequantize_blockwise(absmax, state.state2) + state.offset
        size, block = len(flat), state.blocksize
        for start in range(0, size, _AT_ONCE):
            stop = min(start + _AT_ONCE, size)
            part = bnb.functional.QuantState(
                absmax=absmax[start // block : -(-stop // block)],
                shape=_in_blocks(stop - start, block),
                blocksize=block,
                quant_type=state.quant_type,
                dtype=state.dtype,
            )
            made = bnb.functional.dequantize_4bit(packed[start // 2 : -(-stop // 2)], part)
            flat[start:stop] = made.reshape(-1)

    @property
    def whole_dtype(self) -> torch.dtype:
        return self.weight.quant_state.dtype

    def stored_bytes(self) -> int:
        """Bytes of the weight and its scales; what all weights share isn't counted."""
        state = self.weight.quant_state
        held = [self.weight.data, state.absmax, *([state.state2.absmax] if state.nested else [])]
        return sum(each.nbytes for each in held)

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(x, self)


class Packed8bit(bnb.nn.Linear8bitLt):
    """A weight in int8, with a scale for each of its rows."""

    kind = "int8"
    weight: Any
    dtype: Any  # the base's

    def whole(self) -> Tensor:
        """[out, in] the weight in the base's dtype."""
        found = bnb.functional.int8_vectorwise_dequant(self.weight.data, self.weight.SCB)
        return found.to(self.dtype)

    def fill(self, whole: Tensor) -> None:
        """Write `whole()` into memory of its shape and dtype, some of its rows at a time."""
        rows = max(1, _AT_ONCE // self.in_features)
        together = (whole, self.weight.data, self.weight.SCB)
        for part, weight, scales in zip(*(each.split(rows) for each in together), strict=True):
            part.copy_(bnb.functional.int8_vectorwise_dequant(weight, scales))

    @property
    def whole_dtype(self) -> torch.dtype:
        return self.dtype

    def stored_bytes(self) -> int:
        """Bytes of the weight and its scales."""
        return int(self.weight.data.nbytes + self.weight.SCB.nbytes)

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(x, self)


def _in_blocks(size: int, block: int) -> torch.Size:
    """The shape in which numbers are unpacked: rows of whole blocks.

    bitsandbytes' kernel for CPUs gives other numbers where a row of the weight ends within a block
    (seen in 0.50 at widths of 32 and 96).
    """
    return torch.Size([size] if size % block else [size // block, block])


def adopt(model: Any, dtype: torch.dtype) -> dict[str, Packed4bit | Packed8bit]:
    """Make the layers of a model that hold quantised weights these, in place; by their paths."""
    found: dict[str, Packed4bit | Packed8bit] = {}
    for path, module in model.named_modules():
        if type(module) is bnb.nn.Linear4bit:
            module.__class__ = Packed4bit
            weight: Any = module.weight
            weight.quant_state.dtype = dtype  # else what was stored keeps the dtype of then
        elif type(module) is bnb.nn.Linear8bitLt:
            module.__class__ = Packed8bit
            module.dtype = dtype  # type: ignore[assignment]
        else:
            continue
        found[path] = module
    return found


def quantise_and_back(kind: str, weight: Tensor) -> Tensor:
    """What of a weight survives; whatever bitsandbytes raises where it doesn't run."""
    if kind != "int8":
        packed, state = bnb.functional.quantize_4bit(weight, quant_type=kind)
        return bnb.functional.dequantize_4bit(packed, state)
    rows, scales, _ = bnb.functional.int8_vectorwise_quant(weight.half())
    return bnb.functional.int8_vectorwise_dequant(rows, scales)

"""The pieces of a frozen block, each with its forward and the gradient of its input.

Weights need no gradients, so each backward is a few operations on what the forward kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sentilora.scoring.frozen.workspace import Make

aten = torch.ops.aten


class Norm(Protocol):
    """A normalisation of each row of [N, D]."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The normalised rows, and what the backward needs besides `x`."""

    def apply(self, x: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        """The normalised rows again, from what the forward kept."""

    def backward(self, grad: Tensor, x: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        """The gradient of `x`."""


@dataclass(frozen=True)
class RMSNorm:
    """`x / rms(x) * weight`, statistics in fp32 (Zhang and Sennrich 2019)."""

    weight: Tensor
    eps: float

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        wide = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        scale = torch.rsqrt(norm.square_().div_(x.shape[-1]).add_(self.eps))  # [N, 1]
        return self.apply(x, (scale,)), (scale,)

    def apply(self, x: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        return (x * kept[0]).to(x.dtype).mul_(self.weight)

    def backward(self, grad: Tensor, x: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        scale = kept[0]
        grad = grad * self.weight
        dot = (grad * x).sum(dim=-1, keepdim=True, dtype=scale.dtype)  # [N, 1]
        # d/dx of x * scale(x): the part along x is taken out
        along = dot * scale.pow(3) / -x.shape[-1]
        return torch.addcmul(x * along, grad, scale).to(x.dtype)


@dataclass(frozen=True)
class LayerNorm:
    """Mean and variance normalisation with weight and bias."""

    weight: Tensor
    bias: Tensor
    eps: float

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        y, mean, scale = aten.native_layer_norm(x, [x.shape[-1]], self.weight, self.bias, self.eps)
        return y, (mean, scale)

    def apply(self, x: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        return F.layer_norm(x, [x.shape[-1]], self.weight, self.bias, self.eps)

    def backward(self, grad: Tensor, x: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        mean, scale = kept
        return aten.native_layer_norm_backward(
            grad, x, [x.shape[-1]], mean, scale, self.weight, self.bias, [True, False, False]
        )[0]


@dataclass(frozen=True)
class Linear:
    """`x @ weight.T + bias`.

    held
        The weight, [out, in], in whichever memory order; or what makes it for each product, where
        it is stored in fewer bits, in memory that may be lent until the next is made.
    """

    held: Tensor | Callable[[], Tensor]
    bias: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        return self.held if isinstance(self.held, Tensor) else self.held()

    def forward(self, x: Tensor, make: Make | None = None) -> Tensor:
        """[N, out], in memory from `make` if that is given."""
        weight = self.weight
        if make is None:
            return F.linear(x, weight, self.bias)
        out = make((len(x), len(weight)), x.dtype)
        if self.bias is None:
            return torch.mm(x, weight.T, out=out)
        return torch.addmm(self.bias, x, weight.T, out=out)

    def backward(self, grad: Tensor) -> Tensor:
        """The gradient of `x`."""
        return grad @ self.weight


class MLP(Protocol):
    """The second half of a block, row by row."""

    def forward(self, x: Tensor, make: Make) -> tuple[Tensor, tuple[Tensor, ...]]:
        """[N, D] from [N, D], and what the backward needs, all in memory from `make`."""

    def backward(self, grad: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        """The gradient of `x`."""


@dataclass(frozen=True)
class SwiGLU:
    """`down(silu(gate(x)) * value(x))` (Shazeer 2020).

    Gate and value are two products: one of both halves is no faster, and its halves don't lie
    together, which the elementwise part pays for.
    """

    gate: Linear
    value: Linear
    down: Linear

    def forward(self, x: Tensor, make: Make) -> tuple[Tensor, tuple[Tensor, ...]]:
        gate, value = self.gate.forward(x, make), self.value.forward(x, make)
        return self.down.forward(F.silu(gate).mul_(value), make), (gate, value)

    def backward(self, grad: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        gate, value = kept
        grad = self.down.backward(grad)
        by_value = F.silu(gate).mul_(grad)
        by_gate = aten.silu_backward(grad.mul_(value), gate)
        return self.gate.backward(by_gate).addmm_(by_value, self.value.weight)


@dataclass(frozen=True)
class GELU:
    """`down(gelu(up(x)))`, by its tanh approximation (Hendrycks and Gimpel 2016)."""

    up: Linear
    down: Linear

    def forward(self, x: Tensor, make: Make) -> tuple[Tensor, tuple[Tensor, ...]]:
        up = self.up.forward(x, make)
        return self.down.forward(F.gelu(up, approximate="tanh"), make), (up,)

    def backward(self, grad: Tensor, kept: tuple[Tensor, ...]) -> Tensor:
        (up,) = kept
        grad = self.down.backward(grad)
        return self.up.backward(aten.gelu_backward(grad, up, approximate="tanh"))


@dataclass(frozen=True)
class Rotary:
    """Rotary position embedding (Su et al. 2021), as tables for positions or tokens.

    cos, sin
        [S, d], or [N, 1, d] for the N tokens of a batch; the first half of `sin` negated, so that
        rotating is `x cos + roll(x) sin`.
    """

    cos: Tensor
    sin: Tensor

    def at(self, positions: Tensor) -> Rotary:
        """The tables for tokens at `positions` [N]."""
        return Rotary(self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, heads, d] rotated."""
        return torch.addcmul(x * self.cos, x.roll(x.shape[-1] // 2, dims=-1), self.sin)

    def backward(self, grad: Tensor) -> Tensor:
        return (grad * self.cos).add_((grad * self.sin).roll(grad.shape[-1] // 2, dims=-1))


@dataclass(frozen=True)
class Block:
    """One frozen transformer block: attention, then MLP, each normalised before."""

    norm_attention: Norm
    qkv: Linear  # queries, then keys, then values
    out: Linear
    norm_mlp: Norm
    mlp: MLP


@dataclass(frozen=True)
class Shape:
    """Heads of a model: `heads` queries on `groups` keys and values of `size` each."""

    heads: int
    groups: int
    size: int
    scale: float  # of the attention logits

    @property
    def widths(self) -> tuple[int, int, int]:
        """Columns of queries, keys and values."""
        return self.heads * self.size, self.groups * self.size, self.groups * self.size

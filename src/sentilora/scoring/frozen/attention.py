"""Attention of many short rows behind one shared instruction, by plain matrix products.

Tokens come as [N, ...], N = P + B * T: the instruction's P first, then B rows of T, padded on the
right, where causality hides the padding. Rows attend to the instruction's keys and values, which
are computed once; their gradients are summed over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How the N tokens of a batch are divided, and which keys each query sees.

    prefix, rows, width
        P, B and T.
    queries
        [B, Q] columns of the rows whose queries are asked for, or None for all T.
    """

    prefix: int
    rows: int
    width: int
    queries: Tensor | None = None

    @property
    def tokens(self) -> int:
        """N."""
        return self.prefix + self.rows * self.width

    def pick(self, x: Tensor) -> Tensor:
        """Of [N, ...] the asked-for positions, [B * Q, ...]."""
        return x[self._places()]

    def put_back(self, grad: Tensor) -> Tensor:
        """The gradient of `pick`'s argument: [N, ...], zero where nothing was asked for."""
        result = grad.new_zeros(self.tokens, *grad.shape[1:])
        return result.index_add_(0, self._places(), grad)

    def _places(self) -> Tensor:
        assert self.queries is not None
        starts = torch.arange(self.rows, device=self.queries.device) * self.width
        return (self.prefix + starts.unsqueeze(1) + self.queries).flatten()

    def row_mask(self, like: Tensor, heads: int) -> Tensor:
        """Additive [1 or B, 1, heads * Q, P + T]: queries see the instruction and what is not
        behind them."""
        columns = torch.arange(self.width, device=like.device)
        asked = columns.expand(1, -1) if self.queries is None else self.queries
        hidden = columns > asked.unsqueeze(-1)  # [1 or B, Q, T]
        mask = like.new_zeros(*hidden.shape[:2], self.prefix + self.width)
        mask[:, :, self.prefix :].masked_fill_(hidden, float("-inf"))
        return mask.repeat(1, heads, 1).unsqueeze(1)

    def prefix_mask(self, like: Tensor, heads: int) -> Tensor:
        """Additive [1, 1, heads * P, P], causal."""
        causal = like.new_full((self.prefix, self.prefix), float("-inf")).triu_(1)
        return causal.repeat(heads, 1).view(1, 1, -1, self.prefix)


class Attended(NamedTuple):
    """What an attention leaves for its backward: [B, G, M, d], 2 x [B, G, S, d], [B, G, M, S]."""

    q: Tensor
    k: Tensor
    v: Tensor
    probabilities: Tensor


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float) -> tuple[Tensor, Attended]:
    """[B, G, M, d] from queries [B, G, M, d], keys and values [B, G, S, d].

    `mask` is added to the logits, which are made fp32 for the softmax.
    """
    logits = torch.matmul(q, k.transpose(-1, -2)).to(mask.dtype)
    probabilities = torch.softmax(logits.mul_(scale).add_(mask), dim=-1).to(q.dtype)
    return torch.matmul(probabilities, v), Attended(q, k, v, probabilities)


def attend_backward(grad: Tensor, kept: Attended, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries, keys and values."""
    q, k, v, probabilities = kept
    wide = torch.promote_types(q.dtype, torch.float32)
    grad_v = torch.matmul(probabilities.transpose(-1, -2), grad)
    grad_p = torch.matmul(grad, v.transpose(-1, -2)).to(wide)
    grad_logits = torch.ops.aten._softmax_backward_data(grad_p, probabilities.to(wide), -1, wide)
    grad_logits = grad_logits.mul_(scale).to(q.dtype)
    return (
        torch.matmul(grad_logits, k),
        torch.matmul(grad_logits.transpose(-1, -2), q),
        grad_v,
    )


def group(x: Tensor, rows: int, groups: int) -> Tensor:
    """[rows * M, heads, d] to [rows, groups, heads / groups * M, d], contiguous."""
    size = x.shape[-1]
    grouped = x.reshape(rows, -1, groups, x.shape[1] // groups, size)
    return grouped.permute(0, 2, 3, 1, 4).reshape(rows, groups, -1, size)


def ungroup(x: Tensor, heads: int) -> Tensor:
    """The inverse of `group`, as [rows * M, heads * d]."""
    rows, groups, _, size = x.shape
    spread = x.view(rows, groups, heads // groups, -1, size).permute(0, 3, 1, 2, 4)
    return spread.reshape(-1, heads * size)

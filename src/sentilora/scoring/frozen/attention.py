"""Attention of many short rows behind one shared instruction, by plain matrix products.

Tokens come as [N, ...], N = F + B * T: in front the instruction's F = P (or none, where its keys
and values are known already), then B rows of T, padded on the right, where nobody looks. Rows
attend to the instruction's keys and values, which are computed once; their gradients are summed
over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from sentilora.scoring.frozen.workspace import Make

# Queries at a time in rows that are longer than twice as many.
BLOCK = 64


@dataclass(frozen=True)
class Layout:
    """How the N tokens of a batch are divided, and which keys each query sees.

    prefix, rows, width
        P, B and T.
    queries
        [B, Q] columns of the rows that are asked for: all that the last block computes queries of.
    front
        F: P, or 0 where the instruction's keys and values are given.
    visible
        [B, T, T] bool, the columns that each sees; None where each sees itself and those before.
    """

    prefix: int
    rows: int
    width: int
    queries: Tensor
    front: int
    visible: Tensor | None = None

    @cached_property
    def places(self) -> Tensor:
        """[B * Q] where the asked-for tokens stand among the N."""
        starts = torch.arange(self.rows, device=self.queries.device) * self.width
        return (self.front + starts.unsqueeze(1) + self.queries).flatten()

    def pick(self, x: Tensor) -> Tensor:
        """Of [N, ...] the asked-for tokens, [B * Q, ...]."""
        return x[self.places]

    def put_back(self, grad: Tensor) -> Tensor:
        """The gradient of `pick`'s argument: [N, ...], zero where nothing was asked for."""
        result = grad.new_zeros(self.front + self.rows * self.width, *grad.shape[1:])
        return result.index_add_(0, self.places, grad)


@dataclass(frozen=True)
class Masks:
    """Additive masks for all blocks, with the queries of a group of heads one after the other.

    prefix
        [1, 1, heads * P, P], or None without a front.
    rows, asked
        [1 or B, 1, heads * T, P + T], and for the asked-for columns alone [B, 1, heads * Q, P + T].
    """

    prefix: Tensor | None
    rows: Tensor
    asked: Tensor

    @classmethod
    def of(cls, layout: Layout, heads: int, like: Tensor) -> Masks:
        """For `heads` queries a key, in the dtype and on the device of `like`."""
        columns = torch.arange(layout.width, device=like.device)
        visible = layout.visible
        if visible is None:
            visible = (columns <= columns.unsqueeze(1)).unsqueeze(0)  # [1, T, T]
            asked = columns <= layout.queries.unsqueeze(-1)  # [B, Q, T]
        else:
            which = layout.queries.unsqueeze(-1).expand(-1, -1, layout.width)
            asked = visible.gather(1, which)
        causal = None
        if layout.front:
            causal = like.new_full((layout.prefix, layout.prefix), float("-inf")).triu_(1)
            causal = causal.repeat(heads, 1)[None, None]
        return cls(
            causal,
            _behind_prefix(visible, layout.prefix, heads, like),
            _behind_prefix(asked, layout.prefix, heads, like),
        )


def _behind_prefix(visible: Tensor, prefix: int, heads: int, like: Tensor) -> Tensor:
    mask = like.new_zeros(*visible.shape[:2], prefix + visible.shape[2])
    mask[:, :, prefix:].masked_fill_(~visible, float("-inf"))
    return mask.repeat(1, heads, 1).unsqueeze(1)


class Attended(NamedTuple):
    """What an attention leaves for its backward: [B, G, M, d], 2 x [B, G, S, d], [B, G, M, S]."""

    q: Tensor
    k: Tensor
    v: Tensor
    probabilities: Tensor


def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, make: Make
) -> tuple[Tensor, Attended]:
    """[B, G, M, d] from queries [B, G, M, d], keys and values [B, G, S, d].

    `mask` is added to the logits, which are made fp32 for the softmax.
    """
    logits = torch.matmul(q, k.transpose(-1, -2)).to(mask.dtype)
    softened = torch.softmax(logits.mul_(scale).add_(mask), dim=-1)
    probabilities = make(tuple(softened.shape), q.dtype).copy_(softened)
    return torch.matmul(probabilities, v), Attended(q, k, v, probabilities)


def attend_in_blocks(
    q: Tensor, k: Tensor, v: Tensor, width: int, wide: torch.dtype, scale: float
) -> Tensor:
    """As `attend` for rows of `width` columns of which each sees those before, and no backward.

    Queries are taken `BLOCK` at a time, with the keys up to theirs: half of the products of a long
    row are never made, and what is made stays in the cache.
    """
    rows, groups, _, size = q.shape
    by_head = q.view(rows, groups, -1, width, size)
    result = torch.empty_like(q)
    into = result.view(by_head.shape)
    front = k.shape[2] - width
    later = torch.full((BLOCK, BLOCK), float("-inf"), dtype=wide, device=q.device).triu_(1)
    for start in range(0, width, BLOCK):
        end = min(start + BLOCK, width)
        block = by_head[:, :, :, start:end]
        keys, values = k[:, :, : front + end], v[:, :, : front + end]
        flat = block.reshape(rows, groups, -1, size)
        logits = torch.matmul(flat, keys.transpose(-1, -2)).to(wide).mul_(scale)
        own = logits.view(*block.shape[:-1], front + end)[..., front + start :]
        own.add_(later[: end - start, : end - start])
        probabilities = torch.softmax(logits, dim=-1).to(q.dtype)
        into[:, :, :, start:end] = torch.matmul(probabilities, values).view(block.shape)
    return result


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


def group(x: Tensor, rows: int, groups: int, make: Make) -> Tensor:
    """[rows * M, heads, d] to [rows, groups, heads / groups * M, d], contiguous."""
    grouped = x.reshape(rows, -1, groups, x.shape[1] // groups, x.shape[-1]).permute(0, 2, 3, 1, 4)
    result = make(tuple(grouped.shape), x.dtype).copy_(grouped)
    return result.view(rows, groups, -1, x.shape[-1])


def behind(prefix: Tensor, x: Tensor, rows: int, groups: int, make: Make) -> Tensor:
    """[rows, groups, P + M, d]: `prefix` [1, groups, P, d], then each row's of `x`."""
    length, size = prefix.shape[2], x.shape[-1]
    own = x.reshape(rows, -1, groups, size).transpose(1, 2)
    result = make((rows, groups, length + own.shape[2], size), x.dtype)
    result[:, :, :length] = prefix
    result[:, :, length:] = own
    return result


def ungroup(x: Tensor, heads: int) -> Tensor:
    """The inverse of `group`, as [rows * M, heads * d]."""
    rows, groups, _, size = x.shape
    spread = x.view(rows, groups, heads // groups, -1, size).permute(0, 3, 1, 2, 4)
    return spread.reshape(-1, heads * size)

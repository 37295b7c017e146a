"""Forward and backward through all blocks, as one autograd function.

Differentiable inputs are the adapters' matrices alone; the rest is frozen. Of the last block only
the label positions are computed beyond its keys and values, and of the first one's input no
gradient is made. A batch comes in parts, which are run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sentilora.scoring.frozen.attention import (
    BLOCK,
    Attended,
    Layout,
    Masks,
    attend,
    attend_backward,
    attend_in_blocks,
    behind,
    group,
    ungroup,
)
from sentilora.scoring.frozen.dropout import Dropout, masked
from sentilora.scoring.frozen.layers import Block, Rotary, Shape
from sentilora.scoring.frozen.parallel import side_by_side
from sentilora.scoring.frozen.workspace import Make, Workspace, make_fresh

Keys = tuple[Tensor, Tensor]  # keys and values, each [1, groups, P, d]


@dataclass(frozen=True)
class Adapter:
    """Low-rank update of a block's query, key and value: `x @ a.T @ b.T`.

    a, b
        [R, D] and [widths, R], in the base's dtype, with all scaling in them, dropout's too.
    """

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Part:
    """Rows that are run together.

    x
        [N, D] the embeddings.
    prefix
        The instruction's keys and values in each block, where it isn't among the N.
    """

    x: Tensor
    layout: Layout
    masks: Masks
    rotary: Rotary | None
    dropout: Dropout | None
    prefix: Sequence[Keys] | None


@dataclass(frozen=True)
class Body:
    """The blocks of a model and their adapters, if they have any.

    workspaces
        For what a step keeps: one a part is taken from here, and put back by the backward.
    """

    blocks: Sequence[Block]
    shape: Shape
    adapters: Sequence[Adapter | None]
    workspaces: list[Workspace]

    def run(self, parts: Sequence[Part]) -> Tensor:
        """[sum of B * Q, D] hidden states of the asked-for tokens after the last block.

        Gradients flow to the adapters' matrices.
        """
        flat = [m for adapter in self.adapters if adapter for m in (adapter.a, adapter.b)]
        if torch.is_grad_enabled() and any(matrix.requires_grad for matrix in flat):
            return _Through.apply(self, parts, *flat)
        tasks = [partial(self.forward, part, make_fresh(part.x.device)) for part in parts]
        return torch.cat(side_by_side(tasks))

    def keys(self, part: Part) -> list[Keys]:
        """The keys and values of the first row in each block; no gradients."""
        kept: list[_Kept] = []
        with torch.no_grad():
            self.forward(part, make_fresh(part.x.device), kept)
        return [(of_block.rows.k[:1], of_block.rows.v[:1]) for of_block in kept]

    def forward(self, part: Part, make: Make, kept: list[_Kept] | None = None) -> Tensor:
        """[B * Q, D] of one part; what the backward needs is made by `make` and put in `kept`."""
        x = part.x
        for index in range(len(self.blocks)):
            x = _forward(self, index, part, x, make, kept)
        return x

    def backward(self, part: Part, kept: list[_Kept], grad: Tensor) -> list[Tensor]:
        """The gradients of the adapters' matrices; empties `kept`."""
        grads: list[Tensor] = []
        for index in reversed(range(len(self.blocks))):
            grad, of_adapter = _backward(self, index, part, grad, kept.pop())
            grads = [*of_adapter, *grads]
        return grads

    def take_workspaces(self, count: int, device: torch.device) -> list[Workspace]:
        """As many as there are parts: those of steps before, or new ones."""
        while len(self.workspaces) < count:
            self.workspaces.append(Workspace(device))
        taken = self.workspaces[-count:]
        del self.workspaces[-count:]
        for workspace in taken:
            workspace.reset()
        return taken


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, body: Body, parts: Sequence[Part], *flat: Tensor) -> Tensor:
        workspaces = body.take_workspaces(len(parts), parts[0].x.device)
        kept: list[list[_Kept]] = [[] for _ in parts]
        every = zip(parts, workspaces, kept, strict=True)
        results = side_by_side([partial(body.forward, p, w.empty, k) for p, w, k in every])
        ctx.everything = body, parts, workspaces, kept, [len(result) for result in results]
        return torch.cat(results)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        body, parts, workspaces, kept, sizes = ctx.everything
        ctx.everything = None  # its workspaces are the next step's
        every = zip(parts, kept, grad.split(sizes), strict=True)
        of_parts = side_by_side([partial(body.backward, *each) for each in every])
        body.workspaces.extend(workspaces)
        # always in the same order, whichever part was ready first
        sums = (torch.stack(each).sum(dim=0) for each in zip(*of_parts, strict=True))
        return (None, None, *sums)


@dataclass
class _Kept:
    """What a block's forward leaves for its backward."""

    x: Tensor  # [N, D], the block's input
    norm: tuple[Tensor, ...]
    mask: Tensor | None  # [N, D], what dropout kept
    low: Tensor | None  # [N, R]
    prefix: Attended | None  # the instruction's
    rows: Attended
    attended: Tensor  # [M, D], the MLP's input before its norm
    norm_mlp: tuple[Tensor, ...]
    mlp: tuple[Tensor, ...]


def _forward(
    body: Body, index: int, part: Part, x: Tensor, make: Make, keep: list[_Kept] | None
) -> Tensor:
    block, adapter, last = body.blocks[index], body.adapters[index], index == len(body.blocks) - 1
    normed, norm = block.norm_attention.forward(x)
    qkv = block.qkv.forward(normed)
    mask = low = None
    if adapter is not None:
        if part.dropout is not None:
            mask = part.dropout.draw(normed, make)
            normed = masked(normed, mask)
        low = torch.mm(normed, adapter.a.T, out=make((len(x), len(adapter.a)), x.dtype))
        qkv.addmm_(low, adapter.b.T)
    q, k, v = _heads(qkv, body.shape, part.rotary)
    known = part.prefix[index] if part.prefix else None
    attention, prefix, rows = _attention(
        q, k, v, part, known, body.shape, last, make, keeps=keep is not None
    )
    attended = block.out.forward(attention, make).add_(part.layout.pick(x) if last else x)
    normed, norm_mlp = block.norm_mlp.forward(attended)
    result, mlp = block.mlp.forward(normed, make)
    if keep is not None:
        assert rows is not None
        keep.append(_Kept(x, norm, mask, low, prefix, rows, attended, norm_mlp, mlp))
    return result.add_(attended)


def _backward(
    body: Body, index: int, part: Part, grad: Tensor, kept: _Kept
) -> tuple[Tensor, list[Tensor]]:
    """The gradients of the block's input (nothing of use for the first) and of its adapter."""
    block, adapter, last = body.blocks[index], body.adapters[index], index == len(body.blocks) - 1
    by_mlp = block.mlp.backward(grad, kept.mlp)
    grad = grad + block.norm_mlp.backward(by_mlp, kept.attended, kept.norm_mlp)
    grad_qkv = _attention_backward(block.out.backward(grad), kept, part, body.shape, last)
    grads: list[Tensor] = []
    grad_low = None
    if adapter is not None and kept.low is not None:
        grad_low = grad_qkv @ adapter.b
        normed = block.norm_attention.apply(kept.x, kept.norm)
        if kept.mask is not None:
            normed = masked(normed, kept.mask)
        grads = [grad_low.T @ normed, grad_qkv.T @ kept.low]
    if index == 0:
        return grad, grads
    grad_normed = block.qkv.backward(grad_qkv)
    if adapter is not None and grad_low is not None:
        through = grad_low @ adapter.a
        grad_normed.add_(through if kept.mask is None else masked(through, kept.mask))
    grad_x = block.norm_attention.backward(grad_normed, kept.x, kept.norm)
    return grad_x.add_(part.layout.put_back(grad) if last else grad), grads


def _heads(qkv: Tensor, shape: Shape, rotary: Rotary | None) -> tuple[Tensor, Tensor, Tensor]:
    """[N, heads or groups, d] queries, keys and values, rotated."""
    heads = qkv.view(len(qkv), -1, shape.size)
    turned = heads[:, : shape.heads + shape.groups]
    if rotary is not None:
        turned = rotary.forward(turned)
    return turned[:, : shape.heads], turned[:, shape.heads :], heads[:, -shape.groups :]


def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    part: Part,
    known: Keys | None,
    shape: Shape,
    last: bool,
    make: Make,
    *,
    keeps: bool,
) -> tuple[Tensor, Attended | None, Attended | None]:
    """[N, heads * d] (in the last block, the asked-for tokens' alone), and what a backward needs:
    of the instruction's own attention, and of the rows'."""
    layout, groups = part.layout, shape.groups
    front, rows = layout.front, layout.rows
    prefix = None
    results = []
    if front:
        known = group(k[:front], 1, groups, make), group(v[:front], 1, groups, make)
        if not last:
            prefix_q = group(q[:front], 1, groups, make)
            assert part.masks.prefix is not None
            output, prefix = attend(prefix_q, *known, part.masks.prefix, shape.scale, make)
            results.append(ungroup(output, shape.heads))
    if known is None:
        row_k, row_v = group(k, rows, groups, make), group(v, rows, groups, make)
    else:
        row_k = behind(known[0], k[front:], rows, groups, make)
        row_v = behind(known[1], v[front:], rows, groups, make)
    row_q = group(layout.pick(q) if last else q[front:], rows, groups, make)
    mask = part.masks.asked if last else part.masks.rows
    of_rows = None
    if keeps or last or layout.visible is not None or layout.width <= 2 * BLOCK:
        output, of_rows = attend(row_q, row_k, row_v, mask, shape.scale, make)
    else:
        output = attend_in_blocks(row_q, row_k, row_v, layout.width, mask.dtype, shape.scale)
    results.append(ungroup(output, shape.heads))
    return torch.cat(results) if len(results) > 1 else results[0], prefix, of_rows


def _attention_backward(grad: Tensor, kept: _Kept, part: Part, shape: Shape, last: bool) -> Tensor:
    """[N, widths] the gradient of queries, keys and values before their rotation."""
    layout, groups = part.layout, shape.groups
    front, rows = layout.front, layout.rows
    front_rows = 0 if last else front  # rows of `grad` that are the instruction's
    heads = grad.view(len(grad), shape.heads, shape.size)
    result = heads.new_zeros(len(kept.x), shape.heads + 2 * groups, shape.size)
    into_q, into_k, into_v = result.split([shape.heads, groups, groups], dim=1)
    make = make_fresh(grad.device)

    grad_q, grad_k, grad_v = attend_backward(
        group(heads[front_rows:], rows, groups, make), kept.rows, shape.scale
    )
    grad_q = ungroup(grad_q, shape.heads).view(-1, shape.heads, shape.size)
    if last:
        into_q.copy_(layout.put_back(grad_q))
    else:
        into_q[front:] = grad_q
    into_k[front:] = _rows_of(grad_k[:, :, front:], groups)
    into_v[front:] = _rows_of(grad_v[:, :, front:], groups)
    if front:
        into_k[:front] = _rows_of(grad_k[:, :, :front].sum(dim=0, keepdim=True), groups)
        into_v[:front] = _rows_of(grad_v[:, :, :front].sum(dim=0, keepdim=True), groups)
    if kept.prefix is not None:
        grad_q, grad_k, grad_v = attend_backward(
            group(heads[:front], 1, groups, make), kept.prefix, shape.scale
        )
        into_q[:front] = ungroup(grad_q, shape.heads).view(-1, shape.heads, shape.size)
        into_k[:front] += _rows_of(grad_k, groups)
        into_v[:front] += _rows_of(grad_v, groups)
    if part.rotary is not None:
        turned = result[:, : shape.heads + groups]
        turned.copy_(part.rotary.backward(turned))
    return result.view(len(result), -1)


def _rows_of(x: Tensor, groups: int) -> Tensor:
    """[rows, groups, M, d] to [rows * M, groups, d]."""
    return x.transpose(1, 2).reshape(-1, groups, x.shape[-1])

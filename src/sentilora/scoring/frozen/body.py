"""Forward and backward through all blocks, as one autograd function.

Differentiable inputs are the adapters' matrices alone; the rest is frozen. Of the last block only
the label positions are computed beyond its keys and values, and of the first one's input no
gradient is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sentilora.scoring.frozen.attention import (
    Attended,
    Layout,
    attend,
    attend_backward,
    group,
    ungroup,
)
from sentilora.scoring.frozen.layers import Block, Rotary, Shape


@dataclass(frozen=True)
class Adapter:
    """Low-rank update of a block's query, key and value: `dropout(x) @ a.T @ b.T`.

    a, b
        [R, D] and [widths, R], in the base's dtype, with the scaling in `b`.
    """

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Batch:
    """What the blocks are run on: the layout, rotary tables (None without), and dropout.

    keep
        The share of the adapters' inputs that dropout keeps; 1 without dropout.
    """

    layout: Layout
    rotary: Rotary | None
    keep: float


def run_body(
    blocks: Sequence[Block],
    shape: Shape,
    x: Tensor,
    batch: Batch,
    adapters: Sequence[Adapter | None],
) -> Tensor:
    """[B * Q, D] hidden states after the last block, from embeddings `x` [N, D].

    `batch.layout.queries` are the positions asked for. Gradients flow to the adapters' matrices.
    """
    flat = [m for adapter in adapters if adapter for m in (adapter.a, adapter.b)]
    if torch.is_grad_enabled() and any(matrix.requires_grad for matrix in flat):
        return _Body.apply(blocks, shape, x, batch, adapters, *flat)
    return _through(blocks, shape, x, batch, adapters, keep=None)


def _through(
    blocks: Sequence[Block],
    shape: Shape,
    x: Tensor,
    batch: Batch,
    adapters: Sequence[Adapter | None],
    keep: list[_Kept] | None,
) -> Tensor:
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        x = _forward(block, shape, x, batch, adapters[index], last, keep)
    return x


class _Body(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        blocks: Sequence[Block],
        shape: Shape,
        x: Tensor,
        batch: Batch,
        adapters: Sequence[Adapter | None],
        *flat: Tensor,
    ) -> Tensor:
        kept: list[_Kept] = []
        x = _through(blocks, shape, x, batch, adapters, kept)
        ctx.everything = (blocks, shape, batch, adapters, kept)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        blocks, shape, batch, adapters, kept = ctx.everything
        ctx.everything = None  # what was kept is freed block by block
        grads: list[Tensor] = []
        for index in reversed(range(len(blocks))):
            grad, of_adapter = _backward(
                blocks[index],
                shape,
                grad,
                batch,
                adapters[index],
                kept.pop(),
                last=index == len(blocks) - 1,
                first=index == 0,
            )
            grads = [*of_adapter, *grads]
        return (None, None, None, None, None, *grads)


@dataclass
class _Kept:
    """What a block's forward leaves for its backward."""

    x: Tensor  # [N, D], the block's input
    norm: tuple[Tensor, ...]
    dropped: Tensor | None  # [N, D], the adapter's input after dropout
    mask: Tensor | None  # [N, D], what dropout kept, scaled
    low: Tensor | None  # [N, R]
    prefix: Attended | None  # the instruction's
    rows: Attended
    attended: Tensor  # [M, D], the MLP's input before its norm
    norm_mlp: tuple[Tensor, ...]
    up: Tensor  # [M, 2F or F]


def _forward(
    block: Block,
    shape: Shape,
    x: Tensor,
    batch: Batch,
    adapter: Adapter | None,
    last: bool,
    keep: list[_Kept] | None,
) -> Tensor:
    layout = batch.layout
    normed, norm = block.norm_attention.forward(x)
    qkv = block.qkv.forward(normed)
    dropped = mask = low = None
    if adapter is not None:
        dropped, mask = _dropout(normed, batch.keep)
        low = dropped @ adapter.a.T
        qkv.addmm_(low, adapter.b.T)
    q, k, v = _heads(qkv, shape, batch.rotary)
    attention, prefix, rows = _attention(q, k, v, layout, shape, last)
    if last:
        x_in, x = x, layout.pick(x)
    else:
        x_in = x
    attended = block.out.forward(attention).add_(x)
    normed, norm_mlp = block.norm_mlp.forward(attended)
    up = block.up.forward(normed)
    result = block.down.forward(block.activation.forward(up)).add_(attended)
    if keep is not None:
        keep.append(_Kept(x_in, norm, dropped, mask, low, prefix, rows, attended, norm_mlp, up))
    return result


def _backward(
    block: Block,
    shape: Shape,
    grad: Tensor,
    batch: Batch,
    adapter: Adapter | None,
    kept: _Kept,
    *,
    last: bool,
    first: bool,
) -> tuple[Tensor, list[Tensor]]:
    """The gradients of the block's input (nothing of use for the first) and of its adapter."""
    grad_up = block.activation.backward(block.down.backward(grad), kept.up)
    grad = grad + block.norm_mlp.backward(block.up.backward(grad_up), kept.attended, kept.norm_mlp)
    grad_qkv = _attention_backward(block.out.backward(grad), kept, batch, shape, last)
    grads: list[Tensor] = []
    grad_low = None
    if adapter is not None and kept.low is not None and kept.dropped is not None:
        grad_low = grad_qkv @ adapter.b
        grads = [grad_low.T @ kept.dropped, grad_qkv.T @ kept.low]
    if first:
        return grad, grads
    grad_normed = block.qkv.backward(grad_qkv)
    if adapter is not None and grad_low is not None:
        through = grad_low @ adapter.a
        grad_normed.add_(through if kept.mask is None else through.mul_(kept.mask))
    grad_x = block.norm_attention.backward(grad_normed, kept.x, kept.norm)
    return grad_x.add_(batch.layout.put_back(grad) if last else grad), grads


def _dropout(x: Tensor, keep: float) -> tuple[Tensor, Tensor | None]:
    """`x` with a share zeroed and the rest scaled up, and the mask that did it.

    Random numbers are drawn four at a time, 16 bits each: drawing them is what dropout costs.
    """
    if keep == 1.0:
        return x, None
    quarter = (x.numel() + 3) // 4
    bits = torch.empty(quarter, dtype=torch.int64, device=x.device).random_(-(2**63), 2**63 - 1)
    threshold = round((1 - keep) * 2**16) - 2**15
    chosen = bits.view(torch.int16)[: x.numel()].view_as(x) >= threshold
    mask = chosen.to(x.dtype).mul_(1 / keep)
    return x * mask, mask


def _heads(qkv: Tensor, shape: Shape, rotary: Rotary | None) -> tuple[Tensor, Tensor, Tensor]:
    """[N, heads or groups, d] queries, keys and values, rotated."""
    heads = qkv.view(len(qkv), -1, shape.size)
    turned = heads[:, : shape.heads + shape.groups]
    if rotary is not None:
        turned = rotary.forward(turned)
    return turned[:, : shape.heads], turned[:, shape.heads :], heads[:, -shape.groups :]


def _attention(
    q: Tensor, k: Tensor, v: Tensor, layout: Layout, shape: Shape, last: bool
) -> tuple[Tensor, Attended | None, Attended]:
    """[N, heads * d] (in the last block, the asked-for positions' alone), and what was kept."""
    front, rows, groups = layout.prefix, layout.rows, shape.groups
    repeats = shape.heads // groups
    row_k, row_v = group(k[front:], rows, groups), group(v[front:], rows, groups)
    prefix = None
    results = []
    wide = torch.promote_types(q.dtype, torch.float32)
    like = torch.empty(0, dtype=wide, device=q.device)
    if front:
        prefix_k, prefix_v = group(k[:front], 1, groups), group(v[:front], 1, groups)
        if not last:
            prefix_q = group(q[:front], 1, groups)
            mask = layout.prefix_mask(like, repeats)
            output, prefix = attend(prefix_q, prefix_k, prefix_v, mask, shape.scale)
            results.append(ungroup(output, shape.heads))
        row_k = torch.cat([prefix_k.expand(rows, -1, -1, -1), row_k], dim=2)
        row_v = torch.cat([prefix_v.expand(rows, -1, -1, -1), row_v], dim=2)
    asked = layout.pick(q) if last else q[front:]
    row_q = group(asked, rows, groups)
    per_row = layout if last else Layout(front, rows, layout.width)
    mask = per_row.row_mask(like, repeats)
    output, of_rows = attend(row_q, row_k, row_v, mask, shape.scale)
    results.append(ungroup(output, shape.heads))
    return torch.cat(results) if len(results) > 1 else results[0], prefix, of_rows


def _attention_backward(
    grad: Tensor, kept: _Kept, batch: Batch, shape: Shape, last: bool
) -> Tensor:
    """[N, widths] the gradient of queries, keys and values before their rotation."""
    layout, groups = batch.layout, shape.groups
    front, rows = layout.prefix, layout.rows
    front_rows = 0 if last else front  # rows of `grad` that are the instruction's
    heads = grad.view(len(grad), shape.heads, shape.size)
    result = heads.new_zeros(layout.tokens, shape.heads + 2 * groups, shape.size)
    into_q, into_k, into_v = result.split([shape.heads, groups, groups], dim=1)

    grad_q, grad_k, grad_v = attend_backward(
        group(heads[front_rows:], rows, groups), kept.rows, shape.scale
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
            group(heads[:front], 1, groups), kept.prefix, shape.scale
        )
        into_q[:front] = ungroup(grad_q, shape.heads).view(-1, shape.heads, shape.size)
        into_k[:front] += _rows_of(grad_k, groups)
        into_v[:front] += _rows_of(grad_v, groups)
    if batch.rotary is not None:
        turned = result[:, : shape.heads + groups]
        turned.copy_(batch.rotary.backward(turned))
    return result.view(len(result), -1)


def _rows_of(x: Tensor, groups: int) -> Tensor:
    """[rows, groups, M, d] to [rows * M, groups, d]."""
    return x.transpose(1, 2).reshape(-1, groups, x.shape[-1])

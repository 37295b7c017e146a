"""The frozen body as an engine of the scorer: a batch of sequences in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sentilora.scoring.frozen.architectures import FrozenModel, frozen_model
from sentilora.scoring.frozen.attention import Layout
from sentilora.scoring.frozen.body import Adapter, Batch, run_body
from sentilora.scoring.frozen.layers import Rotary, Shape
from sentilora.scoring.head import Head
from sentilora.scoring.sequences import Batch as Sequences


class FrozenEngine:
    """Runs a model that `frozen_model` knows. `create` answers None for any other."""

    def __init__(self, causal_lm: Any, model: FrozenModel, prefix_ids: Sequence[int]) -> None:
        self.model = model
        self.head = Head(causal_lm)
        self.prefix_ids = torch.tensor(prefix_ids, device=self.head.weight.device)

    @classmethod
    def create(cls, causal_lm: Any, prefix_ids: Sequence[int]) -> FrozenEngine | None:
        """An engine, or None where the model, or an adapter on it, is of another kind."""
        model = frozen_model(causal_lm)
        if model is None or not _adapters_fit(causal_lm, model):
            return None
        return cls(causal_lm, model, prefix_ids)

    def prefix(self) -> None:
        """Nothing is run before the batches: the instruction goes along with each."""

    def logits(self, batch: Sequences, prefix: None = None) -> Tensor:
        """[P, V] logits at the batch's positions."""
        front = len(self.prefix_ids) if batch.shared else 0
        queries, chosen = _positions(batch)
        rows, width = batch.input_ids.shape
        layout = Layout(front, rows, width, queries)
        ids = batch.input_ids.flatten()
        if front:
            ids = torch.cat([self.prefix_ids, ids])
        span = torch.arange(front + layout.width, device=ids.device)
        positions = torch.cat([span[:front], span[front:].repeat(layout.rows)])
        adapters, keep = _adapters(self.model.qkv, self.model.shape, self.head.weight.dtype)
        hidden = run_body(
            self.model.blocks,
            self.model.shape,
            self.model.embed(ids, positions),
            Batch(layout, self._rotary(span, positions), keep),
            adapters,
        )
        return self.head.logits(self.model.norm(hidden[chosen]))

    def _rotary(self, span: Tensor, positions: Tensor) -> Rotary | None:
        if self.model.rotary is None:
            return None
        cos, sin = self.model.rotary(span)
        half = sin.shape[-1] // 2
        sin = torch.cat([-sin[:, :half], sin[:, half:]], dim=-1)
        return Rotary(cos[positions].unsqueeze(1), sin[positions].unsqueeze(1))


def _positions(batch: Sequences) -> tuple[Tensor, Tensor]:
    """The asked-for columns [B, Q] of each row, and which of the B * Q the batch's positions are.

    Rows that ask for fewer than Q repeat their last column, whose result nobody reads.
    """
    rows, columns = batch.position_rows, batch.position_columns
    count = torch.bincount(rows, minlength=len(batch.input_ids))
    most = int(count.max())
    order = torch.argsort(rows, stable=True)
    starts = count.cumsum(0) - count
    rank = torch.empty_like(rows)
    rank[order] = torch.arange(len(rows), device=rows.device) - starts[rows[order]]
    queries = torch.zeros(len(count), most, dtype=torch.int64, device=rows.device)
    queries[rows, rank] = columns
    return queries, rows * most + rank


def _adapters_fit(causal_lm: Any, model: FrozenModel) -> bool:
    """Whether all adapters are plain LoRA on query, key or value."""
    for path, module in causal_lm.named_modules():
        if hasattr(module, "lora_A") and module.lora_A:
            name = path.rpartition(".")[2]
            if name not in model.adaptable or getattr(module, "lora_magnitude_vector", None):
                return False
    return True


def _adapters(
    qkv: Sequence[tuple[Any, ...]], shape: Shape, dtype: torch.dtype
) -> tuple[list[Adapter | None], float]:
    """For each block its adapters as one pair of matrices, and the share that dropout keeps."""
    keep = 1.0
    adapters: list[Adapter | None] = []
    for modules in qkv:
        widths = shape.widths if len(modules) == 3 else (sum(shape.widths),)
        active = [
            module if getattr(module, "lora_A", None) and not module.disable_adapters else None
            for module in modules
        ]
        adapters.append(_adapter(active, widths, dtype))
        for module in active:
            if module is not None and module.lora_dropout["default"].training:
                keep = 1 - getattr(module.lora_dropout["default"], "p", 0.0)
    return adapters, keep


def _adapter(modules: Sequence[Any], widths: Sequence[int], dtype: torch.dtype) -> Adapter | None:
    """Adapters of the parts of one projection side by side: A stacked, B along the diagonal."""
    there = [module for module in modules if module is not None]
    if not there:
        return None
    a = torch.cat([module.lora_A["default"].weight for module in there])
    column = 0
    parts = []
    for module, width in zip(modules, widths, strict=True):
        if module is None:
            parts.append(a.new_zeros(width, len(a)))
            continue
        b = module.lora_B["default"].weight * module.scaling["default"]
        parts.append(torch.nn.functional.pad(b, (column, len(a) - column - b.shape[1])))
        column += b.shape[1]
    return Adapter(a.to(dtype), torch.cat(parts).to(dtype))

"""The frozen body as an engine of the scorer: a batch of sequences in, label terms out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sentilora.scoring.frozen.architectures import FrozenModel, frozen_model
from sentilora.scoring.frozen.attention import Layout, Masks
from sentilora.scoring.frozen.body import Adapter, Body, Keys, Part
from sentilora.scoring.frozen.dropout import Dropout
from sentilora.scoring.frozen.layers import Rotary, Shape
from sentilora.scoring.frozen.workspace import Workspace
from sentilora.scoring.head import Head
from sentilora.scoring.sequences import Batch

# From how many rows on the instruction is run once, ahead of all, where no gradients are needed; it
# is a pass of its own over all weights.
_ROWS_FOR_PREFIX = 16
# A part of a batch has so many tokens at least, for they share each weight that is read, and, where
# no part has to run the instruction again, not more than so many, which a core's cache holds.
_LEAST_TOKENS = 32
_MOST_TOKENS = 512


@dataclass(frozen=True)
class Prepared:
    """What all batches of a job have in common.

    keep
        The share of the adapters' inputs that dropout keeps.
    keys
        Those of the instruction, if it was run ahead of the batches.
    """

    body: Body
    keep: float
    keys: list[Keys] | None = None


class FrozenEngine:
    """Runs a model that `frozen_model` knows. `create` answers None for any other."""

    branching = True

    def __init__(self, causal_lm: Any, model: FrozenModel, prefix_ids: Sequence[int]) -> None:
        self.model = model
        self.head = Head(causal_lm)
        self.prefix_ids = torch.tensor(prefix_ids, device=self.head.weight.device)
        self._workspaces: list[Workspace] = []

    @classmethod
    def create(cls, causal_lm: Any, prefix_ids: Sequence[int]) -> FrozenEngine | None:
        """An engine, or None where the model, or an adapter on it, is of another kind, or the model
        is to checkpoint gradients, which is done between its own blocks."""
        model = None if _checkpoints(causal_lm) else frozen_model(causal_lm)
        if model is None or not _adapters_fit(causal_lm, model):
            return None
        return cls(causal_lm, model, prefix_ids)

    def prepare(self, shared_rows: int) -> Prepared:
        """The adapters as they are now, and the instruction's keys if that pays.

        With gradients the instruction goes along with each batch.
        """
        model = self.model
        adapters, keep = _adapters(model.qkv, model.shape, self.head.weight.dtype)
        if not torch.is_grad_enabled():
            self._workspaces.clear()  # whoever scores needs the memory more
        body = Body(model.blocks, model.shape, adapters, self._workspaces)
        if torch.is_grad_enabled() or shared_rows < _ROWS_FOR_PREFIX:
            return Prepared(body, keep)
        width = len(self.prefix_ids)
        first = self.prefix_ids.new_zeros(1, 1)
        layout = Layout(0, 1, width, first, front=0)
        positions = torch.arange(width, device=self.prefix_ids.device)
        alone = self._part(layout, self.prefix_ids, positions, self._rotary(width), None)
        return Prepared(body, keep, body.keys(alone))

    def terms(self, batch: Batch, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """[M] the terms' log-probabilities, and whether each is the likeliest of all tokens."""
        hidden = self._hidden(batch, prepared)
        return self.head.terms(hidden, batch.term_positions, batch.term_tokens)

    def token_logits(self, batch: Batch, prepared: Prepared) -> Tensor:
        """[M] the terms' logits alone."""
        hidden = self._hidden(batch, prepared)
        return self.head.token_logits(hidden, batch.term_positions, batch.term_tokens)

    def _hidden(self, batch: Batch, prepared: Prepared) -> Tensor:
        """[P, D] at the batch's positions, behind the last norm."""
        hidden = prepared.body.run(list(self._parts(batch, prepared)))
        return self.model.norm(hidden[batch.position_queries])

    def _parts(self, batch: Batch, prepared: Prepared) -> Iterator[Part]:
        prefix = len(self.prefix_ids) if batch.shared else 0
        keys = prepared.keys if batch.shared else None
        front = 0 if keys else prefix
        tables = self._rotary(prefix + batch.lengths[0])
        cuts = _cuts(batch.lengths, front, self.prefix_ids.device)
        generators = self._generators(len(cuts) - 1, prepared.keep)
        for (start, end), generator in zip(pairwise(cuts), generators, strict=True):
            width = batch.lengths[start]  # the longest of these
            visible = None
            places = torch.arange(width, device=self.prefix_ids.device).repeat(end - start)
            if batch.visible is not None and batch.places is not None:
                visible = batch.visible[start:end, :width, :width]
                places = batch.places[start:end, :width].flatten()
            layout = Layout(prefix, end - start, width, batch.queries[start:end], front, visible)
            ids, positions = batch.input_ids[start:end, :width].flatten(), places + prefix
            if front:
                ids = torch.cat([self.prefix_ids, ids])
                positions = torch.cat([torch.arange(front, device=ids.device), positions])
            dropout = Dropout(prepared.keep, generator) if generator else None
            yield self._part(layout, ids, positions, tables, dropout, keys)

    def _part(
        self,
        layout: Layout,
        ids: Tensor,
        positions: Tensor,
        tables: Rotary | None,
        dropout: Dropout | None,
        keys: list[Keys] | None = None,
    ) -> Part:
        shape = self.model.shape
        x = self.model.embed(ids, positions)
        wide = x.new_empty(0, dtype=torch.promote_types(x.dtype, torch.float32))
        masks = Masks.of(layout, shape.heads // shape.groups, wide)
        return Part(x, layout, masks, tables and tables.at(positions), dropout, keys)

    def _rotary(self, length: int) -> Rotary | None:
        """Tables for positions 0 to `length`."""
        if self.model.rotary is None:
            return None
        cos, sin = self.model.rotary(torch.arange(length, device=self.prefix_ids.device))
        half = sin.shape[-1] // 2
        return Rotary(cos, torch.cat([-sin[:, :half], sin[:, half:]], dim=-1))

    def _generators(self, count: int, keep: float) -> list[torch.Generator | None]:
        """One a part, seeded by torch's own generator; none without dropout."""
        if keep == 1.0:
            return [None] * count
        device = self.prefix_ids.device
        seeds = torch.randint(2**63 - 1, (count,)).tolist()
        return [torch.Generator(device).manual_seed(seed) for seed in seeds]


def _cuts(lengths: Sequence[int], prefix: int, device: torch.device) -> list[int]:
    """Where a batch is cut into parts that take about as long, 0 and its end included.

    On a CPU each thread has as many parts as any other, if they have enough to do; elsewhere there
    is one. A part runs its rows padded to its longest, the first, and its own copy of the `prefix`.
    """
    total, threads = sum(lengths), torch.get_num_threads()
    rounds = 1 if prefix else 1 + total // (threads * _MOST_TOKENS)
    parts = min(threads * rounds, total // _LEAST_TOKENS, len(lengths))
    if device.type != "cpu" or parts < 2:
        return [0, len(lengths)]
    most = max(lengths) + prefix
    while len(cuts := _filled(lengths, prefix, most)) > parts + 1:
        most += 1 + most // 100
    return cuts


def _filled(lengths: Sequence[int], prefix: int, most: int) -> list[int]:
    """The cuts of parts that are filled one after the other with up to `most` padded tokens."""
    cuts = [0]
    for row in range(len(lengths)):
        if prefix + lengths[cuts[-1]] * (row + 1 - cuts[-1]) > most:
            cuts.append(row)
    return [*cuts, len(lengths)]


def _checkpoints(causal_lm: Any) -> bool:
    """Whether any of its modules is to checkpoint gradients."""
    return any(getattr(part, "gradient_checkpointing", False) for part in causal_lm.modules())


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
    active = [[module if _is_active(module) else None for module in modules] for modules in qkv]
    drops = {
        getattr(module.lora_dropout["default"], "p", 0.0)
        for modules in active
        for module in modules
        if module is not None and module.lora_dropout["default"].training
    }
    keep = 1 - max(drops, default=0.0)
    return [_adapter(modules, shape, dtype, keep) for modules in active], keep


def _is_active(module: Any) -> bool:
    """Whether a projection has an adapter that isn't switched off or merged into its weight."""
    return (
        bool(getattr(module, "lora_A", None)) and not module.disable_adapters and not module.merged
    )


def _adapter(
    modules: Sequence[Any], shape: Shape, dtype: torch.dtype, keep: float
) -> Adapter | None:
    """Adapters of the parts of one projection side by side: A stacked, B along the diagonal.

    Dropout's scaling is in A: `masked` only takes away.
    """
    there = [module for module in modules if module is not None]
    if not there:
        return None
    widths = shape.widths if len(modules) == 3 else (sum(shape.widths),)
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
    return Adapter((a / keep).to(dtype), torch.cat(parts).to(dtype))

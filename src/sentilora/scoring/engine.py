"""Runs a causal LM over batches of sequences and gives the logits where labels are predicted.

`FastEngine` runs the instruction once for all rows of a batch and expands its keys and values,
with gradients, to them; only label positions reach the head. `PlainEngine` is the model's own
padded forward with full logits: slow, and right by definition. Both answer the same batches.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from sentilora.scoring.head import Head
from sentilora.scoring.sequences import Batch


class FastEngine:
    """Shared instruction, no logits but at label positions."""

    def __init__(self, model: Any, prefix_ids: Sequence[int]) -> None:
        self.body = getattr(model, model.base_model_prefix)
        self.head = Head(model)
        self.prefix_ids = list(prefix_ids)
        # transformers 5.24 renamed the argument and will drop the old name.
        parameters = inspect.signature(self.body.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"

    def prefix(self) -> DynamicCache:
        """The instruction's keys and values, one row, with gradients where they are on.

        The cache is made without the model's configuration: layers with a sliding window must
        keep every key too, for rows of different lengths look back to different places.
        """
        cache = DynamicCache()
        device = self.head.weight.device
        self._run(torch.tensor([self.prefix_ids], device=device), cache)
        return cache

    def logits(self, batch: Batch, prefix: DynamicCache | None) -> Tensor:
        """[P, V] logits at the batch's positions; `prefix` is `self.prefix()` if shared."""
        cache = _expanded(prefix, len(batch.input_ids)) if batch.shared and prefix else None
        hidden = self._run(batch.input_ids, cache)
        return self.head.logits(hidden[batch.position_rows, batch.position_columns])

    def _run(self, input_ids: Tensor, cache: DynamicCache | None) -> Tensor:
        given = {} if cache is None else {self._cache_name: cache}
        output = self.body(input_ids=input_ids, use_cache=cache is not None, **given)
        return output.last_hidden_state


class PlainEngine:
    """The model's own forward over whole rows, padded, with every logit."""

    def __init__(self, model: Any, prefix_ids: Sequence[int]) -> None:
        self.model = model
        self.prefix_ids = list(prefix_ids)

    def prefix(self) -> None:
        return None

    def logits(self, batch: Batch, prefix: None = None) -> Tensor:
        """[P, V] logits at the batch's positions."""
        ids, columns = batch.input_ids, batch.position_columns
        if batch.shared:
            front = torch.tensor(self.prefix_ids, device=ids.device)
            ids = torch.cat([front.expand(len(ids), -1), ids], dim=1)
            columns = columns + len(front)
        logits = self.model(input_ids=ids, use_cache=False).logits
        picked = logits[batch.position_rows, columns]
        return picked.to(torch.promote_types(picked.dtype, torch.float32))


def _expanded(prefix: DynamicCache, rows: int) -> DynamicCache:
    """`prefix` as if each of `rows` rows had run it: views, no copies, gradients summed."""
    cache = DynamicCache()
    for index, layer in enumerate(prefix.layers):
        shape = (rows, -1, -1, -1)
        cache.update(layer.keys.expand(shape), layer.values.expand(shape), index)
    return cache

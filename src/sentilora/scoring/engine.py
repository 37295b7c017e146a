"""Runs a causal LM over batches of sequences and gives their label terms.

`SharedEngine` runs the instruction once for all rows of a batch and expands its keys and values,
with gradients, to them; only label positions reach the head. `PlainEngine` is the model's own
padded forward with full logits: slow, and right by definition. Both answer the same batches.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from sentilora.scoring.head import Head
from sentilora.scoring.sequences import Batch


class SharedEngine:
    """Shared instruction, no head but at label positions.

    Raises AttributeError or TypeError for a model that isn't built as body and linear head.
    """

    branching = False

    def __init__(self, model: Any, prefix_ids: Sequence[int]) -> None:
        self.model = model
        self.body = getattr(model, model.base_model_prefix)
        self.head = Head(model)
        self.prefix_ids = list(prefix_ids)
        # transformers 5.24 renamed the argument and will drop the old name.
        parameters = inspect.signature(self.body.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"

    @classmethod
    def create(cls, model: Any, prefix_ids: Sequence[int]) -> SharedEngine:
        """An engine for any model; the caller finds out whether it agrees with the model's own."""
        return cls(model, prefix_ids)

    def prepare(self, shared_rows: int) -> DynamicCache | None:
        """The instruction's keys and values, one row, with gradients where they are on.

        None where no row shares it, and under gradient checkpointing, which drops a cache; rows are
        then run whole. The cache is made without the model's configuration, so layers with a
        sliding window keep every key too, and their mask alone decides what a position sees.
        """
        if not shared_rows or self._checkpoints_gradients():
            return None
        cache = DynamicCache()
        device = self.head.weight.device
        self._run(torch.tensor([self.prefix_ids], device=device), cache)
        return cache

    def terms(self, batch: Batch, prefix: DynamicCache | None) -> tuple[Tensor, Tensor]:
        """[M] the terms' log-probabilities, and whether each is the likeliest of all tokens."""
        hidden = self._hidden(batch, prefix)
        return self.head.terms(hidden, batch.term_positions, batch.term_tokens)

    def token_logits(self, batch: Batch, prefix: DynamicCache | None) -> Tensor:
        """[M] the terms' logits alone."""
        hidden = self._hidden(batch, prefix)
        return self.head.token_logits(hidden, batch.term_positions, batch.term_tokens)

    def _hidden(self, batch: Batch, prefix: DynamicCache | None) -> Tensor:
        """[P, D] at the batch's positions; `prefix` is what `prepare` gave."""
        if batch.shared and prefix is not None:
            hidden = self._run(batch.input_ids, _expanded(prefix, len(batch.input_ids)))
            return hidden[batch.position_rows, batch.position_columns]
        ids, columns = _whole_rows(batch, self.prefix_ids)
        return self._run(ids, None)[batch.position_rows, columns]

    def _checkpoints_gradients(self) -> bool:
        # The flags themselves: transformers has renamed the property that gathers them.
        return torch.is_grad_enabled() and any(
            part.training and getattr(part, "gradient_checkpointing", False)
            for part in self.model.modules()
        )

    def _run(self, input_ids: Tensor, cache: DynamicCache | None) -> Tensor:
        given = {} if cache is None else {self._cache_name: cache}
        output = self.body(input_ids=input_ids, use_cache=cache is not None, **given)
        return output.last_hidden_state


class PlainEngine:
    """The model's own forward over whole rows, padded, with every logit."""

    branching = False

    def __init__(self, model: Any, prefix_ids: Sequence[int]) -> None:
        self.model = model
        self.prefix_ids = list(prefix_ids)

    def prepare(self, shared_rows: int) -> None:
        """Nothing: each row is run whole."""

    def terms(self, batch: Batch, prepared: None) -> tuple[Tensor, Tensor]:
        """[M] the terms' log-probabilities, and whether each is the likeliest of all tokens."""
        logits = self._logits(batch)
        log_probs = torch.log_softmax(logits, dim=-1)[batch.term_positions, batch.term_tokens]
        return log_probs, logits.argmax(dim=-1)[batch.term_positions] == batch.term_tokens

    def token_logits(self, batch: Batch, prepared: None) -> Tensor:
        """[M] the terms' logits alone."""
        return self._logits(batch)[batch.term_positions, batch.term_tokens]

    def _logits(self, batch: Batch) -> Tensor:
        """[P, V] at the batch's positions."""
        ids, columns = _whole_rows(batch, self.prefix_ids)
        picked = self.model(input_ids=ids, use_cache=False).logits[batch.position_rows, columns]
        return picked.to(torch.promote_types(picked.dtype, torch.float32))


def _whole_rows(batch: Batch, prefix_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The batch's ids with the instruction in front, and where its columns then are."""
    if not batch.shared:
        return batch.input_ids, batch.position_columns
    front = torch.tensor(prefix_ids, device=batch.input_ids.device)
    ids = torch.cat([front.expand(len(batch.input_ids), -1), batch.input_ids], dim=1)
    return ids, batch.position_columns + len(front)


def _expanded(prefix: DynamicCache, rows: int) -> DynamicCache:
    """`prefix` as if each of `rows` rows had run it: views, no copies, gradients summed."""
    cache = DynamicCache()
    layers: list[Any] = prefix.layers
    for layer in layers:
        expanded = copy.copy(layer)
        expanded.keys = layer.keys.expand(rows, -1, -1, -1)
        expanded.values = layer.values.expand(rows, -1, -1, -1)
        cache.layers.append(expanded)
    return cache

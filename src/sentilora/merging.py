"""The adapter's update put into the base's own weights, and taken out again.

Merged in fp32 and cast once, so that only the last rounding differs from the adapter beside its
base. The base's weights are kept, not computed back: subtracting what was added leaves rounding
behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor

from sentilora.errors import UserError


class Merger:
    """Merges the adapter of a model in place, and undoes it.

    The weights stay where they are in memory, so whatever holds a view of them sees the change.
    """

    def __init__(self, model: PeftModel) -> None:
        self._quantized = bool(getattr(model.get_base_model(), "is_quantized", False))
        self._layers: list[Any] = [m for m in model.modules() if isinstance(m, LoraLayer)]
        self._originals: list[Tensor] = []

    @torch.no_grad()
    def merge(self) -> None:
        """Put the update into the weights, where it isn't there already.

        Raises UserError for a quantised base, and where a merged weight isn't finite. Whatever is
        raised, nothing is merged then.
        """
        if self.merged:
            return
        if self._quantized:
            raise UserError(
                "An adapter can't be merged into a quantised base: rounding to so few bits would "
                "erase most of its update. Load the base unquantised (--quantize none); into one "
                "that is stored quantised nothing can be merged."
            )
        try:
            for layer in self._layers:
                self._merge(layer)
        except ValueError as error:  # PEFT's, of a weight that isn't finite
            self.unmerge()
            raise UserError(
                "The adapter can't be merged: a weight would no longer be a finite number. "
                "Train it again, with a lower --learning-rate."
            ) from error
        except BaseException:  # Ctrl-C, or memory that runs out
            self.unmerge()
            raise

    def _merge(self, layer: Any) -> None:
        weight = layer.get_base_layer().weight
        kept, place = weight.detach().clone(), weight.data
        self._originals.append(kept)
        weight.data = kept.to(torch.promote_types(kept.dtype, torch.float32), copy=True)
        try:
            layer.merge(safe_merge=True)
            place.copy_(weight.data)
        finally:
            weight.data = place

    @torch.no_grad()
    def unmerge(self) -> None:
        """The base's weights as they were, bit for bit, and the adapter beside them."""
        for layer, original in zip(self._layers, self._originals, strict=False):
            layer.get_base_layer().weight.data.copy_(original)
            layer.merged_adapters.clear()
        self._originals.clear()

    @property
    def merged(self) -> bool:
        return bool(self._originals)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """The adapter beside its base, within a `with` block."""
        merged = self.merged
        self.unmerge()
        try:
            yield
        finally:
            if merged:
                self.merge()

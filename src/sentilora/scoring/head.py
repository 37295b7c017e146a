"""The language-model head at chosen positions: hidden states to logits over the vocabulary.

The stock `lm_head` on a strided slice becomes a batched product that copies the vocabulary matrix
for every row; here hidden states arrive as one contiguous [P, D] matrix. Logits are made in fp32
whatever the base's dtype: in bf16 a step near 20 is 0.125, and labels tie.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class Head:
    """The head of a causal LM: matrix and bias, then scaling, then soft-capping.

    Scaling is that of Cohere (`logit_scale`, times) and Granite (`logits_scaling`, divided by),
    soft-capping that of Gemma 2 (`final_logit_softcapping`). A model with anything else between
    its hidden states and its logits is noticed when the scorer checks itself against the model's
    own forward.
    """

    def __init__(self, model: Any) -> None:
        layer = model.get_output_embeddings()
        if type(layer) is not torch.nn.Linear:  # an adapted or quantised one does more than that
            raise TypeError(f"the output layer is a {type(layer).__name__}")
        self.weight: Tensor = layer.weight
        self.bias: Tensor | None = getattr(layer, "bias", None)
        config = model.config.get_text_config()
        self.scale = getattr(config, "logit_scale", None) or 1.0
        self.scale /= getattr(config, "logits_scaling", None) or 1.0
        self.softcap = getattr(config, "final_logit_softcapping", None)

    def logits(self, hidden: Tensor) -> Tensor:
        """[P, D] hidden states to [P, V] logits, in fp32 (fp64 where the base is)."""
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        bias = None if self.bias is None else self.bias.to(dtype)
        logits = F.linear(hidden.to(dtype), self.weight.to(dtype), bias)
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcap:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits

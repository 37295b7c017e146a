"""The language-model head where labels are predicted: hidden states to label log-probabilities.

The stock `lm_head` on a strided slice becomes a batched product that copies the vocabulary matrix
for every row; here hidden states arrive as one contiguous [P, D] matrix. Logits are made in fp32
whatever the base's dtype (in bf16 a step near 20 is 0.125, and labels tie), yet neither the matrix
is ever held in fp32 nor are all logits held at all: the vocabulary passes by in slices that a
cache holds, under a running log-sum-exp (Milakov and Gimelshein 2018). The gradient's expectation
over the vocabulary is gathered on the same way, so that the backward pass needs none of it again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Of a slice of the matrix in fp32: on a CPU what its cache holds beside the rest, on other devices
# enough to keep them busy.
_SLICE_BYTES = {"cpu": 2**22}
_SLICE_BYTES_ELSEWHERE = 2**26


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

    def terms(self, hidden: Tensor, positions: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[M] log-probabilities of `tokens` at `positions`, and whether each is the likeliest.

        Parameters
        ----------
        hidden
            [P, D] hidden states; gradients flow to them.
        positions, tokens
            [M] indices into `hidden`, and the tokens whose probability is asked for there.
        """
        with_gradient = torch.is_grad_enabled() and hidden.requires_grad
        log_probs, likeliest = _Terms.apply(hidden, self, positions, tokens, with_gradient)
        return log_probs, likeliest

    def token_logits(self, hidden: Tensor, positions: Tensor, tokens: Tensor) -> Tensor:
        """[M] logits of `tokens` at `positions`, from their rows of the matrix alone."""
        wide = self.wide(hidden.dtype)
        raw = (hidden[positions].to(wide) * self.weight[tokens].to(wide)).sum(dim=-1)
        if self.bias is not None:
            raw = raw + self.bias[tokens].to(wide)
        return self.shaped(raw)[0]

    def wide(self, dtype: torch.dtype) -> torch.dtype:
        """What logits are made in: fp32, or fp64 where the base is."""
        return torch.promote_types(torch.promote_types(dtype, self.weight.dtype), torch.float32)

    def shaped(self, raw: Tensor) -> tuple[Tensor, Tensor | float]:
        """Logits from the matrix's own results, and their derivative by these."""
        logits = raw * self.scale if self.scale != 1.0 else raw
        if not self.softcap:
            return logits, self.scale
        squeezed = torch.tanh(logits / self.softcap)
        return squeezed * self.softcap, self.scale * (1 - squeezed.square())

    def slices(self, wide: torch.dtype) -> Any:
        """The vocabulary in slices: the first token's id, the rows, and their bias or None."""
        most = _SLICE_BYTES.get(self.weight.device.type, _SLICE_BYTES_ELSEWHERE)
        rows = max(1, most // (self.weight.shape[1] * wide.itemsize))
        for start in range(0, len(self.weight), rows):
            bias = None if self.bias is None else self.bias[start : start + rows].to(wide)
            yield start, self.weight[start : start + rows].to(wide), bias


class _Terms(torch.autograd.Function):
    """Log-probabilities and their gradient by the hidden states; the head itself is frozen.

    With z the logits at a position, p their softmax and W' the matrix's rows times dz/d(raw), the
    gradient of log p(t) is W'_t less the expectation of W' under p.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Head, positions: Tensor, tokens: Tensor, with_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        wide = head.wide(hidden.dtype)
        rows = hidden.to(wide)
        peak = rows.new_full((len(rows),), float("-inf"))
        total = torch.zeros_like(peak)
        likeliest = torch.zeros_like(peak, dtype=torch.int64)
        expected = torch.zeros_like(rows) if with_gradient else None
        picked = rows.new_zeros(len(tokens))
        slopes = rows.new_full((len(tokens),), head.scale)
        for start, weight, bias in head.slices(wide):
            raw = rows @ weight.T
            logits, slope = head.shaped(raw if bias is None else raw + bias)
            here = (tokens >= start) & (tokens < start + len(weight))
            at = (tokens - start).clamp_(0, len(weight) - 1)
            picked = torch.where(here, logits[positions, at], picked)
            highest, which = logits.max(dim=1)
            likeliest = torch.where(highest > peak, which + start, likeliest)
            risen = torch.maximum(peak, highest)
            decay, shares = torch.exp(peak - risen), torch.exp(logits - risen.unsqueeze(1))
            total = total * decay + shares.sum(dim=1)
            if expected is not None:
                expected.mul_(decay.unsqueeze(1)).addmm_(shares * slope, weight)
                if isinstance(slope, Tensor):
                    slopes = torch.where(here, slope[positions, at], slopes)
            peak = risen
            del weight, raw, logits, shares  # else they would live beside the next slice's
        if expected is not None:
            expected.div_(total.unsqueeze(1))
            ctx.save_for_backward(expected, slopes, positions, tokens)
            ctx.weight, ctx.dtype = head.weight, hidden.dtype
        found = likeliest[positions] == tokens
        ctx.mark_non_differentiable(found)
        return picked - (peak + total.log())[positions], found

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> Any:
        expected, slopes, positions, tokens = ctx.saved_tensors
        own = ctx.weight[tokens].to(expected.dtype) * slopes.unsqueeze(1)
        each = (own - expected[positions]).mul_(grad.unsqueeze(1))
        by_hidden = torch.zeros_like(expected).index_add_(0, positions, each)
        return by_hidden.to(ctx.dtype), None, None, None, None

"""Which models the frozen body fits, and where their pieces are.

A model is known by its type and by all those settings of it that change what a block computes; one
that differs in any is not taken, and the general path serves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from sentilora.bases.lent import lent_whole
from sentilora.bases.quantization import kind_of
from sentilora.scoring.frozen.layers import (
    GELU,
    Block,
    LayerNorm,
    Linear,
    RMSNorm,
    Shape,
    SwiGLU,
)


@dataclass(frozen=True)
class FrozenModel:
    """A model's pieces.

    qkv
        For each block the modules that hold the query, key and value projection (one, if fused).
    embed
        From token ids [N] and their positions [N] to [N, D].
    rotary
        From positions [S] to cos and sin [S, d], or None.
    norm
        The last norm, a module.
    """

    blocks: Sequence[Block]
    qkv: Sequence[tuple[nn.Module, ...]]
    adaptable: frozenset[str]  # names of modules whose adapters the body computes
    shape: Shape
    embed: Callable[[Tensor, Tensor], Tensor]
    rotary: Callable[[Tensor], tuple[Tensor, Tensor]] | None
    norm: nn.Module


def frozen_model(causal_lm: Any) -> FrozenModel | None:
    """The pieces of `causal_lm`, or None where the frozen body doesn't fit it."""
    reader = _READERS.get(causal_lm.config.model_type)
    if reader is None or (getattr(causal_lm, "is_quantized", False) and not kind_of(causal_lm)):
        return None  # a quantised one is known only as `load_base` makes it
    return reader(causal_lm)


def _llama(causal_lm: Any) -> FrozenModel | None:
    """Llama, Mistral and Qwen2: RMS norms, rotary positions, grouped queries, SwiGLU."""
    config, body = causal_lm.config, causal_lm.model
    windows = getattr(config, "layer_types", None) or ["full_attention"]
    if config.hidden_act not in ("silu", "swish") or set(windows) != {"full_attention"}:
        return None
    if getattr(config, "sliding_window", None) and not getattr(config, "layer_types", None):
        return None
    blocks, qkv = [], []
    for layer in body.layers:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        blocks.append(
            Block(
                _rms(layer.input_layernorm),
                _joined([_base(module) for module in projections]),
                _linear(_base(attention.o_proj)),
                _rms(layer.post_attention_layernorm),
                SwiGLU(*(_linear(_base(m)) for m in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))),
            )
        )
        qkv.append(projections)
    attention = body.layers[0].self_attn
    size = attention.head_dim
    groups = config.num_key_value_heads
    shape = Shape(config.num_attention_heads, groups, size, attention.scaling)

    def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = body.rotary_emb(body.embed_tokens.weight, positions.unsqueeze(0))
        return cos[0], sin[0]

    return FrozenModel(
        blocks,
        qkv,
        frozenset({"q_proj", "k_proj", "v_proj"}),
        shape,
        lambda ids, positions: body.embed_tokens(ids),
        rotary,
        body.norm,
    )


def _gpt2(causal_lm: Any) -> FrozenModel | None:
    """GPT-2: layer norms, learned positions, fused query, key and value."""
    config, body = causal_lm.config, causal_lm.transformer
    if (
        config.activation_function not in ("gelu_new", "gelu_pytorch_tanh")
        or not config.scale_attn_weights
        or config.scale_attn_by_inverse_layer_idx
    ):
        return None
    blocks, qkv = [], []
    for layer in body.h:
        attention, mlp = layer.attn, layer.mlp
        blocks.append(
            Block(
                _layer_norm(layer.ln_1),
                _linear(_base(attention.c_attn)),
                _linear(_base(attention.c_proj)),
                _layer_norm(layer.ln_2),
                GELU(_linear(_base(mlp.c_fc)), _linear(_base(mlp.c_proj))),
            )
        )
        qkv.append((attention.c_attn,))
    heads = config.num_attention_heads
    size = config.hidden_size // heads
    return FrozenModel(
        blocks,
        qkv,
        frozenset({"c_attn"}),
        Shape(heads, heads, size, size**-0.5),
        lambda ids, positions: body.wte(ids) + body.wpe(positions),
        None,
        body.ln_f,
    )


_READERS: dict[str, Callable[[Any], FrozenModel | None]] = {
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _llama,
    "gpt2": _gpt2,
}


def _base(module: Any) -> Any:
    """The projection itself, under an adapter or not."""
    return getattr(module, "base_layer", module)


def _linear(module: Any) -> Linear:
    bias = _detached(module.bias)
    if hasattr(module, "whole"):  # in 4 or 8 bits
        return Linear(lambda: lent_whole([module]), bias)
    weight = module.weight.detach()
    return Linear(weight.T if isinstance(module, Conv1D) else weight, bias)


def _joined(modules: Sequence[Any]) -> Linear:
    """Several projections of one input as one. The modules' weights become views of it, so that
    nothing is held twice, and another engine of the model holds the same; those in 4 or 8 bits stay
    apart, and are put together for each product."""
    bias = _joined_bias(modules)
    if any(hasattr(module, "whole") for module in modules):
        return Linear(lambda: lent_whole(modules), bias)
    weight = _together([module.weight.detach() for module in modules])
    rows = weight.split([len(module.weight) for module in modules])
    for module, part in zip(modules, rows, strict=True):
        module.weight.data = part
    return Linear(weight, bias)


def _joined_bias(modules: Sequence[Any]) -> Tensor | None:
    there = [module.bias for module in modules if module.bias is not None]
    if not there:
        return None
    filled = [
        module.bias.detach() if module.bias is not None else there[0].new_zeros(module.out_features)
        for module in modules
    ]
    return torch.cat(filled)


def _together(weights: Sequence[Tensor]) -> Tensor:
    """The rows of all in one matrix: the one that they are views of, if they are."""
    first = weights[0]
    ends = accumulate(weight.nbytes for weight in weights)
    starts = [first.data_ptr(), *(first.data_ptr() + end for end in ends)]
    storage = first.untyped_storage()
    adjacent = starts[-1] <= storage.data_ptr() + storage.nbytes() and all(
        weight.data_ptr() == start and weight.is_contiguous()
        for weight, start in zip(weights, starts, strict=False)
    )
    if not adjacent:
        return torch.cat(list(weights))
    shape = (sum(map(len, weights)), first.shape[1])
    return first.as_strided(shape, first.stride(), first.storage_offset())


def _rms(module: Any) -> RMSNorm:
    return RMSNorm(module.weight.detach(), module.variance_epsilon)


def _layer_norm(module: Any) -> LayerNorm:
    return LayerNorm(module.weight.detach(), module.bias.detach(), module.eps)


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()

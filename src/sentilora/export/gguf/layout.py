"""A Hugging Face model as llama.cpp lays it out: metadata of its shape, tensors under its names.

What llama.cpp's own converter does to each architecture is stated here once; the reader's half of
it is transformers' and `bases/gguf_config.py`. A setting that llama.cpp has no place for is an
error: left out, the file would hold another model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.bases.gguf_config import (
    LLAMA3_ROPE_TENSOR,
    attention_scale,
    llama3_factors,
)
from sentilora.errors import UserError

Array = npt.NDArray[np.float32]
Keys = dict[str, Any]

# metadata key -> name in transformers' configuration
_SHAPE = {
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "vocab_size": "vocab_size",
}
_TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
_GEMMA3_PERIOD = 6  # every sixth layer has full attention


@dataclass(frozen=True)
class Layout:
    """One architecture.

    name
        `general.architecture`.
    keys
        The metadata of a configuration, without the architecture's name in front.
    change
        What is done to a tensor, by its Hub name.
    assumed
        Settings that llama.cpp fixes in its code, with the values that it fixes them at.
    """

    name: str
    keys: Callable[[Any], Keys]
    change: Callable[[str, Array, Any], Array]
    assumed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def layout_of(config: Any) -> Layout:
    """The layout of a configuration's model.

    Raises UserError for an architecture that isn't known here, or a setting that llama.cpp can't be
    told.
    """
    layout = LAYOUTS.get(config.model_type)
    if layout is None:
        raise UserError(
            f"A {config.model_type!r} model can't be written as GGUF here; these can: "
            f"{', '.join(LAYOUTS)}. Use `sentilora merge`, and llama.cpp's own converter on the "
            "folder it writes."
        )
    for name, values in layout.assumed.items():
        if hasattr(config, name) and getattr(config, name) not in values:
            raise _refused(config, f"{name} = {getattr(config, name)!r}")
    return layout


@dataclass(frozen=True)
class Part:
    """A tensor: llama.cpp's name, the Hub's (if any), and what makes its float32 values."""

    name: str
    hub_name: str | None
    values: Callable[[], Array]


def parts_of(model: Any, layout: Layout) -> Iterator[Part]:
    """A model's tensors; tied embeddings come once."""
    import gguf

    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == layout.name)
    names = gguf.get_tensor_name_map(kind, model.config.num_hidden_layers)
    if (factors := _rope_factors(model.config)) is not None:
        yield Part(LLAMA3_ROPE_TENSOR, None, lambda: factors)
    for hub_name, weight in model.named_parameters():
        name = names.get_name(hub_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise _refused(model.config, f"the weight {hub_name}")

        def values(hub_name: str = hub_name, weight: Any = weight) -> Array:
            data = weight.detach().float().cpu().numpy()
            return np.ascontiguousarray(layout.change(hub_name, data, model.config))

        yield Part(name, hub_name, values)


def _refused(config: Any, what: str) -> UserError:
    return UserError(
        f"This {config.model_type} model has {what}, which llama.cpp can't be told, so a GGUF file "
        "would hold another model. Use `sentilora merge` instead."
    )


def _unchanged(name: str, data: Array, config: Any) -> Array:
    return data


def _transposed(name: str, data: Array, config: Any) -> Array:
    """GPT-2's Conv1D holds [in, out]; its embeddings are as everyone's."""
    return data.T if data.ndim == 2 and ".h." in name else data


def _plus_one(name: str, data: Array, config: Any) -> Array:
    """Gemma multiplies by 1 + weight, llama.cpp by the weight."""
    return data + 1 if name.endswith("norm.weight") else data


def _interleaved(name: str, data: Array, config: Any) -> Array:
    """Rotary pairs lie side by side in llama.cpp's Llama, half a head apart in transformers'."""
    if ".q_proj." in name:
        heads = config.num_attention_heads
    elif ".k_proj." in name:
        heads = config.num_key_value_heads
    else:
        return data
    halves = data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:])
    return halves.swapaxes(1, 2).reshape(data.shape)


def _gpt2(config: Any) -> Keys:
    return {
        "context_length": config.n_positions,
        "embedding_length": config.n_embd,
        "feed_forward_length": config.n_inner or 4 * config.n_embd,
        "block_count": config.n_layer,
        "attention.head_count": config.n_head,
        "attention.layer_norm_epsilon": float(config.layer_norm_epsilon),
    }


def _rotary(config: Any) -> Keys:
    """What all but GPT-2 state."""
    rope = _rope(config)
    keys = {key: getattr(config, name) for key, name in _SHAPE.items()}
    keys["rope.freq_base"] = float(rope["rope_theta"])
    kind = rope.get("rope_type", "default")
    known = {"rope_type", "rope_theta", "factor"}
    if kind in ("linear", "yarn"):
        keys["rope.scaling.type"] = kind
        keys["rope.scaling.factor"] = float(rope["factor"])
    elif kind not in ("default", "llama3"):
        raise _refused(config, f"RoPE scaling of the kind {kind!r}")
    if kind == "yarn":
        original = rope.get("original_max_position_embeddings")
        keys["rope.scaling.original_context_length"] = original or config.max_position_embeddings
        known.add("original_max_position_embeddings")
    others = [name for name, value in rope.items() if name not in known and value is not None]
    if kind != "llama3" and others:
        raise _refused(config, f"the RoPE setting {others[0]} = {rope[others[0]]}")
    return keys


def _rope(config: Any) -> dict[str, Any]:
    """That of the full-attention layers, where the others have their own."""
    rope: dict[str, Any] = config.rope_parameters
    return rope.get("full_attention", rope)


def _rope_factors(config: Any) -> Array | None:
    """[head size / 2] by how much Llama 3.1 divides each frequency; None where nothing does."""
    if config.model_type == "gpt2" or _rope(config).get("rope_type") != "llama3":
        return None
    rope = _rope(config)
    return np.array(llama3_factors(rope["rope_theta"], _head(config) // 2, rope), dtype=np.float32)


def _head(config: Any) -> int:
    head = getattr(config, "head_dim", None)
    return int(head or config.hidden_size // config.num_attention_heads)


def _with_heads(config: Any) -> Keys:
    head = _head(config)
    return {**_rotary(config), "attention.key_length": head, "attention.value_length": head}


def _llama(config: Any) -> Keys:
    return {**_with_heads(config), "rope.dimension_count": _head(config)}


def _qwen2(config: Any) -> Keys:
    _check_layers(config, ["full_attention"] * config.num_hidden_layers)
    return _with_heads(config)


def _gemma2(config: Any) -> Keys:
    layers = config.num_hidden_layers
    _check_layers(config, [_SLIDING if i % 2 == 0 else _FULL for i in range(layers)])
    return _capped(config)


def _gemma3(config: Any) -> Keys:
    layers = range(1, config.num_hidden_layers + 1)
    _check_layers(config, [_SLIDING if i % _GEMMA3_PERIOD else _FULL for i in layers])
    local = config.rope_parameters["sliding_attention"]
    if local.get("rope_type", "default") != "default":
        raise _refused(config, "RoPE scaling in its sliding layers")
    return {**_capped(config), "rope.freq_base_swa": float(local["rope_theta"])}


_SLIDING, _FULL = "sliding_attention", "full_attention"


def _check_layers(config: Any, expected: list[str]) -> None:
    if config.layer_types != expected:
        raise _refused(config, f"the attention layers {', '.join(config.layer_types)}")


def _capped(config: Any) -> Keys:
    """A Gemma with sliding windows, and perhaps soft caps."""
    scalar = attention_scale(LAYOUTS[config.model_type].name, config)
    if config.query_pre_attn_scalar != scalar:
        raise _refused(config, f"query_pre_attn_scalar = {config.query_pre_attn_scalar}")
    keys = {**_with_heads(config), "attention.sliding_window": config.sliding_window}
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        if (cap := getattr(config, name)) is not None:
            keys[name] = float(cap)
    return keys


_SILU = {"hidden_act": ("silu",)}
_GELU = {
    "hidden_act": _TANH_GELU,
    "hidden_activation": (*_TANH_GELU, None),
    "attention_bias": (False,),
}

# transformers' model type -> how it is laid out
LAYOUTS = {
    "gpt2": Layout(
        "gpt2",
        _gpt2,
        _transposed,
        {
            "activation_function": _TANH_GELU,
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
        },
    ),
    "qwen2": Layout("qwen2", _qwen2, _unchanged, _SILU),
    "llama": Layout("llama", _llama, _interleaved, _SILU),
    "gemma": Layout("gemma", _with_heads, _plus_one, _GELU),
    "gemma2": Layout("gemma2", _gemma2, _plus_one, _GELU),
    "gemma3_text": Layout(
        "gemma3",
        _gemma3,
        _plus_one,
        {
            **_GELU,
            "attn_logit_softcapping": (None,),
            "use_bidirectional_attention": (False, None),
        },
    ),
}

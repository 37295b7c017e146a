"""The model configuration that a GGUF file describes.

transformers maps the common metadata keys and drops the rest without a word, some of which change
what the model computes (RoPE scaling, head sizes, soft-capping, …). Here every key of the
architecture is accounted for: mapped by transformers, applied below, known to change nothing, or
else an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sentilora.bases.gguf_file import GgufFile
from sentilora.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# llama.cpp derives the attention scale of the 27B Gemmas from the hidden size; it knows them by
# their layers (llama-model.cpp, LLM_ARCH_GEMMA2 and LLM_ARCH_GEMMA3).
_LAYERS_OF_27B = {"gemma2": 46, "gemma3": 62}

# Neither the model's shape nor its arithmetic depends on these.
_HARMLESS = {"vocab_size", "tensor_data_layout", "context_length", "rope.scaling.finetuned"}

# Read together, by `_set_rope_scaling`.
_ROPE_SCALING = {f"rope.scaling.{name}" for name in ("type", "factor", "original_context_length")}

# The models whose attention turns only a part of each head.
_PARTIAL_ROTARY = {"phi3", "stablelm", "nemotron"}

# Llama 3.1 and later state their RoPE scaling only as a tensor of factors, made with these
# constants (convert_hf_to_gguf.py); which factor was used is read off the tensor.
LLAMA3_ROPE_TENSOR = "rope_freqs.weight"
_LLAMA3_ROPE = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def read_config(file: GgufFile) -> PreTrainedConfig:
    """The transformers configuration of the model in `file`.

    Raises:
        UserError: an architecture that transformers cannot read, or metadata that would change the
            model's arithmetic and is not understood.
    """
    from transformers import AutoConfig
    from transformers.integrations.gguf import (
        GGUF_CONFIG_ARCHS,
        get_gguf_config,
        read_gguf_metadata,
    )
    from transformers.modeling_gguf_pytorch_utils import (
        GGUF_SUPPORTED_ARCHITECTURES,
        load_gguf_checkpoint,
    )

    architecture = file.architecture
    if architecture in GGUF_CONFIG_ARCHS:  # a complete reader of its own; nothing to mend
        metadata, names = read_gguf_metadata(str(file.path))
        return AutoConfig.for_model(**get_gguf_config(metadata, names))
    try:
        values = load_gguf_checkpoint(str(file.path))["config"]
    except ValueError as error:
        supported = sorted({*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_CONFIG_ARCHS})
        raise UserError(
            f"{file.path.name} holds a {architecture!r} model, which transformers cannot read from "
            f"GGUF. It reads {', '.join(supported)}."
        ) from error
    values.pop("_model_name_or_path", None)  # the file's title, which is no name of a model here
    config = AutoConfig.for_model(**values)
    _account_for_keys(file, config)
    _set_rope_scaling(file, config)
    _set_llama3_rope(file, config)
    _set_attention_scale(file, config)
    return config


def _account_for_keys(file: GgufFile, config: PreTrainedConfig) -> None:
    """Apply what transformers drops; raise for what nobody knows."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    mappings: dict[str, Any] = dict(GGUF_CONFIG_MAPPING)
    mapped = mappings.get(config.model_type.removesuffix("_text"), {})
    handlers = _HANDLERS | _HANDLERS_BY_MODEL.get(config.model_type, {})
    present = set(file.architecture_keys)
    # in the order of the table, since the rotary part is a share of a head size set before
    for key in [key for key in handlers if key in present and mapped.get(key) is None]:
        handlers[key](config, file.architecture_value(key))
    for key in _HANDLERS_BY_MODEL.get(config.model_type, {}):
        if key in present and mapped.get(key) is not None:  # mapped, but to the wrong name
            handlers[key](config, file.architecture_value(key))
    unknown = [
        key
        for key in sorted(present - handlers.keys() - _HARMLESS - _ROPE_SCALING)
        if mapped.get(key) is None
        and file.architecture_value(key)  # a zero or an unset flag asks for nothing
    ]
    if unknown:
        stated = "; ".join(
            f"{file.architecture}.{key} = {file.architecture_value(key)}" for key in unknown
        )
        raise UserError(
            f"{file.path.name} states settings that may change what the model computes and that "
            f"are not understood here: {stated}. Use the model's Hub version instead."
        )


def _refuse(config: PreTrainedConfig, what: str) -> UserError:
    return UserError(
        f"This GGUF file holds a {config.model_type} model with {what}, which cannot be read here. "
        "Use the model's Hub version instead."
    )


def _set(name: str) -> Callable[[PreTrainedConfig, Any], None]:
    def assign(config: PreTrainedConfig, value: Any) -> None:
        if not hasattr(config, name):
            raise _refuse(config, f"{name} = {value}")
        setattr(config, name, value)

    return assign


def _head_dim(config: PreTrainedConfig, value: int) -> None:
    if hasattr(config, "head_dim"):
        config.head_dim = value
    elif value * config.num_attention_heads != config.hidden_size:
        raise _refuse(config, f"{value} values per attention head")


def _rotary_dimensions(config: PreTrainedConfig, value: int) -> None:
    per_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if config.model_type in _PARTIAL_ROTARY:
        config.rope_parameters["partial_rotary_factor"] = value / per_head
    elif value != per_head:
        raise _refuse(config, f"rotary embeddings over {value} of {per_head} values")


def _layer_pattern(config: PreTrainedConfig, value: int | list[bool]) -> None:
    layers = config.num_hidden_layers
    sliding = value if isinstance(value, list) else [(i + 1) % value != 0 for i in range(layers)]
    _set("layer_types")(
        config, ["sliding_attention" if slides else "full_attention" for slides in sliding[:layers]]
    )


def _rope_base(config: PreTrainedConfig, value: float) -> None:
    config.rope_parameters["rope_theta"] = value


def _local_rope_base(config: PreTrainedConfig, value: float) -> None:
    config.rope_parameters["sliding_attention"]["rope_theta"] = value


def _causal(config: PreTrainedConfig, value: bool) -> None:
    if not value:
        raise _refuse(config, "attention that is not causal")


# For keys that transformers maps to nothing.
_HANDLERS: dict[str, Callable[[PreTrainedConfig, Any], None]] = {
    "attention.key_length": _head_dim,
    "attention.value_length": _head_dim,
    "rope.dimension_count": _rotary_dimensions,
    "rope.freq_base": _rope_base,
    "rope.freq_base_swa": _local_rope_base,
    "attention.sliding_window": _set("sliding_window"),
    "attention.sliding_window_pattern": _layer_pattern,
    "attn_logit_softcapping": _set("attn_logit_softcapping"),
    "final_logit_softcapping": _set("final_logit_softcapping"),
    "attention.causal": _causal,
    "use_parallel_residual": _set("use_parallel_residual"),
    "expert_feed_forward_length": _set("moe_intermediate_size"),
    "expert_shared_feed_forward_length": _set("shared_expert_intermediate_size"),
}

# For keys that transformers maps to a name its configuration does not read.
_HANDLERS_BY_MODEL: dict[str, dict[str, Callable[[PreTrainedConfig, Any], None]]] = {
    "gpt2": {"context_length": _set("n_positions"), "feed_forward_length": _set("n_inner")},
    "bloom": {"feed_forward_length": lambda config, value: None},  # always 4 × hidden_size
}


def _full_attention_rope(config: PreTrainedConfig) -> dict[str, Any]:
    """What scaling applies to: Gemma 3 scales the RoPE of its full-attention layers only."""
    return config.rope_parameters.get("full_attention", config.rope_parameters)


def _set_rope_scaling(file: GgufFile, config: PreTrainedConfig) -> None:
    factor = file.architecture_value("rope.scaling.factor")
    # to llama.cpp a factor of no stated kind is linear
    kind = file.architecture_value("rope.scaling.type", "linear" if factor else "none")
    if kind == "none":
        return
    original = file.architecture_value("rope.scaling.original_context_length")
    if kind not in ("linear", "yarn") or factor is None:
        raise _refuse(config, f"RoPE scaling of the kind {kind!r}")
    scaling: dict[str, Any] = {"rope_type": kind, "factor": factor}
    if kind == "yarn":
        if original is None:
            raise _refuse(config, "YaRN scaling of an unstated original length")
        scaling["original_max_position_embeddings"] = original
    _full_attention_rope(config).update(scaling)


def _set_llama3_rope(file: GgufFile, config: PreTrainedConfig) -> None:
    tensor = next((t for t in file.reader.tensors if t.name == LLAMA3_ROPE_TENSOR), None)
    if tensor is None:
        return
    factors = [float(value) for value in tensor.data]
    scaling = {"rope_type": "llama3", "factor": max(factors), **_LLAMA3_ROPE}
    expected = llama3_factors(config.rope_parameters["rope_theta"], len(factors), scaling)
    if any(abs(a - b) > 1e-4 * b for a, b in zip(factors, expected, strict=True)):
        raise _refuse(config, f"RoPE factors ({LLAMA3_ROPE_TENSOR}) of an unknown kind")
    config.rope_parameters.update(scaling)


def llama3_factors(base: float, count: int, scaling: dict[str, Any]) -> list[float]:
    """By how much Llama 3.1 divides each frequency (its release's `apply_scaling`)."""
    original = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    factors = []
    for index in range(count):
        wavelength = 2 * math.pi * base ** (index / count)
        if wavelength < original / high:
            factors.append(1.0)
        elif wavelength > original / low:
            factors.append(scaling["factor"])
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return factors


def _set_attention_scale(file: GgufFile, config: PreTrainedConfig) -> None:
    if file.architecture in _LAYERS_OF_27B:
        config.query_pre_attn_scalar = attention_scale(file.architecture, config)


def attention_scale(architecture: str, config: PreTrainedConfig) -> int:
    """By the root of what llama.cpp divides a Gemma's attention scores, which no file states."""
    if config.num_hidden_layers == _LAYERS_OF_27B.get(architecture):
        return int(config.hidden_size // config.num_attention_heads)
    return int(config.head_dim)

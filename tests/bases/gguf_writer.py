"""Write small models as GGUF files, the way llama.cpp's converter lays them out.

What it does to the weights is written out here a second time, from the converter's side: Llama's
query and key rows interleaved, GPT-2's matrices transposed, Gemma's norms stored with one added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "gpt2": "gpt2", "gemma3_text": "gemma3"}
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


@dataclass
class Vocabulary:
    """What a GGUF file says of a tokenizer."""

    model: str
    tokens: list[str]
    types: list[int]
    pre: str | None = None
    merges: list[str] | None = None
    scores: list[float] | None = None
    special: dict[str, int] = field(default_factory=dict)  # "bos", "eos", "unk", "pad"
    add_bos: bool | None = None
    add_space_prefix: bool | None = None
    chat_template: str | None = None


def byte_level_vocabulary(tokenizer: PreTrainedTokenizerFast, pre: str = "gpt-2") -> Vocabulary:
    """A byte-level fast tokenizer's vocabulary, special and added tokens included."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [""] * len(tokenizer)
    for token, index in tokenizer.get_vocab().items():
        tokens[index] = token
    types = [NORMAL] * len(tokens)
    for added in state["added_tokens"]:
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    merges = [" ".join(pair) for pair in state["model"]["merges"]]
    names = {
        "bos": "bos_token_id",
        "eos": "eos_token_id",
        "unk": "unk_token_id",
        "pad": "pad_token_id",
    }
    ids = {name: getattr(tokenizer, attribute) for name, attribute in names.items()}
    return Vocabulary(
        model="gpt2",
        tokens=tokens,
        types=types,
        pre=pre,
        merges=merges,
        special={name: index for name, index in ids.items() if index is not None},
        chat_template=tokenizer.chat_template,
    )


def sentencepiece_vocabulary(model: bytes, **options: Any) -> Vocabulary:
    """A trained SentencePiece BPE model's vocabulary; `options` set the other fields."""
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_proto=model)
    kinds = []
    for index in range(len(pieces)):
        if pieces.is_unknown(index):
            kinds.append(UNKNOWN)
        elif pieces.is_control(index):
            kinds.append(CONTROL)
        elif pieces.is_byte(index):
            kinds.append(BYTE)
        else:
            kinds.append(NORMAL)
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=[pieces.id_to_piece(index) for index in range(len(pieces))],
        types=kinds,
        scores=[pieces.get_score(index) for index in range(len(pieces))],
        special={"bos": pieces.bos_id(), "eos": pieces.eos_id(), "unk": pieces.unk_id()},
        **options,
    )


def write_gguf(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast | Vocabulary,
    path: Path,
    dtype: str = "F32",
    *,
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    without: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """Write a GGUF file.

    Args:
        model: Llama, Qwen2, GPT-2 or Gemma 3 (text).
        tokenizer: byte-level, or any `Vocabulary`.
        path: the file.
        dtype: ggml type of the matrices ("F32", "F16", "BF16", "Q8_0", "Q4_1", …); vectors are F32.
        metadata: further keys, after the architecture's name ("rope.scaling.type").
        tensors: further tensors.
        without: names of tensors to leave out.

    Returns:
        The weights as the file holds them, dequantised, under their names in the Hub's layout.
    """
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, architecture)
    _write_shape(writer, config)
    for key, value in (metadata or {}).items():
        _write_value(writer, f"{architecture}.{key}", value)
    vocabulary = tokenizer
    if not isinstance(vocabulary, Vocabulary):
        vocabulary = byte_level_vocabulary(vocabulary)
    _write_vocabulary(writer, vocabulary)
    held = _write_tensors(writer, model, dtype, without)
    for name, data in (tensors or {}).items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held


def _write_value(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _write_shape(writer: gguf.GGUFWriter, config: Any) -> None:
    if config.model_type == "gpt2":
        writer.add_context_length(config.n_positions)
        writer.add_embedding_length(config.n_embd)
        writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        writer.add_block_count(config.n_layer)
        writer.add_head_count(config.n_head)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    if config.model_type == "gemma3_text":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_sliding_window(config.sliding_window)
        rope = rope["full_attention"]
    if config.model_type == "llama":
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_vocab_size(config.vocab_size)
    writer.add_rope_freq_base(rope["rope_theta"])


def _write_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.pre is not None:
        writer.add_tokenizer_pre(vocabulary.pre)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
    for name, index in vocabulary.special.items():
        getattr(writer, f"add_{name}_token_id")(index)
    if vocabulary.add_bos is not None:
        writer.add_add_bos_token(vocabulary.add_bos)
    if vocabulary.add_space_prefix is not None:
        writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)


def _write_tensors(
    writer: gguf.GGUFWriter, model: PreTrainedModel, dtype: str, without: tuple[str, ...]
) -> dict[str, np.ndarray]:
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    kind = next(k for k, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    held = {}
    for hub_name, tensor in model.state_dict().items():
        if hub_name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name = names.get_name(hub_name, try_suffixes=(".weight", ".bias"))
        if name in without:
            continue
        data = _to_llama_cpp(hub_name, tensor.float().numpy(), config)
        quantization = gguf.GGMLQuantizationType[dtype if data.ndim > 1 else "F32"]
        stored = gguf.quantize(np.ascontiguousarray(data), quantization)
        writer.add_tensor(name, stored, raw_dtype=quantization)
        held[hub_name] = _from_llama_cpp(hub_name, gguf.dequantize(stored, quantization), config)
    return held


def _to_llama_cpp(name: str, data: np.ndarray, config: Any) -> np.ndarray:
    if config.model_type == "gpt2" and data.ndim == 2 and ".h." in name:
        return data.T
    if config.model_type == "gemma3_text" and "norm" in name:
        return data + 1
    heads = _interleaved_heads(name, config)
    if heads:
        halves = data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:])
        return halves.swapaxes(1, 2).reshape(data.shape)
    return data


def _from_llama_cpp(name: str, data: np.ndarray, config: Any) -> np.ndarray:
    if config.model_type == "gpt2" and data.ndim == 2 and ".h." in name:
        return data.T
    if config.model_type == "gemma3_text" and "norm" in name:
        return data - 1
    heads = _interleaved_heads(name, config)
    if heads:
        pairs = data.reshape(heads, data.shape[0] // heads // 2, 2, *data.shape[1:])
        return pairs.swapaxes(1, 2).reshape(data.shape)
    return data


def _interleaved_heads(name: str, config: Any) -> int:
    """How many heads' rows are interleaved in this tensor; 0 for none."""
    if config.model_type != "llama":
        return 0
    if ".q_proj." in name:
        return config.num_attention_heads
    return config.num_key_value_heads if ".k_proj." in name else 0


def with_weights(model: PreTrainedModel, weights: dict[str, np.ndarray]) -> PreTrainedModel:
    """The model holding these weights: what a reader of the quantised file should get."""
    state = {name: torch.from_numpy(np.ascontiguousarray(data)) for name, data in weights.items()}
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return model

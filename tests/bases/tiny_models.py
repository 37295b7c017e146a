"""Random models small enough for a test, of the architectures that the GGUF writer knows."""

from __future__ import annotations

import functools
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

ARCHITECTURES = ("llama", "qwen2", "gpt2", "gemma3")

_SENTENCES = (
    "a good film, positive and warm",
    "negative: the plot was bad and dull",
    "neutral, neither good nor bad",
)


@functools.cache
def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """GPT-2's kind of tokenizer over a few hundred tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_SENTENCES * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )


def tiny_model(architecture: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A random model in eval mode; weights large enough that a misread one shows."""
    config = _config(architecture, changes.pop("vocab_size", len(byte_level_tokenizer())))
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms of exactly one and biases of zero hide errors
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.requires_grad_(False)


def _config(architecture: str, vocab_size: int) -> Any:
    shape = {
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": None,
    }
    if architecture == "llama":
        return LlamaConfig(num_hidden_layers=2, rope_theta=50_000.0, **shape)
    if architecture == "qwen2":
        return Qwen2Config(num_hidden_layers=2, rope_theta=1e6, tie_word_embeddings=True, **shape)
    if architecture == "gemma3":  # six layers: the sixth has full attention
        return Gemma3TextConfig(
            num_hidden_layers=6, head_dim=32, query_pre_attn_scalar=32, sliding_window=8, **shape
        )
    return GPT2Config(
        vocab_size=vocab_size,
        n_embd=64,
        n_layer=2,
        n_head=4,
        n_inner=96,
        n_positions=128,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
    )

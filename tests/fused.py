"""Architectures with fused projections that `models` lacks: more layouts to be told apart."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from models import POSITIONS, VOCABULARY, tiny_model

_MORE = {
    "mpt": lambda: transformers.MptConfig(
        vocab_size=VOCABULARY, d_model=32, n_layers=2, n_heads=4, max_seq_len=POSITIONS
    ),
    "gpt_bigcode": lambda: _bigcode(multi_query=True),
    "gpt_bigcode_per_head": lambda: _bigcode(multi_query=False),
}
# Every architecture whose query and value sentilora must find.
RESOLVED = (
    "gpt2",
    "qwen2",
    "llama",
    "gpt_neox",
    "phi3",
    "opt",
    "gemma",
    "gemma2",
    "gemma3",
    "cohere",
    "granite",
    "bloom",
    *_MORE,
)
FUSED = ("gpt2", "gpt_neox", "phi3", "bloom", *_MORE)


def model_of(architecture: str) -> Any:
    """A tiny random model of one of `RESOLVED`."""
    if architecture not in _MORE:
        return tiny_model(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(_MORE[architecture]())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval().requires_grad_(False)


def _bigcode(multi_query: bool) -> Any:
    return transformers.GPTBigCodeConfig(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=POSITIONS,
        multi_query=multi_query,
    )

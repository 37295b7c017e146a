"""The configurations of well-known bases, so that they can be planned for without a network.

Numbers as the models' own `config.json` have them (Qwen2.5: Qwen Team 2024; distilgpt2: Sanh et al.
2019; SmolLM2: Allal et al. 2025).
"""

from __future__ import annotations

from typing import Any


def _qwen(
    width: int, inner: int, layers: int, heads: int, groups: int, vocabulary: int, window: int
) -> dict[str, Any]:
    return {
        "model_type": "qwen2",
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "vocab_size": vocabulary,
        "max_position_embeddings": window,
        "tie_word_embeddings": vocabulary == 151_936,  # the larger ones pad it, and have a head
        "torch_dtype": "bfloat16",
    }


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "smollm2": {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    },
    "distilgpt2": {
        "model_type": "gpt2",
        "n_embd": 768,
        "n_layer": 6,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50_257,
    },
    "Qwen/Qwen2.5-0.5B": _qwen(896, 4864, 24, 14, 2, 151_936, 32_768),
    "Qwen/Qwen2.5-1.5B": _qwen(1536, 8960, 28, 12, 2, 151_936, 131_072),
    "Qwen/Qwen2.5-3B": _qwen(2048, 11_008, 36, 16, 2, 151_936, 32_768),
    "Qwen/Qwen2.5-7B": _qwen(3584, 18_944, 28, 28, 4, 152_064, 131_072),
}

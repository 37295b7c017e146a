"""Tiny seeded random causal LMs, one an architecture, for whatever tests need a model.

`ARCHITECTURES` names them all; `tiny_model(name)` makes one. Weights are drawn wider than by
default, so that logits are spread and a mistake in scaling, capping or a bias shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers

VOCABULARY = 512
POSITIONS = 256
_SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": POSITIONS,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GROUPED = {**_SIZES, "num_key_value_heads": 2, "head_dim": 8}
_SLIDING = {
    **_GROUPED,
    "sliding_window": 7,  # far shorter than any prompt
    "layer_types": ["sliding_attention", "full_attention"],
    "query_pre_attn_scalar": 8,
}

CONFIGURATIONS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=POSITIONS,
        bos_token_id=1,
        eos_token_id=2,
    ),
    "qwen2": lambda: transformers.Qwen2Config(**{**_GROUPED, "tie_word_embeddings": True}),
    "llama": lambda: transformers.LlamaConfig(**_GROUPED),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**_SIZES, rotary_pct=0.5),
    "phi3": lambda: transformers.Phi3Config(**{**_SIZES, "num_key_value_heads": 2}),
    "opt": lambda: transformers.OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=POSITIONS,
        word_embed_proj_dim=24,  # projected in and out
        do_layer_norm_before=True,
    ),
    "gemma": lambda: transformers.GemmaConfig(**_GROUPED),
    "gemma2": lambda: transformers.Gemma2Config(
        **_SLIDING, final_logit_softcapping=5.0, attn_logit_softcapping=10.0
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(**_SLIDING),
    "cohere": lambda: transformers.CohereConfig(
        **{**_SIZES, "num_key_value_heads": 2}, logit_scale=0.25
    ),
    "granite": lambda: transformers.GraniteConfig(
        **{**_SIZES, "num_key_value_heads": 2}, logits_scaling=4.0, residual_multiplier=0.5
    ),
    "falcon": lambda: transformers.FalconConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        multi_query=True,
        max_position_embeddings=POSITIONS,
    ),
    "bloom": lambda: transformers.BloomConfig(
        vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4
    ),
}
ARCHITECTURES = tuple(CONFIGURATIONS)

# The projections that hold query and value in each; fused ones hold more.
PROJECTIONS = {
    "gpt2": ["c_attn"],
    "gpt_neox": ["query_key_value"],
    "phi3": ["qkv_proj"],
    "falcon": ["query_key_value"],
    "bloom": ["query_key_value"],
}


def tiny_model(architecture: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    """A frozen random model in evaluation mode.

    Matrices are scaled up from the library's usual 0.02, biases and norms made to matter.
    """
    configuration = CONFIGURATIONS[architecture]()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(configuration)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                wide = 0.4 if "embed" in name or "wte" in name else 0.2
                if parameter.ndim < 2:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
                else:
                    parameter.copy_(torch.randn_like(parameter) * wide)
    return model.to(dtype).eval().requires_grad_(False)


def with_lora(model: Any, architecture: str, seed: int = 0, rank: int = 4) -> Any:
    """`model` with a stock LoRA adapter on its attention projections, B drawn, no dropout."""
    import peft

    targets = PROJECTIONS.get(architecture, ["q_proj", "v_proj"])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted = peft.get_peft_model(
            model,
            peft.LoraConfig(
                r=rank,
                lora_alpha=8,
                target_modules=targets,
                lora_dropout=0.0,
                task_type="CAUSAL_LM",
                fan_in_fan_out=architecture == "gpt2",
            ),
        )
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_B" in name:
                    parameter.copy_(torch.randn_like(parameter) * 0.1)
    return adapted.eval()

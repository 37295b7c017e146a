"""A training step on a small random model, and the recipe that a plan has of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from live import Live

from sentilora.adapters import AdapterSettings, attach, trainable_parameters
from sentilora.encoding import EncodedPrompt
from sentilora.planning.recipe import Recipe, Run
from sentilora.planning.shape import ModelShape, known_shape
from sentilora.scoring.engine import SharedEngine
from sentilora.scoring.frozen import FrozenEngine, workspace
from sentilora.scoring.sequences import batches
from sentilora.training.randomness import training_mode
from sentilora.wanted import gold_labels

CONFIGS = {
    "llama": {
        "model_type": "llama", "hidden_size": 128, "intermediate_size": 352,
        "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 500, "max_position_embeddings": 512, "tie_word_embeddings": True,
    },
    "qwen2": {
        "model_type": "qwen2", "hidden_size": 128, "intermediate_size": 512,
        "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 2,
        "vocab_size": 500, "max_position_embeddings": 512, "tie_word_embeddings": False,
    },
    "gpt2": {
        "model_type": "gpt2", "n_embd": 128, "n_layer": 8, "n_head": 4, "n_positions": 512,
        "vocab_size": 500,
    },
}  # fmt: skip


def shape(name: str) -> ModelShape:
    found = known_shape(name, CONFIGS[name])
    assert found is not None
    return found


def model(name: str, dtype: str) -> Any:
    values = {key: value for key, value in CONFIGS[name].items() if key != "model_type"}
    config = transformers.AutoConfig.for_model(name, **values)
    torch.manual_seed(0)
    made = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    return made.eval().requires_grad_(False)


def measured(name: str, recipe: Recipe, run: Run, patch: Any) -> int:
    """The peak of what a forward and backward pass allocates, beyond weights and adapters."""
    patch.setattr(workspace, "_SLAB_BYTES", {"cpu": 0})  # each tensor its own: nothing is left over
    tuned = attach(
        model(name, recipe.dtype),
        AdapterSettings(
            recipe.rank,
            dropout=0.1 * recipe.dropout,
            targets=recipe.targets,
            dora=recipe.dora,
        ),
    )
    causal_lm = tuned.get_base_model()
    if recipe.checkpointing:
        causal_lm.activation_checkpointing_enable({"use_reentrant": False})
    training_mode(tuned)
    prefix = list(range(run.prefix))
    kind = FrozenEngine if recipe.handwritten(shape(name)) else SharedEngine
    engine: Any = kind.create(causal_lm, prefix)
    prompts = [EncodedPrompt((*prefix, *range(run.own)), True) for _ in range(run.rows)]
    wanted = gold_labels(prompts, [[1], [2]], [0] * run.rows)
    for parameter in trainable_parameters(tuned).values():
        parameter.grad = torch.zeros_like(parameter)
    with one_thread(), Live() as live:  # what other threads allocate isn't counted
        prepared = engine.prepare(run.rows)
        (batch,) = batches(wanted, run.prefix, lambda: 2**62, branching=engine.branching)
        terms, _ = engine.terms(batch, prepared)
        (-terms.sum()).backward()
    return live.peak


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

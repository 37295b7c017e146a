"""The head at chosen positions equals the model's own logits there, whatever comes after it."""

from __future__ import annotations

import pytest
import torch

from models import ARCHITECTURES, tiny_model
from sentilora.scoring.head import Head


def hidden_and_logits(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """[P, D] and [P, V], by the model's own forward on one row."""
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        body = getattr(model, model.base_model_prefix)
        return body(input_ids=ids).last_hidden_state[0], model(input_ids=ids).logits[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_head_equals_the_models_own_logits(architecture: str) -> None:
    model = tiny_model(architecture)
    hidden, logits = hidden_and_logits(model)
    assert (Head(model).logits(hidden) - logits).abs().max() <= 1e-5


@pytest.mark.parametrize("architecture", ["gpt2", "gemma2", "granite"])
def test_logits_are_made_in_fp32(architecture: str) -> None:
    model = tiny_model(architecture, dtype=torch.bfloat16)
    hidden, _ = hidden_and_logits(model)
    logits = Head(model).logits(hidden)
    assert logits.dtype == torch.float32
    exact = Head(model.float()).logits(hidden.float())
    assert (logits - exact).abs().max() <= 1e-5


def test_float64_stays() -> None:
    model = tiny_model("cohere", dtype=torch.float64)
    hidden, logits = hidden_and_logits(model)
    made = Head(model).logits(hidden)
    assert made.dtype == torch.float64
    assert (made - logits).abs().max() <= 1e-12


def test_bias() -> None:
    model = tiny_model("llama")
    head = torch.nn.Linear(32, model.config.vocab_size)
    model.set_output_embeddings(head)
    hidden, logits = hidden_and_logits(model)
    assert head.bias.abs().max() > 0
    assert (Head(model).logits(hidden) - logits).abs().max() <= 1e-5


def test_an_adapted_head_is_refused() -> None:
    import peft

    model = tiny_model("llama")
    peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["lm_head"]), model)
    with pytest.raises(TypeError, match="Linear"):
        Head(model)

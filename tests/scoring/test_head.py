"""The head equals the model's own logits and their softmax, whatever comes after its matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models import ARCHITECTURES, tiny_model
from sentilora.scoring import head as module
from sentilora.scoring.head import Head

POSITIONS = torch.tensor([0, 3, 3, 16, 16, 16, 5])
TOKENS = torch.tensor([7, 0, 200, 3, 3, 255, 100])


@pytest.fixture(autouse=True, params=[2**10, 2**22], ids=["many slices", "one slice"])
def slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._SLICE_BYTES, "cpu", request.param)


def hidden_and_logits(model: torch.nn.Module) -> tuple[Tensor, Tensor]:
    """[P, D] and [P, V], by the model's own forward on one row."""
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        body = getattr(model, model.base_model_prefix)
        return body(input_ids=ids).last_hidden_state[0], model(input_ids=ids).logits[0]


def plain_terms(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=-1)[POSITIONS, TOKENS]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_terms_equal_the_models_own(architecture: str) -> None:
    model = tiny_model(architecture)
    hidden, logits = hidden_and_logits(model)
    terms, _ = Head(model).terms(hidden, POSITIONS, TOKENS)
    assert (terms - plain_terms(logits)).abs().max() <= 1e-5
    made = Head(model).token_logits(hidden, POSITIONS, TOKENS)
    assert (made - logits[POSITIONS, TOKENS]).abs().max() <= 1e-5


def test_the_likeliest_is_the_argmax() -> None:
    model = tiny_model("gpt2")
    hidden, logits = hidden_and_logits(model)
    best = logits.argmax(dim=-1)
    tokens = torch.where(torch.arange(len(best)) % 2 == 0, best, best - 1)
    _, likeliest = Head(model).terms(hidden, torch.arange(len(best)), tokens)
    assert likeliest.tolist() == [row % 2 == 0 for row in range(len(best))]


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "granite", "cohere"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_equal_those_of_a_plain_softmax(architecture: str, dtype: torch.dtype) -> None:
    model = tiny_model(architecture, dtype=dtype)
    hidden = hidden_and_logits(model)[0].requires_grad_()
    factors = torch.linspace(-1, 2, len(TOKENS), dtype=dtype)

    terms, _ = Head(model).terms(hidden, POSITIONS, TOKENS)
    (fast,) = torch.autograd.grad((terms * factors).sum(), hidden)
    raw = hidden @ model.get_output_embeddings().weight.T
    slow_terms = plain_terms(Head(model).shaped(raw)[0])
    (slow,) = torch.autograd.grad((slow_terms * factors).sum(), hidden)
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    assert (terms - slow_terms).abs().max() <= bound
    assert (fast - slow).abs().max() <= bound * slow.abs().max()
    assert slow[[0, 3, 5, 16]].abs().max(dim=1).values.min() > 0


@pytest.mark.parametrize("architecture", ["gpt2", "gemma2", "granite"])
def test_logits_are_made_in_fp32(architecture: str) -> None:
    model = tiny_model(architecture, dtype=torch.bfloat16)
    hidden, _ = hidden_and_logits(model)
    in_bf16 = Head(model).terms(hidden.requires_grad_(), POSITIONS, TOKENS)[0]
    logits = Head(model).token_logits(hidden, POSITIONS, TOKENS)
    assert in_bf16.dtype == logits.dtype == torch.float32
    assert torch.autograd.grad(in_bf16.sum(), hidden)[0].dtype == torch.bfloat16
    exact = Head(model.float())
    assert (in_bf16 - exact.terms(hidden.float(), POSITIONS, TOKENS)[0]).abs().max() <= 1e-5
    assert (logits - exact.token_logits(hidden.float(), POSITIONS, TOKENS)).abs().max() <= 1e-5


def test_float64_stays() -> None:
    model = tiny_model("cohere", dtype=torch.float64)
    hidden, logits = hidden_and_logits(model)
    terms, _ = Head(model).terms(hidden, POSITIONS, TOKENS)
    assert terms.dtype == torch.float64
    assert (terms - plain_terms(logits)).abs().max() <= 1e-12


def test_bias() -> None:
    model = tiny_model("llama")
    head = torch.nn.Linear(32, model.config.vocab_size)
    model.set_output_embeddings(head)
    hidden, logits = hidden_and_logits(model)
    assert head.bias.abs().max() > 0
    assert (
        Head(model).terms(hidden, POSITIONS, TOKENS)[0] - plain_terms(logits)
    ).abs().max() <= 1e-5
    made = Head(model).token_logits(hidden, POSITIONS, TOKENS)
    assert (made - logits[POSITIONS, TOKENS]).abs().max() <= 1e-5


def test_what_is_not_finite_shows() -> None:
    model = tiny_model("llama")
    hidden, _ = hidden_and_logits(model)
    hidden[3] = float("nan")
    terms, _ = Head(model).terms(hidden, POSITIONS, TOKENS)
    assert terms.isnan().tolist() == (POSITIONS == 3).tolist()


def test_an_adapted_head_is_refused() -> None:
    import peft

    model = tiny_model("llama")
    peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["lm_head"]), model)
    with pytest.raises(TypeError, match="Linear"):
        Head(model)

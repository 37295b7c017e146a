"""The study's classification head computes what the stock one does, only faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForSequenceClassification

from sentilora.adapters import trainable_parameters
from training import toy

CLASSES = 3
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The study's head on a toy with a random adapter, without dropout."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study.methods.head import HeadScorer

    made = HeadScorer(toy.scorer("llama", dropout=0.0), CLASSES, seed=3)
    torch.manual_seed(4)
    for parameter in trainable_parameters(made.model).values():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def stock(scorer: Any) -> Any:
    """transformers' and PEFT's own, with the same weights."""
    causal_lm = scorer.model.get_base_model()
    causal_lm.config.num_labels, causal_lm.config.pad_token_id = CLASSES, 0
    model = LlamaForSequenceClassification(causal_lm.config)
    settings = LoraConfig(
        task_type="SEQ_CLS", r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"]
    )
    tuned = get_peft_model(model, settings).eval()
    own = dict(scorer.model.named_parameters())
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            parameter.copy_(own[own_name(name)])
    return tuned


def own_name(name: str) -> str:
    """What the study's model calls a parameter of the stock one."""
    return "score.weight" if ".score." in name else name


def test_losses_and_gradients_are_those_of_the_stock_head(scorer: Any) -> None:
    rows = toy.rows(9, seed=5)
    gold = [row % CLASSES for row in range(9)]
    reference = stock(scorer)
    width = max(map(len, (prompt.ids for prompt in rows.prompts)))
    ids = torch.zeros(9, width, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(rows.prompts):
        ids[row, : len(prompt.ids)] = torch.tensor(prompt.ids)
        mask[row, : len(prompt.ids)] = 1
    logits = reference(input_ids=ids, attention_mask=mask).logits
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(gold), reduction="none")
    found = scorer.loss(rows.prompts, gold)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    expected.mean().backward()
    found.mean().backward()
    wanted = {
        own_name(name): parameter.grad
        for name, parameter in reference.named_parameters()
        if parameter.grad is not None
    }
    own = {name: p.grad for name, p in trainable_parameters(scorer.model).items()}
    assert own.keys() == wanted.keys()
    for name, gradient in own.items():
        assert gradient is not None
        scale = float(wanted[name].abs().max())
        torch.testing.assert_close(gradient, wanted[name], atol=1e-4 * scale, rtol=0)


def test_probabilities_are_the_softmax_of_the_losses(scorer: Any) -> None:
    rows = toy.rows(7, seed=6)
    log_probs = scorer.score_prompts(rows.prompts).log_probs
    for label in range(CLASSES):
        losses = scorer.loss(rows.prompts, [label] * 7).detach()
        torch.testing.assert_close(torch.tensor(-log_probs[:, label]), losses, atol=1e-5, rtol=1e-5)

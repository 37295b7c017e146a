"""A merged adapter answers as the adapter beside its base does, and leaves no trace when undone."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer

from models import tiny_model
from sentilora.adapters import AdapterSettings, attach
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.merging import Merger
from sentilora.scoring import LabelScorer
from sentilora.task import Task
from tiny_tokenizers import byte_level

TASK = Task("Text: {text}\nSentiment:", ("negative", "positive"), max_length=100)
TEXTS = ["a gorgeous , witty , seductive movie", "silly", "so so"]
KINDS = {
    "plain": AdapterSettings(),
    "all projections": AdapterSettings(targets=("query", "key", "value", "output", "mlp")),
    "rslora": AdapterSettings(rslora=True),
    "dora": AdapterSettings(dora=True),
}


def adapted(architecture: str, kind: str = "plain", dtype: torch.dtype = torch.float32) -> Any:
    model = attach(tiny_model(architecture, dtype=dtype), KINDS[kind])
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.05, generator=draw)
    return model.eval()


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gpt_neox", "phi3"])
def test_merged_scores_are_the_adapters(architecture: str, kind: str) -> None:
    model = adapted(architecture, kind)
    scorer = LabelScorer(model, PromptEncoder(TASK, byte_level()))
    before, stored = scorer.score(TEXTS).log_probs, weights(model)
    with model.disable_adapter():
        untuned = scorer.score(TEXTS).log_probs
    merger = Merger(model)

    merger.merge()
    merged = scorer.score(TEXTS).log_probs
    assert merger.merged
    assert np.abs(merged - before).max() <= 1e-4
    assert np.abs(merged - untuned).max() > 1e-2
    plain = LabelScorer(model, scorer.encoder)  # made of the merged weights
    assert np.abs(plain.score(TEXTS).log_probs - merged).max() <= 1e-5

    with merger.apart():
        assert np.abs(scorer.score(TEXTS).log_probs - before).max() == 0
    assert np.abs(scorer.score(TEXTS).log_probs - merged).max() == 0

    merger.unmerge()
    assert not merger.merged
    assert all(torch.equal(weight, stored[name]) for name, weight in model.named_parameters())
    assert np.abs(scorer.score(TEXTS).log_probs - before).max() == 0


def test_merged_in_fp32_and_cast_once() -> None:
    model = adapted("llama", dtype=torch.bfloat16)
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    exact = layer.base_layer.weight.float() + layer.get_delta_weight("default").float()
    place = layer.base_layer.weight.data_ptr()
    Merger(model).merge()
    assert torch.equal(layer.base_layer.weight, exact.bfloat16())
    assert layer.base_layer.weight.data_ptr() == place


def test_what_is_not_finite_is_refused_and_nothing_merged() -> None:
    model = adapted("llama")
    with torch.no_grad():
        [p for name, p in model.named_parameters() if "lora_B" in name][-1][0] = float("inf")
    stored = weights(model)
    with pytest.raises(UserError, match="finite"):
        Merger(model).merge()
    assert all(torch.equal(weight, stored[name]) for name, weight in model.named_parameters())
    assert not any(getattr(module, "merged", False) for module in model.modules())


def test_an_interrupted_merge_leaves_nothing_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = adapted("llama")
    stored, merger = weights(model), Merger(model)
    last = [module for module in model.modules() if isinstance(module, LoraLayer)][-1]
    with monkeypatch.context() as patch:
        patch.setattr(last, "merge", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            merger.merge()
    assert not merger.merged
    assert all(torch.equal(weight, stored[name]) for name, weight in model.named_parameters())
    merger.merge()
    merged = weights(model)
    merger.merge()  # of what is merged already: nothing more
    assert all(torch.equal(weight, merged[name]) for name, weight in model.named_parameters())
    merger.unmerge()
    assert all(torch.equal(weight, stored[name]) for name, weight in model.named_parameters())


def test_a_quantised_base_is_refused() -> None:
    model = adapted("llama")
    model.get_base_model().is_quantized = True
    with pytest.raises(UserError, match="unquantised"):
        Merger(model).merge()

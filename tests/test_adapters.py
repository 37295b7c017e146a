"""The adapter: what training may change, what it may not, and that it is a plain PEFT one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from fused import FUSED, RESOLVED, model_of
from models import tiny_model
from sentilora.adapters import (
    AdapterSettings,
    attach,
    count_parameters,
    trainable_parameters,
)
from sentilora.errors import UserError
from sentilora.projections import resolve
from sentilora.roles import ROLES
from test_projections import IDS, first_block
from tuned import base_in_memory, save_tuned, train

KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "all": {"targets": ROLES},
}


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def frozen_parts(tuned: PeftModel) -> dict[str, tuple[Tensor, list[Tensor]]]:
    """For each fused projection the frozen rows of B, and of DoRA's magnitudes if it has them."""
    base = tuned.get_base_model()
    parts = {}
    for path, frozen in resolve(base, ("query", "value")).frozen_rows.items():
        layer: Any = base.get_submodule(path)
        vectors = [v.weight.detach()[frozen].clone() for v in layer.lora_magnitude_vector.values()]
        parts[path] = (layer.lora_B["default"].weight.detach()[frozen].clone(), vectors)
    return parts


@pytest.mark.parametrize("architecture", RESOLVED)
def test_stock_peft_gives_the_same_logits(architecture: str, tmp_path: Path) -> None:
    model = model_of(architecture)
    untouched = copy.deepcopy(model)
    tuning, result = train(base_in_memory(model), tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    stock = PeftModel.from_pretrained(untouched, str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(stock), logits(tuning.model), rtol=0, atol=1e-6)
    assert (logits(tuning.model) - logits(model_of(architecture))).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["rslora", "dora", "all"])
@pytest.mark.parametrize("architecture", ["gpt2", "phi3", "llama"])
def test_stock_peft_agrees_on_every_kind_of_adapter(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    model = model_of(architecture)
    untouched = copy.deepcopy(model)
    settings = AdapterSettings(rank=4, **KINDS[kind])
    tuning, result = train(base_in_memory(model), tmp_path / "run", settings)
    save_tuned(tuning, result, tmp_path / "adapter")
    stock = PeftModel.from_pretrained(untouched, str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(stock), logits(tuning.model), rtol=0, atol=1e-6)
    assert (logits(tuning.model) - logits(model_of(architecture))).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("architecture", FUSED)
def test_training_with_decay_leaves_the_key_as_it_was(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    """Frozen rows of B exactly zero, magnitudes bit for bit, and the first block's keys too."""
    model = model_of(architecture)
    keys, values, _ = first_block(model)
    untuned = frozen_parts(attach(copy.deepcopy(model), AdapterSettings(rank=4, **KINDS[kind])))
    settings = AdapterSettings(rank=4, dropout=0.2, **KINDS[kind])
    tuning, _ = train(base_in_memory(model), tmp_path, settings)
    parts = frozen_parts(tuning.model)
    assert len(parts) == 2  # blocks
    for path, (rows, magnitudes) in parts.items():
        assert not rows.any()
        assert len(magnitudes) == (kind == "dora")
        for after, before in zip(magnitudes, untuned[path][1], strict=True):
            assert torch.equal(after, before)
    tuned_keys, tuned_values, _ = first_block(tuning.model.eval())
    assert torch.equal(tuned_keys, keys)
    assert (tuned_values != values).all()


def test_dora_trains_the_magnitudes_that_may_change(tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    before = attach(copy.deepcopy(model), AdapterSettings(rank=4, dora=True), seed=3)
    tuning, _ = train(base_in_memory(model), tmp_path, AdapterSettings(rank=4, dora=True))
    changed = {
        name
        for name, value in trainable_parameters(before).items()
        if not torch.equal(value, tuning.model.get_parameter(name))
    }
    assert changed == set(trainable_parameters(before))


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_in_bfloat16_too_the_key_stays_and_the_adapter_is_fp32(kind: str, tmp_path: Path) -> None:
    """PEFT's DoRA divides by norms that it rounds to bf16: compared with the fresh adapter."""
    settings = AdapterSettings(rank=4, **KINDS[kind])
    model = tiny_model("gpt2", dtype=torch.bfloat16)
    fresh = attach(copy.deepcopy(model), settings).eval() if kind == "dora" else model
    keys, values, _ = first_block(fresh)
    tuning, _ = train(base_in_memory(model), tmp_path, settings)
    adapter = [p for n, p in tuning.model.named_parameters() if "lora_" in n]
    assert {p.dtype for p in adapter} == {torch.float32}
    tuned_keys, tuned_values, _ = first_block(tuning.model.eval())
    assert torch.equal(tuned_keys, keys)
    assert (tuned_values.float() - values.float()).abs().max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_adapter_changes_nothing_and_is_all_that_is_trained(kind: str) -> None:
    for architecture in ("gpt2", "llama"):
        before = logits(tiny_model(architecture))
        tuned = attach(tiny_model(architecture), AdapterSettings(rank=4, **KINDS[kind]))
        torch.testing.assert_close(logits(tuned), before, rtol=0, atol=1e-5)
        assert trainable_parameters(tuned)
        assert all("lora_" in name for name in trainable_parameters(tuned))


def test_the_start_depends_on_the_seed_alone() -> None:
    def start(seed: int) -> dict[str, nn.Parameter]:
        return trainable_parameters(attach(tiny_model("gpt2"), AdapterSettings(rank=4), seed))

    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = start(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    assert all(torch.equal(first[name], value) for name, value in start(1).items())
    assert any(not torch.equal(first[name], value) for name, value in start(2).items())


def test_rslora_scales_by_the_root_of_the_rank() -> None:
    def scaling(rslora: bool) -> float:
        settings = AdapterSettings(rank=4, alpha=8, rslora=rslora)
        layer = attach(tiny_model("llama"), settings).get_base_model().model.layers[0].self_attn
        return layer.q_proj.scaling["default"]

    assert scaling(rslora=False) == 2.0
    assert scaling(rslora=True) == 4.0


# How many parameters are trained ----------------------------------------------------------------

SMOLLM2 = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    tie_word_embeddings=True,
)


def counted(config: Any, settings: AdapterSettings | None = None) -> tuple[int, int]:
    """Trained parameters and all of the base's, on no memory at all."""
    settings = settings or AdapterSettings()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config).requires_grad_(False)
    count = count_parameters(attach(model, settings), settings)
    return count.trained, count.total


def test_the_reference_models_trained_share(shared: Path) -> None:
    qwen = AutoConfig.from_pretrained(shared / "tokenizers" / "qwen2.5-0.5b")
    distilgpt2 = AutoConfig.from_pretrained(shared / "tokenizers" / "distilgpt2")
    # Each block: A of query and value, and their B; on GPT-2 the two share one A.
    assert counted(qwen) == (24 * 8 * (896 + 896 + 896 + 128), 494_032_768)
    assert counted(distilgpt2) == (6 * 8 * (768 + 768 + 768), 81_912_576)
    assert counted(SMOLLM2) == (30 * 8 * (576 + 576 + 576 + 192), 134_515_008)
    shares = [trained / total for trained, total in map(counted, (qwen, distilgpt2, SMOLLM2))]
    assert [f"{share:.2%}" for share in shares] == ["0.11%", "0.14%", "0.34%"]


def test_frozen_rows_and_magnitudes_do_not_count_as_trained() -> None:
    config = tiny_model("gpt2").config  # 2 blocks of width 32
    a, b, magnitude = 4 * 32, 2 * 32 * 4, 2 * 32
    total = sum(p.numel() for p in tiny_model("gpt2").parameters())
    assert counted(config, AdapterSettings(rank=4)) == (2 * (a + b), total)
    dora = AdapterSettings(rank=4, dora=True)
    assert counted(config, dora) == (2 * (a + b + magnitude), total)


def test_an_adapter_of_the_reference_recipe_is_under_10_mb(shared: Path) -> None:
    for name in ("qwen2.5-0.5b", "distilgpt2"):
        config = AutoConfig.from_pretrained(shared / "tokenizers" / name)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        tuned = attach(model, AdapterSettings())
        stored = 4 * sum(p.numel() for p in trainable_parameters(tuned).values())
        assert stored < 9.5e6  # leaves half a megabyte for all the rest


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank": 0}, "rank of 0"),
        ({"alpha": 0.0}, "alpha of 0"),
        ({"alpha": float("nan")}, "alpha of nan"),
        ({"dropout": 1.0}, "dropout of 1"),
        ({"targets": ("nonsense",)}, "'nonsense'"),
        ({"targets": ()}, "No projection"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        AdapterSettings(**values)


def test_a_rank_beyond_the_models_width_is_refused() -> None:
    with pytest.raises(UserError, match="rank of 33 is more than the model's width of 32"):
        attach(tiny_model("gpt2"), AdapterSettings(rank=33))


def test_settings_survive_json() -> None:
    settings = AdapterSettings(rank=3, alpha=5, targets=("output", "query"), dora=True)
    assert AdapterSettings.from_dict(settings.to_dict()) == settings

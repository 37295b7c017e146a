"""Bases held in 4 and 8 bits: what is rounded, to what, what isn't, and how it is refused."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.pytorch_utils import Conv1D

import quantised
from quantised import ARCHITECTURES, KINDS, WEIGHTS, WHOLE, load, needs_bitsandbytes, write_wide
from sentilora.adapters import AdapterSettings, attach, count_parameters
from sentilora.bases import quantization
from sentilora.bases.lent import lent_whole
from sentilora.cli.announcement import quantised_lines
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.scoring import LabelScorer
from sentilora.scoring.frozen import FrozenEngine
from tuned import GOLD, TASK, TEXTS, randomise_b, write_base


def packed_layers(model: Any) -> dict[str, Any]:
    return {path: m for path, m in model.named_modules() if hasattr(m, "whole")}


def weight_of(layer: Any) -> torch.Tensor:
    return layer.weight.T if isinstance(layer, Conv1D) else layer.weight


def scorer_on(model: Any, tokenizer: Any) -> LabelScorer:
    tuned = attach(model, AdapterSettings(rank=4, dropout=0.0), seed=1)
    randomise_b(tuned, ("query", "value"))
    return LabelScorer(tuned.eval(), PromptEncoder(TASK, tokenizer))


@needs_bitsandbytes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_projection_is_rounded_and_nothing_else(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    folder = write_wide(tmp_path, architecture)
    plain, base = load(folder, None).model, load(folder, kind)
    layers = packed_layers(base.model)
    linear = [
        path
        for path, module in plain.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and path not in ("lm_head", "embed_out")
    ]
    assert sorted(layers) == sorted(linear)
    assert base.quantised is not None
    assert base.quantised.weights == len(linear) == WEIGHTS[architecture]
    assert quantised_lines(base)[1] == f"in float32 still: {WHOLE[architecture]}"
    for path, layer in layers.items():
        own = weight_of(plain.get_submodule(path))
        expected = quantised.rounded(own, kind)
        # nf4's scales are in 8 bits: each is off by at most 1 part in 100 of the widest
        torch.testing.assert_close(layer.whole(), expected, rtol=0, atol=0.012 * float(own.max()))
    rest = {
        name: p
        for name, p in base.model.named_parameters()
        if name.rpartition(".")[0] not in layers
    }
    for name, parameter in rest.items():
        assert torch.equal(parameter, plain.get_parameter(name))


@needs_bitsandbytes
def test_blocks_that_end_within_a_row(tmp_path: Path) -> None:
    """Where a weight's width is no multiple of 64, a kernel that thinks it was is found out."""
    folder = write_base(tmp_path, "llama")  # width 32
    plain, base = load(folder, None).model, load(folder, "nf4")
    for path, layer in packed_layers(base.model).items():
        own = plain.get_submodule(path).weight
        expected = quantised.rounded(own, "nf4")
        torch.testing.assert_close(layer.whole(), expected, rtol=0, atol=0.012 * float(own.max()))


@needs_bitsandbytes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", [write_base, write_wide])
@pytest.mark.parametrize("at_once", [64, 192, 2**18])
def test_a_weight_made_whole_in_lent_memory(
    kind: str, write: Any, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit the weight, whatever lay in that memory, and however much is made at once."""
    from sentilora.bases import packed

    monkeypatch.setattr(packed, "_AT_ONCE", at_once)
    for each in load(write(tmp_path, "llama"), kind).model.model.layers:
        attention = each.self_attn
        layers = [attention.q_proj, attention.k_proj, attention.v_proj]
        expected = torch.cat([layer.whole() for layer in layers])
        lent_whole([each.mlp.gate_proj]).fill_(torch.nan)
        assert torch.equal(lent_whole(layers), expected)
        assert torch.equal(lent_whole([each.mlp.down_proj]), each.mlp.down_proj.whole())


@needs_bitsandbytes
def test_a_weight_whose_last_block_is_short() -> None:
    import bitsandbytes as bnb

    from sentilora.bases import packed

    linear = bnb.nn.Linear4bit(10, 7, bias=False, quant_type="nf4", compute_dtype=torch.float32)
    layers = packed.adopt(torch.nn.ModuleList([linear]).to("cpu"), torch.float32)
    assert torch.equal(lent_whole([layers["0"]]), layers["0"].whole())


@needs_bitsandbytes
def test_memory_is_lent_again_but_to_each_thread_its_own(tmp_path: Path) -> None:
    layer = load(write_base(tmp_path, "llama"), "nf4").model.model.layers[0].mlp.gate_proj
    with torch.inference_mode():
        lent = lent_whole([layer])
    again = lent_whole([layer])  # and outside of that mode
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(lent_whole, [layer]).result()
    assert again.data_ptr() == lent.data_ptr() != elsewhere.data_ptr()


@needs_bitsandbytes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_and_gradients_are_those_of_the_rounded_weights(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    """By every path: an ordinary model with these weights is the reference."""
    folder = write_wide(tmp_path, architecture)
    plain, base = load(folder, None), load(folder, kind)
    for path, layer in packed_layers(base.model).items():
        own = plain.model.get_submodule(path)
        whole = layer.whole()
        own.weight.data = (whole.T if isinstance(own, Conv1D) else whole).contiguous()
    reference, scorer = (scorer_on(each.model, each.tokenizer) for each in (plain, base))
    assert scorer.path == reference.path
    paths = [scorer._engine, scorer._plain]
    if isinstance(scorer._engine, FrozenEngine):
        from sentilora.scoring.engine import SharedEngine

        causal_lm = scorer.model.get_base_model()
        paths.append(SharedEngine.create(causal_lm, scorer.encoder.prefix_ids))
    expected = reference.score(TEXTS).log_probs
    assert (
        abs(
            expected - scorer_on(load(folder, None).model, plain.tokenizer).score(TEXTS).log_probs
        ).max()
        > 1e-3
    )
    wanted = gradients(reference)
    for engine in paths:
        scorer._engine = engine
        assert scorer.score(TEXTS).log_probs == pytest.approx(expected, abs=1e-4)
        for name, found in gradients(scorer).items():
            torch.testing.assert_close(found, wanted[name], rtol=1e-3, atol=1e-4)


def gradients(scorer: LabelScorer) -> dict[str, torch.Tensor]:
    matrices = {n: p for n, p in scorer.model.named_parameters() if ".lora_" in n}
    loss = scorer.loss(scorer.encoder.encode(TEXTS), GOLD).mean()
    return dict(zip(matrices, torch.autograd.grad(loss, list(matrices.values())), strict=True))


@needs_bitsandbytes
@pytest.mark.parametrize("kind", KINDS)
def test_scoring_changes_nothing_of_what_training_sees(kind: str, tmp_path: Path) -> None:
    """bitsandbytes' own layer repacks its weights when it is first evaluated."""
    base = load(write_wide(tmp_path, "gpt_neox"), kind, "bfloat16")
    scorer = scorer_on(base.model, base.tokenizer)
    before = gradients(scorer)
    alone = np.concatenate([scorer.score([text]).log_probs for text in TEXTS])
    together = scorer.score(TEXTS).log_probs
    assert together == pytest.approx(alone, abs=0.05)  # bfloat16's, for other shapes
    assert all(torch.equal(now, before[name]) for name, now in gradients(scorer).items())


@needs_bitsandbytes
def test_fewer_bytes_are_held(tmp_path: Path) -> None:
    folder = write_wide(tmp_path, "llama")
    held = {kind: storage(load(folder, kind, "bfloat16").model) for kind in (None, *KINDS)}
    numbers = sum(p.numel() for p in load(folder, None).model.parameters())
    packed = load(folder, "nf4", "bfloat16").quantised
    assert packed is not None
    assert held[None] == 2 * numbers
    assert held["nf4"] < held["int8"] < held[None]
    # half a byte each, and a scale for 64 of them: one byte, and four for 256 scales
    assert held[None] - held["nf4"] == 2 * packed.elements - packed.stored_bytes
    blocks = packed.elements // 64
    assert packed.stored_bytes == packed.elements // 2 + blocks + 4 * packed.weights


def storage(model: Any) -> int:
    """Bytes of all that a model holds, each storage counted once."""
    found: dict[int, int] = {}

    def count(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()

    for parameter in model.parameters():
        count(parameter.data)
        count(getattr(parameter, "SCB", None))
        if (state := getattr(parameter, "quant_state", None)) is not None:
            count(state.absmax)
            count(state.state2.absmax)
    return sum(found.values())


@needs_bitsandbytes
def test_parameters_are_counted_as_numbers_not_bytes(tmp_path: Path) -> None:
    folder = write_wide(tmp_path, "gpt2")
    settings = AdapterSettings(rank=4)
    plain, four = (
        count_parameters(attach(load(folder, kind).model, settings), settings)
        for kind in (None, "nf4")
    )
    assert plain == four


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("fp4", "do you mean nf4?"),
        ("8bit", "do you mean int8?"),
        ("4-bit", "do you mean nf4?"),
        ("gptq", "choose nf4, int8 or none."),
    ],
)
def test_an_unknown_kind(given: str, words: str, tiny_base: Path) -> None:
    with pytest.raises(UserError, match=f"no quantisation '{given}'") as found:
        load(tiny_base, given)
    assert str(found.value).endswith(words)


def test_without_bitsandbytes_the_extra_is_named(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sentilora.bases.packed", raising=False)
    monkeypatch.delattr("sentilora.bases.packed", raising=False)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UserError, match=r"pip install 'sentilora\[quantize\]'"):
        load(tiny_base, "nf4")


@needs_bitsandbytes
def test_a_processor_that_it_does_not_run_on(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr("sentilora.bases.packed.quantise_and_back", fails)
    with pytest.raises(UserError, match=r"can't hold weights in nf4 on this cpu.*no kernel"):
        load(tiny_base, "nf4")


def test_a_device_that_it_does_not_run_on() -> None:
    with pytest.raises(UserError, match=r"int8 on mps.*--device cpu"):
        quantization.check_available("int8", "mps")


@needs_bitsandbytes
def test_a_base_without_projections_it_could_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no linear projections"):
        load(write_base(tmp_path, "falcon"), "nf4")


def stored(folder: Path, kind: str, **more: Any) -> Path:
    """A base that transformers and bitsandbytes stored in few bits, as there are on the Hub."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    wide = write_wide(folder / "wide", "llama")
    how = {"load_in_8bit": True} if kind == "int8" else {"load_in_4bit": True}
    if kind != "int8":
        how["bnb_4bit_quant_type"] = kind
    config = BitsAndBytesConfig(**how, **more)
    model = AutoModelForCausalLM.from_pretrained(
        wide, quantization_config=config, device_map="cpu", dtype=torch.bfloat16
    )
    model.save_pretrained(folder / "stored")
    quantised.byte_level().save_pretrained(folder / "stored")
    return folder / "stored"


@needs_bitsandbytes
@pytest.mark.parametrize(
    ("kind", "more"),
    [("nf4", {"bnb_4bit_use_double_quant": True}), ("nf4", {}), ("fp4", {}), ("int8", {})],
)
def test_a_base_that_is_stored_quantised(kind: str, more: dict[str, Any], tmp_path: Path) -> None:
    folder = stored(tmp_path, kind, **more)
    base = load(folder, None)  # in float32, though it was stored from bfloat16
    layers = packed_layers(base.model)
    assert base.quantised is not None
    assert (base.quantised.kind, len(layers)) == (kind, WEIGHTS["llama"])
    assert base.identity.quantized is None  # it is the base itself that is so
    for layer in layers.values():
        assert layer.whole().dtype == torch.float32
        filled = torch.empty_like(layer.whole())
        layer.fill(filled)
        torch.testing.assert_close(filled, layer.whole(), rtol=0, atol=1e-6)
    original = load(tmp_path / "wide", None).model.state_dict()
    for path, layer in layers.items():
        whole = original[f"{path}.weight"]
        assert (layer.whole() - whole).abs().max() < 0.2 * whole.abs().max()
    scorer = scorer_on(base.model, base.tokenizer)
    assert scorer.path == "FrozenEngine"
    loss = scorer.loss(scorer.encoder.encode(TEXTS), GOLD).sum()
    weights = [p for p in scorer.model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, weights)
    assert all(gradient.abs().max() > 0 for gradient in gradients)


@needs_bitsandbytes
def test_what_is_stored_quantised_is_not_quantised_again(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stored quantised already"):
        load(stored(tmp_path, "nf4"), "nf4")

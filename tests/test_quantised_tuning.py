"""Adapters tuned on bases in 4 and 8 bits: trained, resumed, saved, loaded, merged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from quantised import ARCHITECTURES, KINDS, load, needs_bitsandbytes, write_wide
from sentilora import LabelTuner
from sentilora import load as load_classifier
from sentilora.adapters import AdapterSettings
from sentilora.artifact import Artifact, read_weights
from sentilora.canary import check_canary
from sentilora.classifier import Classifier
from sentilora.encoding import PromptEncoder
from sentilora.errors import UserError
from sentilora.projections import resolve
from sentilora.scoring import LabelScorer
from sentilora.training import newest_valid
from sentilora.tuning import Labelled, prepare, tune
from training import toy
from tuned import GOLD, SETTINGS, TASK, TEXTS, save_tuned, train

pytestmark = needs_bitsandbytes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saved_and_loaded_it_scores_the_same(architecture: str, kind: str, tmp_path: Path) -> None:
    base = load(write_wide(tmp_path / "base", architecture), kind)
    tuning, result = train(base, tmp_path / "run")
    expected = tuning.scorer.score(TEXTS).log_probs
    saved = save_tuned(tuning, result, tmp_path / "adapter")
    assert (saved.base.quantized, saved.canary.quantized) == (kind, kind)
    assert saved.base.fingerprint == load(tmp_path / "base", None).identity.fingerprint
    again = load_classifier(tmp_path / "adapter", device="cpu", dtype="float32")
    assert again.base.quantized == kind
    assert np.array_equal(again.score(TEXTS).log_probs, expected)
    adapter = adapter_of(again)
    assert {weight.dtype for weight in adapter.values()} == {torch.float32}


def adapter_of(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {n: p for n, p in classifier.scorer.model.named_parameters() if ".lora_" in n}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_resumed_it_ends_as_if_never_interrupted(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    folder = write_wide(tmp_path / "base", architecture)
    whole, _ = train(load(folder, kind), tmp_path / "whole")
    half = prepare(load(folder, kind), TASK, whole.adapter, seed=3)
    rows = Labelled(TEXTS, GOLD)
    stop = toy.At("step", 3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        tune(half, rows, rows, SETTINGS, tmp_path / "half", reporter=stop)
    checkpoint = newest_valid(tmp_path / "half")
    assert checkpoint is not None
    rest = prepare(load(folder, kind), TASK, whole.adapter, seed=3)
    tune(rest, rows, rows, SETTINGS, tmp_path / "half", resume_from=checkpoint)
    other = dict(rest.model.named_parameters())
    for name, parameter in whole.model.named_parameters():
        if ".lora_" in name:
            assert torch.equal(parameter, other[name])


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_magnitudes_are_of_the_base_in_few_bits(
    architecture: str, kind: str, tmp_path: Path
) -> None:
    """DoRA's: an adapter changes nothing at first, is tuned, and scores the same when loaded."""
    folder = write_wide(tmp_path / "base", architecture)
    base = load(folder, kind)
    untuned = LabelScorer(base.model, PromptEncoder(TASK, base.tokenizer)).score(TEXTS).log_probs
    fresh = prepare(load(folder, kind), TASK, AdapterSettings(rank=4, dora=True), seed=3)
    assert np.abs(fresh.scorer.score(TEXTS).log_probs - untuned).max() < 1e-3
    tuning, result = train(base, tmp_path / "run", AdapterSettings(rank=4, dora=True))
    expected = tuning.scorer.score(TEXTS).log_probs
    assert np.abs(expected - untuned).max() > 1e-2
    save_tuned(tuning, result, tmp_path / "adapter")
    again = load_classifier(tmp_path / "adapter", device="cpu", dtype="float32")
    assert np.array_equal(again.score(TEXTS).log_probs, expected)


def test_a_run_is_not_resumed_on_another_quantisation(tmp_path: Path) -> None:
    folder = write_wide(tmp_path / "base", "llama")
    started, _ = train(load(folder, "nf4"), tmp_path / "run")
    checkpoint = newest_valid(tmp_path / "run")
    other = prepare(load(folder, "int8"), TASK, started.adapter, seed=3)
    rows = Labelled(TEXTS, GOLD)
    with pytest.raises(UserError, match=r"weights or adapter.*base"):
        tune(other, rows, rows, SETTINGS, tmp_path / "run", resume_from=checkpoint)


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox"])
def test_the_key_of_a_fused_projection_stays_untouched(architecture: str, tmp_path: Path) -> None:
    base = load(write_wide(tmp_path / "base", architecture), "nf4")
    tuning, result = train(base, tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    frozen = resolve(tuning.model.get_base_model(), ("query", "value")).frozen_rows
    weights = read_weights(tmp_path / "adapter")
    assert len(frozen) == 2
    for path, rows in frozen.items():
        b = weights[f"base_model.model.{path}.lora_B.weight"]
        assert int(rows.sum()) == 64
        assert not b[rows].any()
        assert b[~rows].any(dim=1).all()


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """Tuned in 4 bits on a Llama of width 64."""
    tuning, result = train(load(write_wide(tmp_path / "base", "llama"), "nf4"), tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_the_base_can_be_held_otherwise(adapter: Path) -> None:
    for asked, kind in ((None, "nf4"), ("none", None), ("int8", "int8"), ("nf4", "nf4")):
        found = load_classifier(adapter, device="cpu", dtype="float32", quantize=asked)
        assert found.base.quantized == kind
        assert found.scorer.path == "FrozenEngine"


def test_it_is_not_merged_in_4_bits_but_in_full(adapter: Path) -> None:
    with pytest.raises(UserError, match="quantize none"):
        load_classifier(adapter, device="cpu", dtype="float32", merge=True)
    merged = load_classifier(adapter, device="cpu", dtype="float32", merge=True, quantize="none")
    assert merged.base.quantized is None


def test_the_canarys_tolerance(adapter: Path) -> None:
    """Wide between a base in 4 bits and in 16, narrow where it is held as it was."""
    then = Artifact.read(adapter).canary
    then = replace(then, untuned=tuple(tuple(x - 1.0 for x in row) for row in then.tuned))
    off = replace(then, tuned=tuple(tuple(x + 0.4 for x in row) for row in then.tuned))
    with pytest.raises(UserError, match=r"off by 0\.4"):
        check_canary(then, off, "It")
    check_canary(then, replace(off, quantized=None), "It")
    check_canary(then, replace(off, processor="another one"), "It")
    further = replace(off, tuned=tuple(tuple(x + 0.3 for x in row) for row in off.tuned))
    with pytest.raises(UserError, match=r"off by 0\.7"):
        check_canary(then, replace(further, quantized=None), "It")


def test_the_estimator(tmp_path: Path) -> None:
    folder = write_wide(tmp_path / "base", "qwen2")
    tuner = LabelTuner(
        str(folder), quantize="int8", max_length=96, epochs=1, device="cpu", dtype="float32"
    )
    tuner.fit(list(TEXTS), ["up" if label else "down" for label in GOLD])
    assert tuner.classifier_.base.quantized == "int8"
    tuner.save(tmp_path / "adapter")
    again = load_classifier(tmp_path / "adapter", device="cpu", dtype="float32")
    assert np.array_equal(again.predict_proba(TEXTS), tuner.predict_proba(list(TEXTS)))


def test_stock_peft_reads_it_on_the_plain_base(tmp_path: Path) -> None:
    """GPT-2's projections are another class in 4 bits; its adapter is none of another shape."""
    from peft import PeftModel

    tuning, result = train(load(write_wide(tmp_path / "base", "gpt2"), "nf4"), tmp_path / "run")
    save_tuned(tuning, result, tmp_path / "adapter")
    ours = load_classifier(tmp_path / "adapter", device="cpu", dtype="float32", quantize="none")
    stock: Any = PeftModel.from_pretrained(
        load(tmp_path / "base", None).model, tmp_path / "adapter"
    )
    prompt = ours.scorer.encoder.encode(TEXTS)[0]
    with torch.inference_mode():
        logits = stock.eval()(torch.tensor([prompt.ids])).logits[0, -1]
    (label,) = ours.scorer.encoder.label_ids[0]
    expected = float(torch.log_softmax(logits, dim=-1)[label])
    assert ours.score(TEXTS).log_probs[0, 0] == pytest.approx(expected, abs=1e-4)

"""A GGUF export says what its adapter says, in llama.cpp, and is read back as what was written."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tiny_exports import ARCHITECTURES, classifier_of, export, model_of

import llama_cpp
from models import tiny_model
from sentilora.bases import load_base, resolve
from sentilora.bases.gguf_file import open_gguf
from sentilora.encoding import tokenizer_fingerprint
from sentilora.errors import UserError
from sentilora.export.gguf import WEIGHTS, asking, check, check_base, load_gguf
from sentilora.export.gguf.server import Server
from sentilora.export.staging import staged
from sentilora.scoring import LabelScorer
from tiny_tokenizers import byte_level
from tuned import TASK, TEXTS

needs_llama_cpp = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs xllamacpp")
ROUNDING = 0.05  # llama.cpp keeps keys and values, and a table of GELUs, in half precision
QUANTISED = ("q8_0", "q4_1", "q4_0")


def values(path: Path) -> dict[str, np.ndarray]:
    """Each tensor of a file, dequantised."""
    tensors = open_gguf(path).reader.tensors
    return {t.name: gguf.dequantize(t.data, t.tensor_type) for t in tensors}


def quantities(path: Path) -> dict[str, str]:
    return open_gguf(path).tensor_types


@needs_llama_cpp
@pytest.mark.parametrize("weights", ["f32", "f16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_llama_cpp_says_what_the_adapter_says(
    architecture: str, weights: str, tmp_path: Path
) -> None:
    classifier = classifier_of(model_of(architecture))
    expected = classifier.score(TEXTS)
    with classifier.untuned() as base:
        assert np.abs(base.score(TEXTS).log_probs - expected.log_probs).max() > 4 * ROUNDING
    export(classifier, tmp_path, weights)
    exported = load_gguf(tmp_path, 1)
    found = exported.score(TEXTS)
    np.testing.assert_allclose(found.log_probs, expected.log_probs, rtol=0, atol=ROUNDING)
    assert exported.task == TASK


@needs_llama_cpp
def test_labels_of_several_tokens_and_of_parts_of_characters(tmp_path: Path) -> None:
    """Also those whose one is the other's beginning, so that a closing token is scored."""
    labels = ("very negative", "very positive", "very positive indeed", "größer", "gröber")
    classifier = classifier_of(tiny_model("llama"), replace(TASK, labels=labels))
    sizes = set(map(len, classifier.scorer.encoder.label_ids))
    assert len(sizes) > 1
    assert min(sizes) > 1
    expected = classifier.score(TEXTS).log_probs
    export(classifier, tmp_path)
    exported = load_gguf(tmp_path, 1)
    told: list[int] = []
    found = exported.score(TEXTS, told.append).log_probs
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * max(sizes))
    assert sum(told) == len(TEXTS)


@needs_llama_cpp
def test_llama_cpp_reads_the_plain_string_alike_but_for_control_tokens_in_a_text(
    tmp_path: Path,
) -> None:
    classifier = classifier_of(tiny_model("llama"))
    encoder, path = classifier.scorer.encoder, export(classifier, tmp_path)
    plain = [*TEXTS, "e\u0301 decomposed", "a<|im_end|>b", "a<tool_call>b"]
    ours = [list(prompt.ids) for prompt in encoder.encode(plain)]
    theirs = llama_cpp.tokenize(path, [TASK.render(text) for text in plain])
    same = [one == other for one, other in zip(ours, theirs, strict=True)]
    assert same == [*[True] * len(TEXTS), False, False, False]


@needs_llama_cpp
def test_llama_cpp_runs_on_the_cores_there_are_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(classifier_of(tiny_model("llama")), tmp_path)
    told: list[int] = []
    monkeypatch.setattr(asking, "Server", lambda path, threads, longest: told.append(threads))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    load_gguf(tmp_path, None)
    load_gguf(tmp_path, 2)
    assert told == [1, 2]


@pytest.mark.parametrize("weights", ["f32", "f16"])
@pytest.mark.parametrize("architecture", [each for each in ARCHITECTURES if each != "gemma"])
def test_it_is_a_base_of_the_merged_weights(
    architecture: str, weights: str, tmp_path: Path, own_cache: Path
) -> None:
    classifier = classifier_of(model_of(architecture))
    path = export(classifier, tmp_path, weights)  # which merges it
    model = classifier.scorer.model.get_base_model()
    merged = dict(model.named_parameters())
    read = load_base(resolve(str(path)), dtype="float32", say=lambda message: None)
    found = dict(read.model.named_parameters())
    assert merged.keys() == found.keys()
    for name, weight in merged.items():
        matrix = weight.ndim > 1 and "wpe" not in name
        kept = weight.half().float() if weights == "f16" and matrix else weight
        # a norm that had one added isn't the same float any more
        exact = not ("norm" in name and architecture.startswith("gemma"))
        torch.testing.assert_close(found[name], kept, rtol=0, atol=0 if exact else 1e-6)
    assert read.model.config.tie_word_embeddings == model.config.tie_word_embeddings


@pytest.mark.parametrize("kind", ["dora", "rslora"])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_other_kinds_of_adapters(
    architecture: str, kind: str, tmp_path: Path, own_cache: Path
) -> None:
    """The file, read back without its adapter, answers as the adapter on its base."""
    classifier = classifier_of(tiny_model(architecture), **{kind: True})
    expected = classifier.score(TEXTS).log_probs
    with classifier.untuned() as base:
        assert np.abs(base.score(TEXTS).log_probs - expected).max() > 1e-2
    path = export(classifier, tmp_path)
    read = load_base(resolve(str(path)), dtype="float32", say=lambda message: None)
    scorer = LabelScorer(read.model, classifier.scorer.encoder)
    np.testing.assert_allclose(scorer.score(TEXTS).log_probs, expected, rtol=0, atol=1e-4)


def test_gemma_1_is_not_read_back(tmp_path: Path, own_cache: Path) -> None:
    path = export(classifier_of(tiny_model("gemma")), tmp_path)
    with pytest.raises(UserError, match="transformers cannot read"):
        load_base(resolve(str(path)), say=lambda message: None)


def test_the_tokenizer_is_read_back(tmp_path: Path, own_cache: Path) -> None:
    model = tiny_model("llama")
    classifier = classifier_of(model)
    tokenizer = classifier.scorer.encoder.tokenizer
    path = export(classifier, tmp_path)
    read = load_base(resolve(str(path)), say=lambda message: None).tokenizer
    texts = [*TEXTS, "e\u0301 decomposed", "<|im_start|>user\nHi<|im_end|>", "<tool_call>x"]
    assert read(texts).input_ids == tokenizer(texts).input_ids
    assert read.chat_template == tokenizer.chat_template
    # GGUF has a token for every row of the embeddings, which is part of a fingerprint
    assert len(read) == model.config.vocab_size > len(tokenizer)
    assert tokenizer_fingerprint(read) != tokenizer_fingerprint(tokenizer)


@pytest.mark.parametrize("weights", QUANTISED)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_quantised_weights_are_within_their_blocks_bound(
    architecture: str, weights: str, tmp_path: Path
) -> None:
    exact = values(export(classifier_of(model_of(architecture)), tmp_path / "f32"))
    path = export(classifier_of(model_of(architecture)), tmp_path / weights, weights)
    found, kinds = values(path), quantities(path)
    assert found.keys() == exact.keys()
    seen = set()
    for name, data in exact.items():
        seen.add(kinds[name])
        if kinds[name] in ("F32", "F16"):
            np.testing.assert_allclose(found[name], data, rtol=1e-3, atol=1e-7)
            assert kinds[name] == "F32" or data.shape[-1] % 32
            continue
        blocks, errors = data.reshape(-1, 32), (found[name] - data).reshape(-1, 32)
        bound = largest_error(blocks, kinds[name])
        assert (np.abs(errors) <= bound[:, None]).all(), name
        assert np.abs(errors).max() > 0
    assert weights.upper() in seen
    assert kinds["token_embd.weight"] == "Q8_0"
    tuned = "attn_qkv" if architecture == "gpt2" else "attn_q"
    assert kinds[f"blk.0.{tuned}.weight"] == "Q8_0"  # 4 bits would erase the adapter


def largest_error(blocks: np.ndarray, kind: str) -> np.ndarray:
    """[N] half a step of each block; where a format has one step less on one side, a whole one.

    And 2^-10 of the largest value for scales kept in half precision.
    """
    largest = np.abs(blocks).max(axis=1)
    steps = {
        "Q8_0": largest / 127 / 2,
        "Q4_1": (blocks.max(axis=1) - blocks.min(axis=1)) / 15 / 2,
        "Q4_0": largest / 8,
    }
    return steps[kind] + largest * 2.0**-10 + 1e-7


@pytest.mark.parametrize("weights", QUANTISED)
def test_rows_of_broken_blocks_are_said(
    weights: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kinds = quantities(export(classifier_of(tiny_model("llama")), tmp_path, weights))
    assert kinds["blk.0.ffn_down.weight"] == "F16"  # rows of 48
    assert kinds["blk.0.attn_k.weight"] == weights.upper()
    assert kinds["blk.0.attn_norm.weight"] == "F32"
    (said,) = caplog.messages
    assert "2 of 21 tensors" in said
    assert "blk.0.ffn_down.weight, blk.1.ffn_down.weight" in said


def test_tied_embeddings_stand_in_the_file_once(tmp_path: Path) -> None:
    assert "output.weight" not in quantities(export(classifier_of(tiny_model("qwen2")), tmp_path))
    other = quantities(export(classifier_of(tiny_model("llama")), tmp_path / "other"))
    assert other["output.weight"] == "F32"


def test_the_file_alone_tells_what_to_ask(tmp_path: Path) -> None:
    classifier = classifier_of(tiny_model("llama"))
    label_ids = classifier.scorer.encoder.label_ids
    file = open_gguf(export(classifier, tmp_path))
    assert file.get("general.architecture") == "llama"
    assert file.get("general.name") == "tiny-run"
    assert file.get("general.license") == "apache-2.0"
    assert file.get("sentilora.template") == TASK.template
    assert tuple(file.get("sentilora.labels")) == TASK.labels
    assert file.get("sentilora.label_prefix") == " "
    assert file.get("sentilora.label_sizes") == [len(ids) for ids in label_ids]
    assert file.get("sentilora.label_ids") == [index for ids in label_ids for index in ids]
    assert file.get("sentilora.normalizer") == "NFC"
    beside = json.loads((tmp_path / "sentilora_export.json").read_text(encoding="utf-8"))
    assert beside["form"] == "gguf f32"
    assert beside["files"].keys() == {"model.gguf"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_base_is_known_by_its_configuration(architecture: str) -> None:
    config, tokenizer = model_of(architecture).config.to_dict(), byte_level()
    check_base(config, tokenizer)
    settings = {"gpt2": "activation_function", "qwen2": "hidden_act", "llama": "hidden_act"}
    name = settings.get(architecture, "attention_bias")
    value = True if name == "attention_bias" else "relu"
    with pytest.raises(UserError, match=rf"has {name} = .*can't be told"):
        check_base({**config, name: value}, tokenizer)
    check_base({**config, "vocab_size": "many"}, tokenizer)  # which loading it tells
    for kind in ("opt", "somebodys-own"):
        with pytest.raises(UserError, match=f"'{kind}' model can't be written as GGUF"):
            check_base({**config, "model_type": kind}, tokenizer)
    with pytest.raises(UserError, match="no row in this model's embeddings"):
        check_base({**config, "vocab_size": 10}, tokenizer)


def test_an_architecture_that_is_not_known_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'opt' model.*gpt2, qwen2, llama, gemma, gemma2, gemma3"):
        export(classifier_of(tiny_model("opt")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("architecture", "name", "value"),
    [
        ("gpt2", "activation_function", "relu"),
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("llama", "hidden_act", "gelu"),
        ("qwen2", "layer_types", ["sliding_attention", "full_attention"]),
        ("llama", "rope_parameters", {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
        ("gemma2", "query_pre_attn_scalar", 5),
        ("gemma2", "layer_types", ["full_attention", "sliding_attention"]),
    ],
)
def test_a_setting_that_llama_cpp_has_no_place_for_is_named(
    architecture: str, name: str, value: Any, tmp_path: Path
) -> None:
    classifier = classifier_of(tiny_model(architecture))
    setattr(classifier.scorer.model.get_base_model().config, name, value)
    with pytest.raises(UserError, match=r"llama\.cpp can't be told"):
        export(classifier, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("weights", ["f16", "q4_0"])
def test_a_weight_that_is_too_large_is_named(weights: str, tmp_path: Path) -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 5] = 1e6
    classifier = classifier_of(model)
    with pytest.raises(UserError, match=r"blk\.1\.ffn_up\.weight holds 1e\+06.*--weights f32"):
        export(classifier, tmp_path, weights)


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files fails as a full disk does: in the midst of writing."""
    classifier = classifier_of(tiny_model("llama"))
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, kept[1]))
    try:
        with pytest.raises(UserError, match="can't be written"), staged(tmp_path / "out") as part:
            export(classifier, part)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert list(tmp_path.iterdir()) == []


def test_without_llama_cpp_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    export(classifier_of(tiny_model("llama")), tmp_path)
    monkeypatch.setattr(asking, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sentilora\[llama-cpp\]"):
        check()
    with pytest.raises(UserError, match=r"sentilora\[llama-cpp\]"):
        load_gguf(tmp_path, 1)


@needs_llama_cpp
def test_a_file_that_llama_cpp_cannot_run_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UserError, match=r"llama\.cpp can't run model\.gguf"):
        Server(path, 1, 96)


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    path = export(classifier_of(tiny_model("llama")), tmp_path)
    with path.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x01\x02\x03\x04")
    with pytest.raises(UserError, match="was changed after it was exported"):
        load_gguf(tmp_path, 1)


def test_every_precision_has_its_threshold() -> None:
    assert set(WEIGHTS) == {"f32", "f16", *QUANTISED}
    assert WEIGHTS["f16"] == WEIGHTS["q8_0"] == 0.995 > WEIGHTS["q4_1"] > WEIGHTS["q4_0"]

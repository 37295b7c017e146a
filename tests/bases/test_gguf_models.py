"""A GGUF file gives the model it was made from; llama.cpp agrees."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf_writer import Vocabulary, byte_level_vocabulary, with_weights, write_gguf
from tiny_models import ARCHITECTURES, byte_level_tokenizer, tiny_model
from transformers import PreTrainedModel

import llama_cpp
from sentilora.bases import LoadedBase, load_base, resolve
from sentilora.errors import UserError

HAS_LLAMA_CPP = find_spec("xllamacpp") is not None
PROMPTS = ("a good film, but", "the plot was bad and dull: neither warm nor good, not at all")


def load(path: Path) -> LoadedBase:
    return load_base(resolve(str(path)), dtype="float32", say=lambda message: None)


def prompt_ids(prompt: str) -> torch.Tensor:
    return torch.tensor([byte_level_tokenizer()(prompt).input_ids])


@torch.no_grad()
def log_probs(model: PreTrainedModel, prompt: str) -> torch.Tensor:
    """Next-token log-probabilities at every position, shape (tokens, vocabulary)."""
    return model(prompt_ids(prompt)).logits[0].log_softmax(-1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_f32_gives_the_model_it_was_made_from(
    architecture: str, tmp_path: Path, cache: Path
) -> None:
    model = tiny_model(architecture)
    path = tmp_path / "model.gguf"
    write_gguf(model, byte_level_tokenizer(), path)
    loaded = load(path)
    for prompt in PROMPTS:
        torch.testing.assert_close(
            log_probs(loaded.model, prompt), log_probs(model, prompt), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_untied_output_matrix_is_read(architecture: str, tmp_path: Path, cache: Path) -> None:
    if architecture == "gemma3":
        pytest.skip("Gemma 3 ties its embeddings always")
    model = tiny_model(architecture, tie_word_embeddings=architecture != "qwen2")
    model = tiny_model(architecture, tie_word_embeddings=not model.config.tie_word_embeddings)
    path = tmp_path / "model.gguf"
    write_gguf(model, byte_level_tokenizer(), path)
    loaded = load(path)
    assert loaded.model.config.tie_word_embeddings == model.config.tie_word_embeddings
    expected = log_probs(model, PROMPTS[0])
    torch.testing.assert_close(log_probs(loaded.model, PROMPTS[0]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["Q8_0", "Q4_1", "Q4_0", "Q5_1"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_quantised_weights_are_dequantised_to_bfloat16(
    architecture: str, dtype: str, tmp_path: Path, cache: Path
) -> None:
    model = tiny_model(architecture)
    path = tmp_path / "model.gguf"
    held = write_gguf(model, byte_level_tokenizer(), path, dtype)
    loaded = load(path)
    rounded = {
        name: torch.from_numpy(np.ascontiguousarray(w)).bfloat16() for name, w in held.items()
    }
    expected = with_weights(
        tiny_model(architecture, seed=1), {name: w.float().numpy() for name, w in rounded.items()}
    )
    for prompt in PROMPTS:
        torch.testing.assert_close(
            log_probs(loaded.model, prompt), log_probs(expected, prompt), rtol=0, atol=1e-5
        )
    assert loaded.model.config.dtype == torch.float32
    assert loaded.identity.quantization is not None
    counts = loaded.identity.quantization["tensors"]
    assert counts[dtype] == sum(w.ndim > 1 for w in held.values())
    assert counts["F32"] == sum(w.ndim == 1 for w in held.values())


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_files_lose_nothing(dtype: str, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "model.gguf"
    held = write_gguf(tiny_model("llama"), byte_level_tokenizer(), path, dtype)
    expected = with_weights(tiny_model("llama", seed=1), held)
    torch.testing.assert_close(
        log_probs(load(path).model, PROMPTS[0]), log_probs(expected, PROMPTS[0]), rtol=0, atol=1e-6
    )


def test_a_file_of_bfloat16_values_is_stored_as_such(tmp_path: Path, cache: Path) -> None:
    model = tiny_model("llama").bfloat16().float()
    path = tmp_path / "model.gguf"
    write_gguf(model, byte_level_tokenizer(), path, "F32")
    load(path)
    (stored,) = cache.glob("bases/*/config.json")
    assert '"dtype": "bfloat16"' in stored.read_text()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_llama_cpp_computes_the_same(architecture: str, tmp_path: Path, cache: Path) -> None:
    if not HAS_LLAMA_CPP:
        pytest.skip("needs xllamacpp")
    path = tmp_path / "model.gguf"
    write_gguf(tiny_model(architecture), byte_level_tokenizer(), path)
    assert_llama_cpp_agrees(load(path), path)


def assert_llama_cpp_agrees(loaded: LoadedBase, path: Path) -> None:
    answers = llama_cpp.next_token(path, [prompt_ids(prompt)[0].tolist() for prompt in PROMPTS])
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ours = log_probs(loaded.model, prompt)[-1]
        assert len(answer) == len(ours)
        theirs = torch.tensor([answer[token] for token in range(len(ours))])
        # llama.cpp keeps keys and values in half precision
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)


def llama3_scaling() -> dict[str, object]:
    return {
        "rope_type": "llama3",
        "rope_theta": 50_000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


def rope_factors(model: PreTrainedModel) -> np.ndarray:
    """What llama.cpp's converter writes for Llama 3: unscaled over scaled frequency."""
    scaled = model.model.rotary_emb.inv_freq
    plain = 1 / 50_000.0 ** (torch.arange(0, 16, 2) / 16)
    return (plain / scaled).float().numpy()


def test_llama3_rope_factors_become_rope_scaling(tmp_path: Path, cache: Path) -> None:
    model = tiny_model("llama", rope_parameters=llama3_scaling())
    factors = rope_factors(model)
    assert factors.max() == pytest.approx(8)
    path = tmp_path / "model.gguf"
    write_gguf(model, byte_level_tokenizer(), path, tensors={"rope_freqs.weight": factors})
    loaded = load(path)
    expected = log_probs(model, PROMPTS[1])
    torch.testing.assert_close(log_probs(loaded.model, PROMPTS[1]), expected, rtol=0, atol=1e-5)
    if HAS_LLAMA_CPP:
        assert_llama_cpp_agrees(loaded, path)


def test_rope_factors_of_another_kind_are_refused(tmp_path: Path, cache: Path) -> None:
    factors = np.linspace(1, 3, 8, dtype=np.float32)
    path = tmp_path / "model.gguf"
    write_gguf(
        tiny_model("llama"), byte_level_tokenizer(), path, tensors={"rope_freqs.weight": factors}
    )
    with pytest.raises(UserError, match=r"rope_freqs\.weight"):
        load(path)


@pytest.mark.parametrize(
    ("scaling", "metadata"),
    [
        ({"rope_type": "linear", "factor": 4.0}, {"type": "linear", "factor": 4.0}),
        ({"rope_type": "linear", "factor": 4.0}, {"factor": 4.0, "finetuned": True}),
        (
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
            {"type": "yarn", "factor": 4.0, "original_context_length": 32},
        ),
    ],
)
def test_rope_scaling_of_the_metadata_is_applied(
    scaling: dict[str, object], metadata: dict[str, object], tmp_path: Path, cache: Path
) -> None:
    model = tiny_model("llama", rope_parameters={"rope_theta": 50_000.0, **scaling})
    path = tmp_path / "model.gguf"
    stated = {f"rope.scaling.{key}": value for key, value in metadata.items()}
    write_gguf(model, byte_level_tokenizer(), path, metadata=stated)
    loaded = load(path)
    expected = log_probs(model, PROMPTS[1])
    torch.testing.assert_close(log_probs(loaded.model, PROMPTS[1]), expected, rtol=0, atol=1e-5)
    if HAS_LLAMA_CPP:
        assert_llama_cpp_agrees(loaded, path)


def test_a_missing_tensor_is_an_error(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(tiny_model("llama"), byte_level_tokenizer(), path, without=("blk.1.ffn_up.weight",))
    with pytest.raises(UserError, match=r"lacks weights of .*layers\.1\.mlp\.up_proj"):
        load(path)
    assert not list(cache.glob("bases/*/*"))


def test_a_left_over_tensor_is_an_error(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "model.gguf"
    extra = {"blk.0.attn_q_norm.weight": np.ones(16, dtype=np.float32)}
    write_gguf(tiny_model("llama"), byte_level_tokenizer(), path, tensors=extra)
    with pytest.raises(UserError, match=r"tensors unknown in .*attn_q_norm"):
        load(path)


@pytest.mark.parametrize(
    "key", ["residual_scale", "rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast"]
)
def test_metadata_that_changes_the_model_is_not_dropped(
    key: str, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(tiny_model("llama"), byte_level_tokenizer(), path, metadata={key: 0.22})
    with pytest.raises(UserError, match=re.escape(f"llama.{key}")):
        load(path)


def test_an_unknown_architecture_is_named(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "rwkv7")
    vocabulary = byte_level_vocabulary(byte_level_tokenizer())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges or [])
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match=r"'rwkv7' model.*It reads .*llama"):
        load(path)


@pytest.mark.parametrize("kept", [3, 10, 200, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_a_clear_error(
    kept: float, tiny_gguf: Path, tmp_path: Path, cache: Path
) -> None:
    content = tiny_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(UserError, match=r"cut\.gguf.*(truncated|no GGUF file)"):
        load(path)
    assert not list(cache.glob("bases/*/*"))


def test_another_kind_of_file_is_a_clear_error(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("not a model\n" * 50)
    with pytest.raises(UserError, match="no GGUF file"):
        load(path)


def test_a_part_of_a_split_model_is_refused(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "part.gguf"
    vocabulary: Vocabulary = byte_level_vocabulary(byte_level_tokenizer())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint16("split.count", 3)
    writer.add_token_list(vocabulary.tokens)
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match="one of 3 parts"):
        load(path)


def test_a_file_is_converted_once(tiny_gguf: Path, tmp_path: Path, cache: Path) -> None:
    said: list[str] = []
    first = load_base(resolve(str(tiny_gguf)), say=said.append)
    moved = tmp_path / "moved.gguf"
    moved.write_bytes(tiny_gguf.read_bytes())
    second = load_base(resolve(str(moved)), say=said.append)
    assert [message.split()[0] for message in said] == ["Converting"]
    assert first.identity.fingerprint == second.identity.fingerprint
    assert second.identity.path == str(moved)

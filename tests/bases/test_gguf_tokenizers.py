"""Token ids of a GGUF file's tokenizer are those of llama.cpp."""

from __future__ import annotations

import dataclasses
import functools
import io
from importlib.util import find_spec
from pathlib import Path

import pytest
from gguf_writer import (
    USER_DEFINED,
    Vocabulary,
    byte_level_vocabulary,
    sentencepiece_vocabulary,
    write_gguf,
)
from tiny_models import byte_level_tokenizer, tiny_model
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import llama_cpp
from hostile import HOSTILE, random_texts, reviews
from sentilora.bases import PreparedBase, load_tokenizer, prepare_base, resolve
from sentilora.bases.gguf_file import open_gguf
from sentilora.bases.gguf_pretokenizers import PRE_TOKENIZERS
from sentilora.bases.gguf_tokenizer import read_tokenizer
from sentilora.errors import UserError

needs_llama_cpp = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs xllamacpp")

# one name for each set of rules: the other names share the very same object
RULES = {id(rules): name for name, rules in reversed(PRE_TOKENIZERS.items())}
COMMON = ("gpt-2", "smollm", "qwen2", "llama-bpe", "default")
UNREACHABLE = "xylophonic"  # in the vocabulary, but no merges lead to it


def write(vocabulary: Vocabulary, path: Path) -> PreTrainedTokenizerFast:
    model = tiny_model(
        "llama",
        vocab_size=len(vocabulary.tokens),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=32,
        tie_word_embeddings=True,
    )
    write_gguf(model, vocabulary, path)
    return read_tokenizer(open_gguf(path))


def assert_same_ids(path: Path, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> None:
    expected = llama_cpp.tokenize(path, texts)
    found = tokenizer(texts).input_ids
    different = [
        (text, tokenizer.convert_ids_to_tokens(ours), tokenizer.convert_ids_to_tokens(theirs))
        for text, ours, theirs in zip(texts, found, expected, strict=True)
        if ours != theirs
    ]
    assert not different, f"{len(different)} of {len(texts)}, first: {different[0]}"


@functools.cache
def real_vocabulary(folder: Path) -> Vocabulary:
    """A published tokenizer's vocabulary, with one token more that merging never reaches."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    vocabulary = byte_level_vocabulary(tokenizer)
    vocabulary.tokens.append(f"Ġ{UNREACHABLE}")
    vocabulary.types.append(1)
    eos = vocabulary.special["eos"]
    return dataclasses.replace(vocabulary, special={"bos": eos, "eos": eos})


@needs_llama_cpp
@pytest.mark.parametrize(
    "pre",
    [
        name if name in COMMON else pytest.param(name, marks=pytest.mark.slow)
        for name in RULES.values()
    ],
)
def test_every_pre_tokenizer_cuts_as_llama_cpp_does(pre: str, shared: Path, tmp_path: Path) -> None:
    vocabulary = real_vocabulary(shared / "tokenizers" / "distilgpt2")
    path = tmp_path / "model.gguf"
    tokenizer = write(dataclasses.replace(vocabulary, pre=pre), path)
    texts = [*HOSTILE, f"x {UNREACHABLE} x", *random_texts(150), *reviews(shared, 50)]
    assert_same_ids(path, tokenizer, texts)


@needs_llama_cpp
@pytest.mark.slow
@pytest.mark.parametrize("pre", sorted(filter(None, PRE_TOKENIZERS)))
def test_every_name_is_llama_cpps(pre: str, shared: Path, tmp_path: Path) -> None:
    vocabulary = real_vocabulary(shared / "tokenizers" / "distilgpt2")
    path = tmp_path / "model.gguf"
    tokenizer = write(dataclasses.replace(vocabulary, pre=pre), path)
    assert_same_ids(path, tokenizer, [*HOSTILE, f"x {UNREACHABLE} x", *random_texts(50)])


@needs_llama_cpp
@pytest.mark.slow
def test_qwens_vocabulary(shared: Path, tmp_path: Path) -> None:
    vocabulary = real_vocabulary(shared / "tokenizers" / "qwen2.5-0.5b")
    path = tmp_path / "model.gguf"
    tokenizer = write(dataclasses.replace(vocabulary, pre="qwen2"), path)
    assert_same_ids(path, tokenizer, [*HOSTILE, *random_texts(300), *reviews(shared)])


def test_smollm_splits_digits_before_merging(smollm2: PreparedBase) -> None:
    tokenizer = load_tokenizer(smollm2)
    assert tokenizer("a  5").input_ids == [81, 256, 37]
    assert tokenizer(" positive negative").input_ids == [2731, 3524]  # and no BOS in front
    assert len(tokenizer) == 49_152
    assert tokenizer.pad_token_id is not None


@needs_llama_cpp
def test_the_real_smollm2(smollm2: PreparedBase, shared: Path, tmp_path: Path) -> None:
    """The converted folder's tokenizer, against llama.cpp on a file of the same vocabulary."""
    tokenizer = load_tokenizer(smollm2)
    path = tmp_path / "model.gguf"
    write(byte_level_vocabulary(tokenizer, pre="smollm"), path)
    texts = [*HOSTILE, *random_texts(300), *reviews(shared)]
    assert_same_ids(path, tokenizer, texts)


def test_the_converted_folder_means_the_same_to_stock_transformers(smollm2: PreparedBase) -> None:
    ours, stock = load_tokenizer(smollm2), AutoTokenizer.from_pretrained(smollm2.folder)
    texts = [*HOSTILE, *random_texts(100)]
    assert stock(texts).input_ids == ours(texts).input_ids


def test_smollm2_keeps_its_chat_template(smollm2: PreparedBase) -> None:
    message = [{"role": "user", "content": "Hello"}]
    rendered = load_tokenizer(smollm2).apply_chat_template(
        message, tokenize=False, add_generation_prompt=True
    )
    assert rendered.endswith("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")


@functools.cache
def sentencepiece_model(shared: Path) -> bytes:
    from sentencepiece import SentencePieceTrainer

    out = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(reviews(shared, 600)),
        model_writer=out,
        model_type="bpe",
        vocab_size=1500,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["<mask>", "  ", "    ", "\n\n"],
        minloglevel=2,
    )
    return out.getvalue()


@needs_llama_cpp
@pytest.mark.parametrize("add_space_prefix", [None, False])
@pytest.mark.parametrize("add_bos", [None, False])
def test_sentencepiece(
    add_space_prefix: bool | None, add_bos: bool | None, shared: Path, tmp_path: Path
) -> None:
    vocabulary = sentencepiece_vocabulary(
        sentencepiece_model(shared), add_space_prefix=add_space_prefix, add_bos=add_bos
    )
    for token in ("<mask>", "  ", "    ", "\n\n"):
        vocabulary.types[vocabulary.tokens.index(token)] = USER_DEFINED
    path = tmp_path / "model.gguf"
    tokenizer = write(vocabulary, path)
    assert (tokenizer("film").input_ids[0] == tokenizer.bos_token_id) == (add_bos is None)
    assert_same_ids(path, tokenizer, [*HOSTILE, *random_texts(200), *reviews(shared, 100)])


@pytest.mark.parametrize("add_bos", [None, True, False])
def test_bos_follows_the_file(add_bos: bool | None, tmp_path: Path) -> None:
    vocabulary = byte_level_vocabulary(byte_level_tokenizer())
    tokenizer = write(dataclasses.replace(vocabulary, add_bos=add_bos), tmp_path / "model.gguf")
    expected = byte_level_tokenizer()("a good film").input_ids
    assert tokenizer("a good film").input_ids == ([0, *expected] if add_bos else expected)


def test_reading_back_what_was_converted_changes_nothing(tmp_path: Path, cache: Path) -> None:
    vocabulary = dataclasses.replace(
        byte_level_vocabulary(byte_level_tokenizer(), pre="llama-bpe"),
        chat_template="{{ messages }}",
    )
    path = tmp_path / "model.gguf"
    direct = write(vocabulary, path)
    again = load_tokenizer(prepare_base(resolve(str(path)), say=lambda message: None))
    assert again(HOSTILE).input_ids == direct(HOSTILE).input_ids
    assert again.chat_template == "{{ messages }}"
    assert len(again) == len(direct) == len(vocabulary.tokens)


def test_an_unknown_pre_tokenizer_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    vocabulary = byte_level_vocabulary(byte_level_tokenizer(), pre="from-the-future")
    with pytest.raises(UserError, match=r"'from-the-future'.*Known are .*qwen2.*smollm"):
        write(vocabulary, tmp_path / "model.gguf")


def test_an_unknown_kind_of_tokenizer_is_an_error(tmp_path: Path) -> None:
    vocabulary = dataclasses.replace(byte_level_vocabulary(byte_level_tokenizer()), model="bert")
    with pytest.raises(UserError, match="kind 'bert'"):
        write(vocabulary, tmp_path / "model.gguf")


def test_merges_that_contradict_the_vocabulary_are_an_error(tmp_path: Path) -> None:
    vocabulary = byte_level_vocabulary(byte_level_tokenizer())
    assert vocabulary.merges is not None
    vocabulary.merges.append("zz yy")
    with pytest.raises(UserError, match="contradict"):
        write(vocabulary, tmp_path / "model.gguf")

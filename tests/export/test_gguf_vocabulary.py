"""The tokenizer in a GGUF export gives the original's ids, in llama.cpp."""

from __future__ import annotations

import copy
import json
import unicodedata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import transformers
from tiny_exports import classifier_of, export
from tokenizers import Tokenizer, pre_tokenizers

import llama_cpp
from hostile import HOSTILE, random_texts, reviews
from models import tiny_model
from sentilora.bases.gguf_pretokenizers import PRE_TOKENIZERS
from sentilora.bases.gguf_tokenizer import cutting_as
from sentilora.control import control_tokens
from sentilora.errors import UserError
from sentilora.export.gguf.vocabulary import pre_tokenizer_name, vocabulary_of
from tiny_tokenizers import REAL, TINY, byte_level, real
from tuned import TASK

needs_llama_cpp = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs xllamacpp")


def one_layer(rows: int) -> Any:
    return transformers.AutoModelForCausalLM.from_config(
        transformers.LlamaConfig(
            vocab_size=rows,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=1,
            tie_word_embeddings=True,
        )
    )


def llama_3() -> Any:
    """The tiny tokenizer that opens with BOS and doesn't merge words, cut as Llama 3's."""
    tokenizer = copy.deepcopy(TINY["opens_with_bos"]())
    tokenizer.backend_tokenizer.pre_tokenizer = cutting_as(PRE_TOKENIZERS["llama-bpe"])
    return tokenizer


def assert_same_ids(path: Path, tokenizer: Any, texts: list[str]) -> None:
    expected = tokenizer(texts).input_ids
    found = llama_cpp.tokenize(path, texts)
    different = [
        (text, tokenizer.convert_ids_to_tokens(ours), tokenizer.convert_ids_to_tokens(theirs))
        for text, ours, theirs in zip(texts, expected, found, strict=True)
        if ours != theirs
    ]
    assert not different, f"{len(different)} of {len(texts)}, first: {different[0]}"


@needs_llama_cpp
@pytest.mark.parametrize("name", REAL)
def test_a_published_tokenizer(name: str, shared: Path, tmp_path: Path) -> None:
    """Control tokens, too, are read alike. llama.cpp leaves decomposed letters so, and takes an
    ordinary token that looks like the end of a text for a control token: Qwen's is </s>."""
    tokenizer = real(shared, name)
    classifier = classifier_of(one_layer(len(tokenizer) + 7), tokenizer=tokenizer)
    path = export(classifier, tmp_path, "q4_0")
    texts = [*HOSTILE, *random_texts(150), *reviews(shared, 50)]
    if name == "qwen2.5-0.5b":  # normalises first
        assert any(unicodedata.normalize("NFC", text) != text for text in texts)
        texts = [unicodedata.normalize("NFC", text).replace("</s>", "") for text in texts]
    assert_same_ids(path, tokenizer, texts)


@needs_llama_cpp
@pytest.mark.parametrize("name", ["llama_3", "llama_2", "llama_2_legacy", "gemma"])
def test_other_kinds(name: str, tmp_path: Path) -> None:
    tokenizer = llama_3() if name == "llama_3" else TINY[name]()
    classifier = classifier_of(tiny_model("llama"), tokenizer=tokenizer)
    path = export(classifier, tmp_path)
    control = [token.content for token in control_tokens(tokenizer).values()]
    texts = [unicodedata.normalize("NFC", text) for text in (*HOSTILE, *random_texts(100))]
    texts = [text for text in texts if not any(token in text for token in control)]
    # in the prompt: Llama 2's puts no second space before a string that opens with one
    texts = [TASK.render(text) for text in texts]
    assert_same_ids(path, tokenizer, texts)


@pytest.mark.parametrize("name", sorted(filter(None, PRE_TOKENIZERS)))
def test_every_way_of_cutting_is_found_by_what_it_does(name: str) -> None:
    rules = PRE_TOKENIZERS[name]
    found = PRE_TOKENIZERS[pre_tokenizer_name(cutting_as(rules), rules.ignore_merges)]
    assert (found.splits, found.ignore_merges) == (rules.splits, rules.ignore_merges)


@pytest.mark.parametrize(
    "unknown", [pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Whitespace()]
)
def test_a_way_of_cutting_without_a_name_is_an_error_that_names_it(unknown: Any) -> None:
    kind = type(unknown).__name__
    with pytest.raises(UserError, match=rf"has no name for .*{kind}"):
        pre_tokenizer_name(unknown, ignore_merges=False)
    with pytest.raises(UserError, match="no pre-tokenizer"):
        pre_tokenizer_name(None, ignore_merges=False)


def changed(**parts: Any) -> Any:
    state = json.loads(byte_level().backend_tokenizer.to_str())
    backend = Tokenizer.from_str(json.dumps({**state, **parts}))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend)


def test_what_llama_cpp_cannot_do_is_refused() -> None:
    with pytest.raises(UserError, match="Lowercase"):
        vocabulary_of(changed(normalizer={"type": "Lowercase"}), 512)
    with pytest.raises(UserError, match="kind Unigram"):
        vocabulary_of(TINY["unigram"](), 512)
    with pytest.raises(UserError, match="has no row"):
        vocabulary_of(byte_level(), len(byte_level()) - 1)


def test_ids_that_would_differ_are_found_before_the_export_is_kept(tmp_path: Path) -> None:
    """llama.cpp knows no added token that takes white space along; this template has one."""
    from sentilora.task import Task

    task = Task("<|user|> {text} STOP\nSentiment:", ("negative", "positive"), max_length=96)
    classifier = classifier_of(tiny_model("llama"), task, tokenizer=TINY["strips_white_space"]())
    with pytest.raises(UserError, match="as other tokens"):
        export(classifier, tmp_path)

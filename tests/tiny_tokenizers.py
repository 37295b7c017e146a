"""Small tokenizers of every make that bases come with, trained on the spot.

Each function gives a fast Hugging Face tokenizer; `TINY` names them all. They differ in what is
hard: where the space goes, what stands in front of a string, how added tokens take part.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import GemmaTokenizer, LlamaTokenizer, PreTrainedTokenizerFast, XGLMTokenizer

CHAT_ML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
INST = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST] {{ message['content'] | trim }} [/INST]"
    "{% else %} {{ message['content'] | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
TURNS = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ message['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_WORDS = (
    "a gorgeous , witty , seductive movie with some of the best special effects ever",
    "simplistic , silly and tedious . it's so laddish and juvenile , only teenage boys could",
    "the film is n't very good but the actors are ; an utterly compelling 'who wrote it'",
    "Classify the sentiment of the text as negative, neutral or positive.\n\nText: x\nSentiment:",
    "very negative, very positive or not positive at all. Review: <b>good</b> {bad} [sad] 100%",
    "user assistant system one two three four five six seven eight nine ten 0123456789",
)
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_level(vocabulary: int = 500, **settings: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        **settings,
    )
    tokenizer.train_from_iterator(_WORDS * 3, trainer)
    return tokenizer


@lru_cache
def byte_level() -> Any:
    """As Qwen's: NFC, byte-level, nothing in front, an added token that isn't special."""
    tokenizer = _byte_level()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", chat_template=CHAT_ML
    )


@lru_cache
def opens_with_bos() -> Any:
    """As Llama 3's: a template puts BOS in front; words are looked up before they are merged."""
    tokenizer = _byte_level(
        special_tokens=["<|begin|>", "<|eot|>", "@@@", "<|im_start|>", "<|im_end|>"]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", 0)]
    )
    tokenizer.model.ignore_merges = True
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin|>",
        eos_token="<|eot|>",
        chat_template="{{ bos_token }}" + CHAT_ML,
    )


@lru_cache
def closes_with_eos() -> Any:
    """A template puts a token in front and one behind."""
    tokenizer = _byte_level(special_tokens=["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@lru_cache
def added_spaces() -> Any:
    """As GPT-NeoX's: runs of spaces are added tokens, numbered behind a control token."""
    tokenizer = _byte_level()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    tokenizer.add_special_tokens(["<|padding|>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


@lru_cache
def folding() -> Any:
    """Folds width and case before it looks for an added token: a text can spell it many ways."""
    tokenizer = _byte_level()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.add_tokens([AddedToken("<Tool>", normalized=True)])
    tokenizer.add_special_tokens([AddedToken("<|end|>", normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


@lru_cache
def strips_white_space() -> Any:
    """Added tokens that take the white space beside them along, and one that needs word edges."""
    tokenizer = _byte_level()
    tokenizer.add_special_tokens(
        [
            AddedToken("<|user|>", rstrip=True),
            AddedToken("<|end|>", lstrip=True, rstrip=True),
            AddedToken("STOP", single_word=True),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


def _sentencepiece(folder: Path, **settings: Any) -> None:
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_WORDS * 3),
        model_writer=written,
        minloglevel=2,
        num_threads=1,
        **settings,
    )
    (folder / "tokenizer.model").write_bytes(written.getvalue())


def _sentencepiece_bpe(folder: Path, **settings: Any) -> None:
    _sentencepiece(
        folder,
        model_type="bpe",
        vocab_size=480,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        **settings,
    )


@lru_cache
def llama_2() -> Any:
    """SentencePiece BPE with byte fallback; the first stretch of a string gets a ``▁``."""
    with tempfile.TemporaryDirectory() as folder:
        _sentencepiece_bpe(Path(folder))
        tokenizer = LlamaTokenizer.from_pretrained(folder, add_bos_token=True)
    tokenizer.chat_template = INST
    return tokenizer


@lru_cache
def llama_2_legacy() -> Any:
    """As published Llama 2 folders are: a normaliser puts ``▁`` before every stretch.

    With merges that spell its control tokens, as in some conversions, and a token that a user
    added the usual way, which is looked for in what the normaliser has left.
    """
    backend = Tokenizer.from_str(llama_2().backend_tokenizer.to_str())
    backend.pre_tokenizer = None
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend = _with_merges(backend, [("s", ">"), ("<", "s>")])
    backend.add_tokens(["<tool>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=INST,
    )


def _with_merges(backend: Tokenizer, merges: list[tuple[str, str]]) -> Tokenizer:
    state = json.loads(backend.to_str())
    vocabulary = state["model"]["vocab"]
    for pair in merges:
        vocabulary.setdefault("".join(pair), len(vocabulary))
    state["model"]["merges"] = [list(pair) for pair in merges] + state["model"]["merges"]
    return Tokenizer.from_str(json.dumps(state))


@lru_cache
def phi_3() -> Any:
    """As Phi-3's: Llama 2's, with turn tokens that take the white space behind them along."""
    backend = Tokenizer.from_str(llama_2().backend_tokenizer.to_str())
    backend.add_special_tokens(
        [AddedToken(name, rstrip=True) for name in ("<|user|>", "<|end|>", "<|assistant|>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="<|end|>", unk_token="<unk>"
    )


@lru_cache
def gemma() -> Any:
    """SentencePiece BPE without ``▁`` in front; line breaks, spaces and HTML are added tokens."""
    with tempfile.TemporaryDirectory() as folder:
        _sentencepiece_bpe(
            Path(folder),
            add_dummy_prefix=False,
            user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n\n", "▁▁", "<b>", "7"],
            bos_piece="<bos>",
            eos_piece="<eos>",
        )
        tokenizer = GemmaTokenizer.from_pretrained(folder, add_bos_token=True)
    tokenizer.chat_template = TURNS
    return tokenizer


@lru_cache
def unigram() -> Any:
    """SentencePiece unigram, NFKC, no byte fallback: what it can't write is ``<unk>``."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as folder:
        _sentencepiece(Path(folder), model_type="unigram", vocab_size=110)
        backend = XGLMTokenizer.from_pretrained(folder).backend_tokenizer
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
    scored = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=pieces.unk_id()))
    tokenizer.normalizer = backend.normalizer
    tokenizer.pre_tokenizer = backend.pre_tokenizer
    tokenizer.decoder = backend.decoder
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


TINY: dict[str, Callable[[], Any]] = {
    make.__name__: make
    for make in (
        byte_level,
        opens_with_bos,
        closes_with_eos,
        added_spaces,
        folding,
        strips_white_space,
        llama_2,
        llama_2_legacy,
        phi_3,
        gemma,
        unigram,
    )
}
REAL = ("distilgpt2", "qwen2.5-0.5b")


@lru_cache
def real(shared: Path, name: str) -> Any:
    """A published tokenizer, from the folder of data sets and tokenizers."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared / "tokenizers" / name)

"""The tokenizer that a GGUF file holds, as a fast tokenizer that gives llama.cpp's token ids.

llama.cpp is the referee: it is what a file's users run it with, and it defines what the metadata
means. Built here from the metadata alone: byte-level BPE (`gpt2`) cut by the pre-tokenizer that the
file names, and SentencePiece BPE (`llama`) whose merges follow the tokens' scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sentilora.bases.gguf_file import GgufFile
from sentilora.bases.gguf_pretokenizers import PRE_TOKENIZERS, PreTokenizer
from sentilora.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

# llama.cpp's token types (llama_token_type in llama.h)
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4

# Tokens that end a generation by their looks are control tokens to llama.cpp, whatever type the
# file gives them ("</s>" is an ordinary token of Qwen2's).
_TAKEN_FOR_CONTROL = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>"),
        *("<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>"),
        *("_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>"),
        *("<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~["),
    )
)

# llama.cpp drops the spaces behind the control tokens of Phi-3, but not behind these.
_PHI3_UNSTRIPPED = frozenset(("<unk>", "<s>", "<|endoftext|>"))

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # stands for a space in SentencePiece vocabularies

# What the exported model's tokenizer does to a text first. GGUF has no key for it: llama.cpp takes
# a text as it is, so whoever asks it must normalise.
NORMALIZER = "sentilora.normalizer"

SPECIAL_TOKENS = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}


def read_tokenizer(file: GgufFile) -> PreTrainedTokenizerFast:
    """The tokenizer in `file`, its chat template kept, BOS and EOS as the file says.

    Raises:
        UserError: a kind of tokenizer or a pre-tokenizer that is not known here, or a vocabulary
            that contradicts itself.
    """
    from transformers import PreTrainedTokenizerFast

    model = file.get("tokenizer.ggml.model")
    tokens = file.get("tokenizer.ggml.tokens")
    builder = _BUILDERS.get(model)
    if builder is None or not tokens:
        raise UserError(
            f"{file.path.name} holds a tokenizer of the kind {model!r}; the kinds known here are "
            f"{', '.join(sorted(_BUILDERS))}. Use the model's Hub version instead."
        )
    if len(set(tokens)) < len(tokens):
        raise UserError(f"{file.path.name} lists the same token twice: its tokenizer is damaged.")
    backend, adds_bos = builder(file, tokens)
    _add_special(backend, file, tokens)
    _add_frame(backend, file, tokens, adds_bos)
    named = {}
    for name, key in SPECIAL_TOKENS.items():
        token_id = file.get(f"tokenizer.ggml.{key}")
        if token_id is not None and token_id < len(tokens):
            named[name] = tokens[token_id]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        model_max_length=file.architecture_value("context_length", 1024),
        **named,
    )
    tokenizer.chat_template = file.get("tokenizer.chat_template")
    if len(tokenizer) != len(tokens):
        raise UserError(f"{file.path.name} names special tokens that its vocabulary does not hold.")
    return tokenizer


def _byte_level(file: GgufFile, tokens: list[str]) -> tuple[Tokenizer, bool]:
    """Byte-level BPE, as GPT-2, Llama 3, Qwen2 and SmolLM have it."""
    from tokenizers import decoders, normalizers

    name = file.get("tokenizer.ggml.pre", "")
    rules = PRE_TOKENIZERS.get(name)
    if rules is None:
        known = ", ".join(sorted(filter(None, PRE_TOKENIZERS)))
        raise UserError(
            f"{file.path.name} names the pre-tokenizer {name!r}, which is not known here, and a "
            f"guess would change the token ids. Known are {known}. Use the model's Hub version."
        )
    merges = [_merge(line) for line in file.get("tokenizer.ggml.merges", ())]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = _bpe(file, vocabulary, merges, ignore_merges=rules.ignore_merges)
    backend.pre_tokenizer = cutting_as(rules)
    backend.decoder = decoders.ByteLevel()
    if file.get(NORMALIZER) == "NFC":
        backend.normalizer = normalizers.NFC()
    return backend, rules.add_bos


def cutting_as(rules: PreTokenizer) -> Any:
    """The pre-tokenizer that follows `rules`."""
    from tokenizers import Regex, pre_tokenizers

    splits = [pre_tokenizers.Split(Regex(split), behavior="isolated") for split in rules.splits]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*splits, byte_level])


def _sentencepiece(file: GgufFile, tokens: list[str]) -> tuple[Tokenizer, bool]:
    """SentencePiece BPE with byte fallback, as Llama 2, Mistral and Gemma have it."""
    from tokenizers import decoders, normalizers

    scores = file.get("tokenizer.ggml.scores")
    if scores is None:
        raise UserError(f"{file.path.name} holds a SentencePiece tokenizer without its scores.")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = _merges_by_score(vocabulary, scores)
    unknown = tokens[file.get("tokenizer.ggml.unknown_token_id", 0)]
    backend = _bpe(file, vocabulary, merges, byte_fallback=True, unk_token=unknown)
    prefix = file.get("tokenizer.ggml.add_space_prefix", True)
    spaces = normalizers.Replace(" ", SPACE)
    parts = [normalizers.Prepend(SPACE), spaces] if prefix else [spaces]
    backend.normalizer = normalizers.Sequence(parts)
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] if prefix else [])])
    return backend, True


_BUILDERS: dict[str, Callable[[GgufFile, list[str]], tuple[Tokenizer, bool]]] = {
    "gpt2": _byte_level,
    "llama": _sentencepiece,
}


def _bpe(
    file: GgufFile, vocabulary: dict[str, int], merges: list[tuple[str, str]], **options: Any
) -> Tokenizer:
    from tokenizers import Tokenizer, models

    try:
        return Tokenizer(models.BPE(vocab=vocabulary, merges=merges, **options))
    except Exception as error:  # the Rust side raises bare ones; the merges are all it checks
        raise UserError(
            f"The merges in {file.path.name} contradict its vocabulary ({error}): the file is "
            "damaged."
        ) from error


def _merge(line: str) -> tuple[str, str]:
    """The two halves of a merge; a half may itself begin with a space in some vocabularies."""
    cut = line.find(" ", 1)
    return line[:cut], line[cut + 1 :]


def _merges_by_score(vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Every way to make a token out of two others, the best-scored token first.

    llama.cpp merges the neighbours whose union has the highest score until none has a score.
    """
    merges = []
    for token, index in vocabulary.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                merges.append((-scores[index], index, vocabulary[left], left, right))
    merges.sort()
    return [(left, right) for *_, left, right in merges]


def _add_special(backend: Tokenizer, file: GgufFile, tokens: list[str]) -> None:
    """Control and user-defined tokens are found in the text before anything else."""
    from tokenizers import AddedToken

    title = str(file.get("general.name", "")).lower()
    is_phi3 = "phi-3" in title or "phi3" in title  # the file says it nowhere else
    types = file.get("tokenizer.ggml.token_type") or [_NORMAL] * len(tokens)
    special = [
        AddedToken(
            token,
            normalized=False,
            special=kind != _USER_DEFINED,
            rstrip=is_phi3 and token not in _PHI3_UNSTRIPPED,
        )
        for token, kind in zip(tokens, types, strict=True)
        if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED) or token in _TAKEN_FOR_CONTROL
    ]
    backend.add_tokens(special)


def _add_frame(backend: Tokenizer, file: GgufFile, tokens: list[str], adds_bos: bool) -> None:
    """Put BOS in front and EOS behind where the file asks for it."""
    from tokenizers import processors

    def piece(name: str, default: bool) -> list[tuple[str, int]]:
        if not file.get(f"tokenizer.ggml.add_{name}_token", default):
            return []
        token_id = file.get(f"tokenizer.ggml.{name}_token_id")
        if token_id is None:
            raise UserError(f"{file.path.name} asks for a {name.upper()} token but names none.")
        return [(tokens[token_id], token_id)]

    bos, eos = piece("bos", adds_bos), piece("eos", False)
    single = [*(f"{token}:0" for token, _ in bos), "$A:0", *(f"{token}:0" for token, _ in eos)]
    pair = [*(f"{token}:1" for token, _ in bos), "$B:1", *(f"{token}:1" for token, _ in eos)]
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=[*single, *pair], special_tokens=[*bos, *eos]
    )

"""A fast tokenizer as the metadata that llama.cpp reads it from.

The reader's half is `bases/gguf_tokenizer.py`: what is written here is read back by it, and
`check_vocabulary` holds the two tokenizers against each other.
"""

from __future__ import annotations

import json
from typing import Any

from sentilora.bases.gguf_file import GgufFile
from sentilora.bases.gguf_pretokenizers import PRE_TOKENIZERS, PreTokenizer
from sentilora.bases.gguf_tokenizer import (
    NORMALIZER,
    SPACE,
    SPECIAL_TOKENS,
    cutting_as,
    read_tokenizer,
)
from sentilora.canary import CANARY_TEXTS
from sentilora.control import control_tokens
from sentilora.encoding import FINGERPRINT_STRINGS
from sentilora.errors import UserError
from sentilora.task import Task
from sentilora.tokenisation import count_behind

# Strings that any two of the known pre-tokenizers cut differently, if not the fingerprint's.
_CUT_DIFFERENTLY = (
    "1234567 x2y33z444 ١٢٣ ²³ 12345٦",
    "$100 <= 5% ^~|`+= #hash @at [x](y) {z} \\ / //\r\n /\n!!!??? ...",
    "I'm, it'LL, WE'VE, DON'T, he'd'S 's 't",
    "Mixed CamelCaseWORDs fooBARbaz HTTPServer ÀÉÎ àéî ŠŽ Ab'Re",
    "हिन्दी, ภาษาไทย, 한국어 日本語のテキスト。中文文本！ e\u0301x",
    "leading\n\n  a  \t b \r\n\r\nc;\n d" + " " * 17 + "x" + " " * 700 + "y\n",
    "“quoted” … „unten“ —dash— 。、۔،",
    "_____a.b,c;d:e(f)g=h+i",
)
_NORMALIZERS = {"NFC"}


def vocabulary_of(tokenizer: Any, rows: int) -> dict[str, Any]:
    """The `tokenizer.*` metadata of a fast tokenizer, for a model of `rows` embeddings.

    Raises UserError for a kind of tokenizer, or a way of cutting texts, that has no name in
    llama.cpp.
    """
    import gguf

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    model = state["model"]
    if model["type"] != "BPE":
        raise UserError(
            f"llama.cpp isn't given a tokenizer of the kind {model['type']} here, only BPE. Use "
            "`sentilora merge`, and llama.cpp's own converter on the folder it writes."
        )
    tokens = [f"[PAD{index}]" for index in range(rows)]  # rows that no token has
    types = [gguf.TokenType.UNUSED] * rows
    for token, index in tokenizer.get_vocab().items():
        if index >= rows:
            raise UserError(
                f"The token {token!r} has no row in this model's embeddings, so a GGUF file can't "
                "hold it. Use `sentilora merge` instead."
            )
        tokens[index], types[index] = token, gguf.TokenType.NORMAL
    for added in state["added_tokens"]:
        if added["special"]:
            types[added["id"]] = gguf.TokenType.CONTROL
        elif SPACE not in added["content"]:  # runs of these are merged, in a normalised text
            types[added["id"]] = gguf.TokenType.USER_DEFINED
    kind = _sentencepiece if model.get("byte_fallback") else _byte_level
    keys: dict[str, Any] = {
        **kind(tokenizer, state, tokens, types),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [int(each) for each in types],
        "tokenizer.ggml.add_eos_token": False,  # nothing may stand between prompt and label
        "tokenizer.ggml.add_bos_token": _opens_with_bos(tokenizer),
    }
    for name, key in SPECIAL_TOKENS.items():
        if (index := getattr(tokenizer, f"{name}_id")) is not None:
            keys[f"tokenizer.ggml.{key}"] = index
    if isinstance(tokenizer.chat_template, str):
        keys["tokenizer.chat_template"] = tokenizer.chat_template
    return keys


def pre_tokenizer_name(pre_tokenizer: Any, ignore_merges: bool) -> str:
    """The name under which llama.cpp cuts texts as a `tokenizers` pre-tokenizer does.

    Found by what it does to strings on which the known ones differ, for one way of cutting is
    written in many ways. Raises UserError, which names its rules, where none does the same.
    """
    strings = (*FINGERPRINT_STRINGS, *_CUT_DIFFERENTLY)

    def cuts(each: Any) -> list[Any]:
        return [each.pre_tokenize_str(string) for string in strings]

    wanted = cuts(pre_tokenizer) if pre_tokenizer is not None else None
    tried: dict[PreTokenizer, bool] = {}
    for name, rules in PRE_TOKENIZERS.items():
        if name and rules.ignore_merges == ignore_merges:
            if rules not in tried:
                tried[rules] = cuts(cutting_as(rules)) == wanted
            if tried[rules]:
                return name
    raise UserError(
        f"llama.cpp has no name for the way this tokenizer cuts texts ({_rules(pre_tokenizer)}"
        f"{', whole words unmerged' if ignore_merges else ''}), and under another one its token "
        "ids would differ. Use `sentilora merge` instead."
    )


def check_vocabulary(file: GgufFile, tokenizer: Any, task: Task) -> None:
    """Raise UserError where a written file's tokenizer gives a prompt other ids than `tokenizer`.

    Texts with control tokens in them aren't compared, for inside a text they are plain characters
    here and control tokens to llama.cpp.
    """
    control = [token.content for token in control_tokens(tokenizer).values()]
    texts = [*CANARY_TEXTS, *FINGERPRINT_STRINGS, *_CUT_DIFFERENTLY]
    texts = [text for text in texts if not any(token in text for token in control)]
    strings = [task.render(text) for text in texts]
    behind = count_behind(tokenizer)
    written = read_tokenizer(file)
    for string in strings:
        ids = tokenizer(string, verbose=False).input_ids
        if written(string, verbose=False).input_ids != ids[: len(ids) - behind]:
            raise UserError(
                f"llama.cpp would read {string!r} as other tokens than this model's tokenizer "
                "does, so it can't be written as GGUF. Use `sentilora merge` instead."
            )


def _byte_level(tokenizer: Any, state: Any, tokens: list[str], types: list[Any]) -> dict[str, Any]:
    keys = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre_tokenizer_name(
            tokenizer.backend_tokenizer.pre_tokenizer, bool(state["model"].get("ignore_merges"))
        ),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in state["model"]["merges"]],
    }
    if (normalizer := state["normalizer"]) is not None:
        if normalizer["type"] not in _NORMALIZERS:
            raise UserError(
                f"This tokenizer changes a text first ({normalizer['type']}), which llama.cpp "
                "doesn't, so its token ids would differ. Use `sentilora merge` instead."
            )
        keys[NORMALIZER] = normalizer["type"]
    return keys


def _sentencepiece(
    tokenizer: Any, state: Any, tokens: list[str], types: list[Any]
) -> dict[str, Any]:
    """Merges become scores: the earlier a token's merge, the higher."""
    import gguf

    scores: dict[str, float] = {}
    for rank, (left, right) in enumerate(state["model"]["merges"]):
        scores.setdefault(left + right, -float(rank))
    worst = -float(len(state["model"]["merges"]))
    for index, token in enumerate(tokens):
        if token == f"<0x{token[3:5]}>":
            types[index] = gguf.TokenType.BYTE
        elif index == tokenizer.unk_token_id:
            types[index] = gguf.TokenType.UNKNOWN
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.scores": [scores.get(token, worst) for token in tokens],
        "tokenizer.ggml.add_space_prefix": _puts_space_in_front(state),
    }


def _puts_space_in_front(state: Any) -> bool:
    """Whether the first word gets a space, be it by the normaliser or by the pre-tokenizer."""
    normalizer = json.dumps(state["normalizer"])
    pre_tokenizer = state["pre_tokenizer"] or {}
    return '"Prepend"' in normalizer or pre_tokenizer.get("prepend_scheme", "never") != "never"


def _opens_with_bos(tokenizer: Any) -> bool:
    ids = tokenizer("a").input_ids
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


def _rules(pre_tokenizer: Any) -> str:
    return "no pre-tokenizer" if pre_tokenizer is None else str(pre_tokenizer)

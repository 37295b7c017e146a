"""From a text to a prompt's token ids: the tokenisation contract.

*A prompt's ids are what the tokenizer itself gives for the rendered string*, so that a merged or
exported model answers the plain string alike in any other engine. Prompts are therefore encoded
whole; that the instruction's ids are a prefix of them, and that the labels' ids follow them
unchanged, is checked for each row, and a row where it isn't so says so (`EncodedPrompt.shared`,
`EncodedPrompt.continuations`).

The one exception: a tokenizer's own control or added tokens are plain characters *inside a text*
(a review that contains ``<|im_end|>`` must not end the user's turn), and are what they are in the
template. Training and prediction build their prompts here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sentilora.errors import UserError
from sentilora.task import Task, clean

# Openings and closings of ordinary texts: what the instruction shares with all of them is shared.
_PROBES = ("a fine film", "The end", "it's 5 o'clock", "\"Well\" (1) ...", "Öde – 世界!", "x?")


@dataclass(frozen=True)
class EncodedPrompt:
    """One row's token ids.

    ids
        The prompt, without a label.
    shared
        Whether `ids` begins with the instruction's ids, which are then run once for all rows.
    continuations
        For each label the ids that follow `ids`, where they aren't the label's usual ones (the
        seam between this text and the label is joined by the tokenizer); otherwise None.
    characters_cut
        How many characters of the text were cut off for the maximum length.
    """

    ids: tuple[int, ...]
    shared: bool
    continuations: tuple[tuple[int, ...], ...] | None = None
    characters_cut: int = 0


class PromptEncoder:
    """Encodes the prompts and labels of one task with one tokenizer.

    Attributes
    ----------
    prefix_ids
        The instruction's ids as they open every ordinary prompt, with whatever the tokenizer
        itself puts in front (a BOS token).
    label_ids
        For each label, in the task's order, the ids that follow the prompt; all end with
        `terminator` where one label's ids would otherwise be the beginning of another's.

    Raises
    ------
    UserError
        Where the tokenizer isn't a fast one, the labels collide in tokens, or the instruction
        alone doesn't fit the maximum length.
    """

    def __init__(self, task: Task, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(
                f"The tokenizer of this base ({type(tokenizer).__name__}) has no fast version, "
                "which is needed to find where a text may be cut. Save one as tokenizer.json."
            )
        self.task = task
        self.tokenizer = tokenizer
        self._front, self._back = _ids_around(tokenizer)
        self._control = _control_tokens(tokenizer)
        self.terminator: tuple[int, ...] = ()
        self.label_ids = self._encode_labels()
        self.prefix_ids = self._find_prefix()
        shortest = len(self._encode_whole([task.render("")])[0]) + max(map(len, self.label_ids))
        if shortest >= task.max_length:
            raise UserError(
                f"The instruction and the longest label take {shortest} tokens, and the maximum "
                f"length is {task.max_length}: no room is left for a text. Raise --max-length."
            )

    @cached_property
    def _plain(self) -> Any:
        """The tokenizer without control tokens; made when first needed, for it takes a moment."""
        return _without_control_tokens(self.tokenizer, self._control)

    def encode(self, texts: Sequence[str]) -> list[EncodedPrompt]:
        """The prompts of `texts`, in their order."""
        texts = [clean(text) for text in texts]
        kept = self._shorten(texts)
        return [
            self._checked(ids, len(original) - len(text), seams)
            for original, (text, ids), seams in zip(texts, kept, self._seams(kept), strict=True)
        ]

    def _checked(self, ids: list[int], cut: int, spoken: list[list[int]]) -> EncodedPrompt:
        shared = ids[: len(self.prefix_ids)] == self.prefix_ids and len(ids) > len(self.prefix_ids)
        usual = [ids + label[: len(label) - len(self.terminator)] for label in self.label_ids]
        if spoken == usual:
            return EncodedPrompt(tuple(ids), shared, None, cut)
        common = _common_prefix([ids, *spoken])
        continuations = tuple(
            (*whole[len(common) :], *self.terminator) for whole in spoken
        )
        return EncodedPrompt(tuple(common), False, continuations, cut)

    # Encoding ---------------------------------------------------------------------------------

    def _encode_whole(self, strings: Sequence[str]) -> list[list[int]]:
        """The tokenizer's own ids for whole strings, less what it would put behind them."""
        if not strings:
            return []
        encoded: list[list[int]] = self.tokenizer(list(strings), verbose=False).input_ids
        return [ids[: len(ids) - len(self._back)] for ids in encoded]

    def _holds_control(self, text: str) -> bool:
        return self._control.search(text) is not None

    def _encode_neutral(self, text: str, end: str) -> list[int]:
        """Ids of instruction + text + end, where control tokens in the text are characters.

        The tokenizer splits a string at its control tokens anyway, so the template's outermost
        parts up to (and from) such a token are encoded apart, and what lies between, with the
        text in it, by a copy of the tokenizer that knows no control tokens.
        """
        before, after = self.task.instruction, end
        head, tail = "", ""
        if found := list(self._control.finditer(before)):
            head, before = before[: found[-1].end()], before[found[-1].end() :]
        if first := self._control.search(after):
            after, tail = after[: first.start()], after[first.start() :]
        ids = self._encode_whole([head])[0] if head else list(self._front)
        ids += self._plain.encode(before + text + after, add_special_tokens=False).ids
        if tail:
            ids += self.tokenizer(tail, add_special_tokens=False, verbose=False).input_ids
        return ids

    def _encode_prompt(self, text: str, end: str | None = None) -> list[int]:
        end = self.task.prompt_end if end is None else end
        if self._holds_control(text):
            return self._encode_neutral(text, end)
        return self._encode_whole([self.task.instruction + text + end])[0]

    def _encode_prompts(self, texts: Sequence[str], end: str) -> list[list[int]]:
        """As `_encode_prompt` for many, ordinary ones in one call of the tokenizer."""
        plain = [i for i, text in enumerate(texts) if not self._holds_control(text)]
        encoded = self._encode_whole([self.task.instruction + texts[i] + end for i in plain])
        by_index = dict(zip(plain, encoded, strict=True))
        return [
            by_index[i] if i in by_index else self._encode_neutral(text, end)
            for i, text in enumerate(texts)
        ]

    def _seams(self, kept: list[tuple[str, list[int]]]) -> list[list[list[int]]]:
        """For each row and label the ids of the prompt with the label behind it."""
        texts = [text for text, _ in kept]
        by_label = [
            self._encode_prompts(texts, self.task.prompt_end + self.task.spoken(label))
            for label in self.task.labels
        ]
        return [list(row) for row in zip(*by_label, strict=True)]

    # Truncation -------------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        return self.task.max_length - max(map(len, self.label_ids))

    def _shorten(self, texts: Sequence[str]) -> list[tuple[str, list[int]]]:
        encoded = self._encode_prompts(texts, self.task.prompt_end)
        return [
            (text, ids) if len(ids) <= self._room else self._cut(text, ids)
            for text, ids in zip(texts, encoded, strict=True)
        ]

    def _cut(self, text: str, ids: list[int]) -> tuple[str, list[int]]:
        """A beginning of `text` whose prompt fits, as long as it may be give or take a token.

        Cutting may join or part tokens at the new end, so the cut prompt is encoded whole again,
        and the cut moved until it fits.
        """
        offsets = self._plain.encode(text, add_special_tokens=False).offsets
        keep = len(offsets)
        while len(ids) > self._room and keep > 0:
            keep = max(0, keep - (len(ids) - self._room))
            text = text[: offsets[keep][0]]
            ids = self._encode_prompt(text)
        return text, ids

    # Labels -----------------------------------------------------------------------------------

    def _encode_labels(self) -> list[list[int]]:
        prompt = self._encode_prompt(_PROBES[0])
        labels = []
        for label in self.task.labels:
            whole = self._encode_prompt(
                _PROBES[0], self.task.prompt_end + self.task.spoken(label)
            )
            if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
                raise UserError(
                    f"The tokenizer joins the label {label!r} with the end of the template, so the "
                    "model would never generate it as its own tokens. End the template with a "
                    "colon, as in 'Sentiment:'."
                )
            labels.append(whole[len(prompt) :])
        return self._terminated(labels)

    def _terminated(self, labels: list[list[int]]) -> list[list[int]]:
        """Labels whose ids are distinct, and none the beginning of another's."""
        names = self.task.labels
        for i, first in enumerate(labels):
            for j, second in enumerate(labels):
                if i < j and first == second:
                    raise UserError(
                        f"The labels {names[i]!r} and {names[j]!r} are the same tokens to this "
                        "tokenizer and can't be told apart. Rename one with --labels."
                    )
        pairs = [(a, b) for i, a in enumerate(labels) for j, b in enumerate(labels) if i != j]
        if any(b[: len(a)] == a for a, b in pairs):
            self.terminator = self._find_terminator()
            labels = [label + list(self.terminator) for label in labels]
        return labels

    def _find_terminator(self) -> tuple[int, ...]:
        if self.tokenizer.eos_token_id is not None:
            return (int(self.tokenizer.eos_token_id),)
        return tuple(self.tokenizer("\n", add_special_tokens=False).input_ids)

    def _find_prefix(self) -> list[int]:
        return _common_prefix([self._encode_prompt(probe) for probe in _PROBES])


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """A SHA-256 of what a tokenizer does: its ids for many strings, its size, its special ids.

    Behaviour is hashed, not the serialised form, which changes between versions of the library.
    """
    strings = [*_PROBES, *_FINGERPRINT_STRINGS, *sorted(tokenizer.get_added_vocab())]
    behaviour = {
        "size": len(tokenizer),
        "special": sorted(tokenizer.all_special_ids),
        "ids": tokenizer(strings, verbose=False).input_ids,
    }
    return hashlib.sha256(json.dumps(behaviour).encode()).hexdigest()


_FINGERPRINT_STRINGS = (
    "",
    " ",
    "\n\n\n",
    "a  5 12345 3.14159e-10",
    "can't won't I'VE",
    "naïve cafe\u0301 ﬁne Ⅳ ½",
    "def f(x):\n\treturn x ** 2  # ok\r\n",
    "שלום مرحبا नमस्ते 你好 こんにちは",
    "🙂👩‍👩‍👧🏽 \x00\x7f\ufffd",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
)


def _ids_around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer itself puts in front of a string, and behind it."""
    bare = tokenizer("a", add_special_tokens=False).input_ids
    whole = tokenizer("a").input_ids
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    raise UserError("This base's tokenizer changes a text when it adds its special tokens.")


def _control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches the added tokens, special or not (Qwen's <tool_call> is not, and is live).

    Those that are nothing but white space (Gemma's runs of line breaks) control nothing: they are
    the tokenizer's ordinary way to write such a text, and stay.
    """
    contents = [token for token in tokenizer.get_added_vocab() if token.strip(" \t\r\n▁")]
    longest_first = sorted(contents, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _without_control_tokens(tokenizer: Any, control: re.Pattern[str]) -> Any:
    """A copy of the tokenizer's backend to which control tokens are plain characters."""
    from tokenizers import Tokenizer

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if not control.fullmatch(t["content"])]
    state.update(truncation=None, padding=None, post_processor=None)
    model = state["model"]
    if model["type"] == "Unigram":  # its control pieces would still win any segmentation
        model["vocab"] = [
            [piece, _NEVER if control.fullmatch(piece) else score] for piece, score in model["vocab"]
        ]
    elif model["type"] == "BPE" and model.get("ignore_merges"):  # whole words are looked up
        unk = model.get("unk_token")
        model["vocab"] = {
            piece: index
            for piece, index in model["vocab"].items()
            if piece == unk or not control.fullmatch(piece)
        }
    return Tokenizer.from_str(json.dumps(state))


_NEVER = -1e6  # a log-probability that no segmentation is worth


def _common_prefix(sequences: Sequence[Sequence[int]]) -> list[int]:
    common = []
    for ids in zip(*sequences, strict=False):
        if len(set(ids)) > 1:
            break
        common.append(ids[0])
    return common

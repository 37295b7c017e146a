"""From a text to a prompt's token ids: the tokenisation contract.

*A prompt's ids are what the tokenizer itself gives for the rendered string*, so that a merged or
exported model answers the plain string alike in any other engine. Prompts are therefore encoded
whole; that the instruction's ids are a prefix of them, and that the labels' ids follow them
unchanged, is checked for each row, and a row where it isn't so says so (`EncodedPrompt.shared`,
`EncodedPrompt.continuations`).

Training and prediction build their prompts here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

from sentilora.cutting import Read, shortened
from sentilora.errors import UserError
from sentilora.task import Task, clean
from sentilora.tokenisation import PromptTokenizer

# Openings and closings of ordinary texts: what the instruction shares with all of them is shared.
_PROBES = ("a fine film", "The end", "it's 5 o'clock", '"Well" (1) ...', "Öde – 世界!", "x?")


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
        How many characters of the text were left out for the maximum length.
    """

    ids: tuple[int, ...]
    shared: bool
    continuations: tuple[tuple[int, ...], ...] | None = None
    characters_cut: int = 0


def texts_cut(prompts: Iterable[EncodedPrompt]) -> int:
    """Of how many texts a part was left out."""
    return sum(prompt.characters_cut > 0 for prompt in prompts)


@dataclass(frozen=True)
class _Fitted:
    """What is read of a text, its prompt's ids, and these with each label behind them."""

    read: Read
    ids: list[int]
    characters_cut: int
    spoken: list[list[int]]


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
        Where the tokenizer isn't a fast one, the labels collide in tokens, the prompt of an empty
        text would be empty, or the instruction alone doesn't fit the maximum length.
    """

    def __init__(self, task: Task, tokenizer: Any) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self._prompts = PromptTokenizer(task, tokenizer)
        if not self._encode_one(""):
            raise UserError(
                "The template is nothing but the text, so an empty text would be an empty prompt. "
                "Add an instruction, as in 'Review: {text}\\nSentiment:'."
            )
        self.terminator: tuple[int, ...] = ()
        self.label_ids = self._encode_labels()
        self.prefix_ids = _common_prefix(self._prompts.ids(_PROBES))
        shortest = self._length(self._spoken([""])[0])
        if shortest >= task.max_length:
            raise UserError(
                f"The instruction and the longest label take {shortest} tokens, and the maximum "
                f"length is {task.max_length}: no room is left for a text. Raise --max-length."
            )

    def encode(self, texts: Sequence[str]) -> list[EncodedPrompt]:
        """The prompts of `texts`, in their order."""
        kept = self._fitted([clean(text) for text in texts])
        return [self._checked(each) for each in kept]

    def shown(self, text: str) -> str:
        """What the model is shown of `text`: all of it, unless it is too long."""
        return self.read(text).text

    def read(self, text: str) -> Read:
        """As `shown`, with where in `text` it stands."""
        return self._fitted([clean(text)])[0].read

    def spans(self, text: str) -> list[tuple[int, int]]:
        """For each id of the prompt of `text`, which must not be too long, the characters of `text`
        that it stands for, from and to; for an id of the template alone they are none."""
        prompt = self.encode([text])[0]
        return self._prompts.spans(text)[: len(prompt.ids)]

    def _fitted(self, texts: list[str]) -> list[_Fitted]:
        """The texts, each cut to what fits with the longest label behind it."""
        room = self.task.max_length - max(map(len, self.label_ids))
        whole = self._prompts.ids(texts)
        cut = [self._cut(text, ids, room) for text, ids in zip(texts, whole, strict=True)]
        spoken = self._spoken([read.text for read, _ in cut])
        for i in range(len(cut)):
            # A label that is joined with the text may take more tokens than it usually does.
            while (over := self._length(spoken[i]) - self.task.max_length) > 0:
                cut[i] = self._cut(texts[i], whole[i], len(cut[i][1]) - over)
                spoken[i] = self._spoken([cut[i][0].text])[0]
        return [
            _Fitted(read, ids, len(text) - read.characters, with_labels)
            for text, (read, ids), with_labels in zip(texts, cut, spoken, strict=True)
        ]

    def _checked(self, fitted: _Fitted) -> EncodedPrompt:
        ids, spoken = fitted.ids, fitted.spoken
        usual = [ids + label[: len(label) - len(self.terminator)] for label in self.label_ids]
        continuations = None
        if spoken != usual:
            ids = _common_prefix([ids, *(whole[:-1] for whole in spoken)])
            continuations = tuple((*whole[len(ids) :], *self.terminator) for whole in spoken)
        prefix = self.prefix_ids
        shared = bool(prefix) and len(ids) > len(prefix) and ids[: len(prefix)] == prefix
        return EncodedPrompt(tuple(ids), shared, continuations, fitted.characters_cut)

    def _encode_one(self, text: str, label: str | None = None) -> list[int]:
        return self._prompts.ids([text], label)[0]

    def _spoken(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """For each text and label the ids of the prompt with the label behind it."""
        by_label = [self._prompts.ids(texts, label) for label in self.task.labels]
        return [list(row) for row in zip(*by_label, strict=True)]

    def _length(self, spoken: list[list[int]]) -> int:
        """How many tokens a prompt and its longest label take."""
        return max(map(len, spoken)) + len(self.terminator)

    def _cut(self, text: str, ids: list[int], room: int) -> tuple[Read, list[int]]:
        """So much of `text` as fits, give or take a token, and its prompt.

        Cutting may join or part tokens at the new end, so the cut prompt is encoded whole again,
        and the cut moved until it fits.
        """
        if len(ids) <= room:
            return Read.all_of(text), ids
        ends = self._prompts.ends(text)
        keep, shorter = len(ends), Read.all_of(text)
        while len(ids) > room and shorter.text:
            keep -= len(ids) - room
            shorter = shortened(text, ends, keep, self.task.long_texts)
            ids = self._encode_one(shorter.text)
        return shorter, ids

    def _encode_labels(self) -> list[list[int]]:
        prompt = self._encode_one(_PROBES[0])
        labels = []
        for label in self.task.labels:
            whole = self._encode_one(_PROBES[0], label)
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
        for (i, first), (j, second) in combinations(enumerate(labels), 2):
            if first == second:
                raise UserError(
                    f"The labels {names[i]!r} and {names[j]!r} are the same tokens to this "
                    "tokenizer and can't be told apart. Rename one with --labels."
                )
        if any(longer[: len(label)] == label for label, longer in permutations(labels, 2)):
            self.terminator = self._find_terminator()
            labels = [label + list(self.terminator) for label in labels]
        return labels

    def _find_terminator(self) -> tuple[int, ...]:
        if self.tokenizer.eos_token_id is not None:
            return (int(self.tokenizer.eos_token_id),)
        return tuple(self.tokenizer("\n", add_special_tokens=False).input_ids)


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """A SHA-256 of what a tokenizer does: its ids for many strings, its size, its special ids.

    Behaviour is hashed, not the serialised form, which changes between versions of the library.
    The strings are hostile ones and the texts of tokens from all over the vocabulary, with all
    of the last ones: where a copy was cut short, they are missing.
    """
    size = len(tokenizer)
    sample = sorted({*range(0, size, max(1, size // 2048)), *range(max(0, size - 512), size)})
    pieces = tokenizer.batch_decode([[index] for index in sample])
    strings = [*_PROBES, *FINGERPRINT_STRINGS, *sorted(tokenizer.get_added_vocab()), *pieces]
    behaviour = {
        "size": size,
        "special": sorted(tokenizer.all_special_ids),
        "ids": tokenizer(strings, verbose=False).input_ids,
    }
    return hashlib.sha256(json.dumps(behaviour).encode()).hexdigest()


FINGERPRINT_STRINGS = (
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


def _common_prefix(sequences: Sequence[Sequence[int]]) -> list[int]:
    common = []
    for ids in zip(*sequences, strict=False):
        if len(set(ids)) > 1:
            break
        common.append(ids[0])
    return common

"""The ids of whole prompts: the tokenizer's own, but for control tokens inside a text.

A tokenizer's control and added tokens are plain characters *inside a text* (a review that contains
``<|im_end|>`` must not end the user's turn), and are what they are in the template.

`PromptTokenizer` renders and encodes; `encoding` builds upon it what a model is given: the shared
instruction, the labels, the cut to a maximum length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sentilora.control import NeutralTokenizer, control_tokens
from sentilora.errors import UserError
from sentilora.task import Task, clean

_ORDINARY = "a fine film"  # a text that holds nothing of note


@dataclass(frozen=True)
class _Frame:
    """What stands around a text, for one end of the prompt (with or without a label).

    `head` and `tail` are the ids up to and from the template's control tokens next to the text,
    `follows` and `precedes` these tokens, `before` and `after` the characters between them and the
    text. `controls` are all control ids of a prompt with an ordinary text.
    """

    end: str
    controls: list[int]
    head: list[int]
    before: str
    after: str
    tail: list[int]
    follows: Any | None
    precedes: Any | None


class PromptTokenizer:
    """Encodes the prompts of one task, with or without a label, with one fast tokenizer."""

    def __init__(self, task: Task, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(
                f"The tokenizer of this base ({type(tokenizer).__name__}) has no fast version, "
                "which is needed to find where a text may be cut. Save one as tokenizer.json."
            )
        self.task = task
        self.tokenizer = tokenizer
        self._behind = count_behind(tokenizer)
        self._control = control_tokens(tokenizer)
        self._frames: dict[str, _Frame] = {}

    def ids(self, texts: Sequence[str], label: str | None = None) -> list[list[int]]:
        """The ids of each text's prompt, with `label` behind it if one is given.

        They are the tokenizer's own for the whole string, unless it finds a control token there
        that isn't the template's.
        """
        if not texts:
            return []
        frame = self._frame(label)
        texts = [clean(text) for text in texts]
        strings = [self.task.instruction + text + frame.end for text in texts]
        encoded = self.tokenizer(strings, return_attention_mask=False, verbose=False).input_ids
        whole = [ids[: len(ids) - self._behind] for ids in encoded]
        return [
            ids if self._controls(ids) == frame.controls else self._neutral_ids(text, frame)
            for text, ids in zip(texts, whole, strict=True)
        ]

    def ends(self, text: str) -> list[int]:
        """Where each token of `text` by itself ends, in characters."""
        encoded = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        offsets = encoded.offset_mapping
        if self._controls(encoded.input_ids):
            offsets = self._neutral.offsets(text)
        return [end for _, end in offsets]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """For each id of the prompt of `text`, the characters of `text` that it stands for.

        An id of the template alone stands for none, (0, 0).
        """
        frame, text = self._frame(None), clean(text)
        string = self.task.instruction + text + frame.end
        encoded = self.tokenizer(string, return_offsets_mapping=True, verbose=False)
        size = len(encoded.input_ids) - self._behind
        offsets, start = encoded.offset_mapping[:size], len(self.task.instruction)
        if self._controls(encoded.input_ids[:size]) != frame.controls:
            stretch, start = self._stretch(text, frame)
            outside = [(0, 0)]
            offsets = self._neutral.offsets(stretch)
            offsets = outside * len(frame.head) + offsets + outside * len(frame.tail)
        own = [(max(0, first - start), min(len(text), last - start)) for first, last in offsets]
        return [(first, last) if first < last else (0, 0) for first, last in own]

    def _neutral_ids(self, text: str, frame: _Frame) -> list[int]:
        """The prompt's ids where control tokens in the text are plain characters.

        The tokenizer splits a string at its control tokens anyway, so what lies between the
        template's nearest ones, with the text in it, is encoded by a tokenizer without any.
        """
        stretch, _ = self._stretch(text, frame)
        return [*frame.head, *self._neutral.ids(stretch), *frame.tail]

    def _stretch(self, text: str, frame: _Frame) -> tuple[str, int]:
        """What is encoded by that tokenizer, and where in it the text begins."""
        stretch, start = frame.before + text + frame.after, len(frame.before)
        if frame.follows is not None and frame.follows.rstrip:  # it takes white space with it
            start -= len(stretch) - len(stretch.lstrip())
            stretch = stretch.lstrip()
        if frame.precedes is not None and frame.precedes.lstrip:
            stretch = stretch.rstrip()
        return stretch, start

    @cached_property
    def _neutral(self) -> NeutralTokenizer:
        """Made when first needed, for that takes a moment; all frames have the same front."""
        return NeutralTokenizer(self.tokenizer, self._control, self._frame(None).follows)

    def _controls(self, ids: Sequence[int]) -> list[int]:
        return [index for index in ids if index in self._control]

    def _frame(self, label: str | None) -> _Frame:
        end = self.task.prompt_end + ("" if label is None else self.task.spoken(label))
        if end not in self._frames:
            self._frames[end] = self._find_frame(end)
        return self._frames[end]

    def _find_frame(self, end: str) -> _Frame:
        """Split a prompt with an ordinary text at the control tokens next to the text."""
        start = len(self.task.instruction)
        stop = start + len(_ORDINARY)
        string = self.task.instruction + _ORDINARY + end
        encoded = self.tokenizer(string, return_offsets_mapping=True, verbose=False)
        size = len(encoded.input_ids) - self._behind
        ids, offsets = encoded.input_ids[:size], encoded.offset_mapping[:size]
        real = [i for i in range(size) if self._is_real(ids[i], string[slice(*offsets[i])])]
        front = [i for i in real if offsets[i][1] <= start]
        back = [i for i in real if offsets[i][0] >= stop]
        opened = offsets[front[-1]][1] if front else 0  # 0 also where only a BOS token is put there
        closed = offsets[back[0]][0] if back else len(string)
        return _Frame(
            end=end,
            controls=self._controls(ids),
            head=ids[: front[-1] + 1] if front else [],
            before=string[opened:start],
            after=string[stop:closed],
            tail=ids[back[0] :] if back else [],
            follows=self._control[ids[front[-1]]] if opened else None,
            precedes=self._control[ids[back[0]]] if back else None,
        )

    def _is_real(self, index: int, written: str) -> bool:
        """Whether an id is a control token's, and not the unknown token's for odd characters."""
        if index not in self._control:
            return False
        return index != self.tokenizer.unk_token_id or self._control[index].content in written


def count_behind(tokenizer: Any) -> int:
    """How many tokens the tokenizer itself puts behind a string."""
    bare = tokenizer("a", add_special_tokens=False).input_ids
    whole = tokenizer("a").input_ids
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return len(whole) - len(bare) - start
    raise UserError("This base's tokenizer changes a text when it adds its special tokens.")

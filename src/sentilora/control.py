"""Control tokens: which they are, and a tokenizer to which they are plain characters.

A tokenizer matches its added tokens anywhere in a string, special or not (Qwen's ``<tool_call>``
is not, and is live). In a template that is meant; inside a text it would let a review that
contains ``<|im_end|>`` end the user's turn. `NeutralTokenizer` encodes a stretch of a prompt as the
tokenizer would if it had never heard of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def control_tokens(tokenizer: Any) -> dict[int, Any]:
    """The added tokens that are more than a way to write ordinary text, by their ids.

    Runs of white space (Gemma, GPT-NeoX) and single characters that aren't special (digits, in
    some SentencePiece vocabularies) control nothing and stay live.
    """
    return {
        index: token
        for index, token in tokenizer.backend_tokenizer.get_added_tokens_decoder().items()
        if (core := token.content.replace("▁", " ").strip()) and (token.special or len(core) > 1)
    }


class NeutralTokenizer:
    """A copy of a tokenizer without its control tokens.

    Parameters
    ----------
    tokenizer
        A fast tokenizer.
    control
        The tokens to be forgotten, by their ids: `control_tokens(tokenizer)`.
    follows
        The control token behind which the encoded stretches stand; None where they open the
        string. SentencePiece tokenizers may put their ``▁`` before the first stretch alone.
    """

    def __init__(self, tokenizer: Any, control: Mapping[int, Any], follows: Any | None) -> None:
        from tokenizers import Tokenizer

        state = json.loads(tokenizer.backend_tokenizer.to_str())
        kept = [token for token in state["added_tokens"] if token["id"] not in control]
        state.update(added_tokens=kept, truncation=None, padding=None, post_processor=None)
        _forget(state["model"], control)
        if follows is not None:
            _continue_string(state, follows)
        self._backend = Tokenizer.from_str(json.dumps(state))
        # Added tokens that the model's vocabulary lacks are numbered anew, without a gap.
        self._own_ids = {self._backend.token_to_id(token["content"]): token["id"] for token in kept}

    def ids(self, text: str) -> list[int]:
        """The ids of `text`, as the copied tokenizer numbers them."""
        encoded = self._backend.encode(text, add_special_tokens=False).ids
        return [self._own_ids.get(index, index) for index in encoded]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` each of its tokens stands, in characters."""
        offsets: list[tuple[int, int]] = self._backend.encode(
            text, add_special_tokens=False
        ).offsets
        return offsets


def _forget(model: dict[str, Any], control: Mapping[int, Any]) -> None:
    """Make a model's serialised form unable to write control tokens by itself."""
    if model["type"] == "Unigram":
        for index in control:
            if index < len(model["vocab"]):
                model["vocab"][index][0] = ""  # matches nothing, and the scores stay as they are
        return
    unknown = model.get("unk_token")
    forgotten = {
        piece for piece, index in model["vocab"].items() if index in control and piece != unknown
    }
    for piece in forgotten:
        del model["vocab"][piece]
    if "merges" in model:
        model["merges"] = [
            merge for merge in model["merges"] if not _concerns(merge, {*forgotten, unknown})
        ]


def _concerns(merge: list[str] | str, pieces: set[str | None]) -> bool:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left in pieces or right in pieces or left + right in pieces


def _continue_string(state: dict[str, Any], follows: Any) -> None:
    """Let stretches be encoded as they are in the middle of a string, behind `follows`."""
    for part in _parts(state["pre_tokenizer"]):
        if part["type"] == "Metaspace" and part["prepend_scheme"] == "first":
            part["prepend_scheme"] = "never"
    if follows.normalized:  # split off after the whole stretch was normalised, so once
        for part in _parts(state["normalizer"]):
            if part["type"] == "Prepend":
                part["prepend"] = ""


def _parts(component: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A serialised normaliser or pre-tokenizer, and the members where it is a sequence."""
    if component is None:
        return []
    members = component.get("pretokenizers", []) + component.get("normalizers", [])
    return [component, *(part for member in members for part in _parts(member))]

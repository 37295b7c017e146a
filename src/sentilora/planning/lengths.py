"""The lengths of the prompts that a plan is for: a data set's, or one that is stated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sentilora.errors import UserError
from sentilora.planning.plan import Lengths
from sentilora.planning.shape import ModelShape

if TYPE_CHECKING:
    from sentilora.encoding import PromptEncoder

# The default instruction's own tokens: 16 in SmolLM2's and Qwen2.5's vocabulary, and GPT-2's.
DEFAULT_PREFIX = 16


def stated_lengths(longest: int, shape: ModelShape) -> Lengths:
    """Prompts of up to `longest` tokens behind the default instruction.

    Raises UserError where that is less than the instruction and a token, or more than the model
    reads.
    """
    if longest <= DEFAULT_PREFIX:
        raise UserError(
            f"A prompt of {longest} tokens has no room for a text: the instruction alone has "
            f"{DEFAULT_PREFIX}. Give a longer --length."
        )
    check_window(longest, shape)
    own = longest - DEFAULT_PREFIX
    return Lengths(DEFAULT_PREFIX, (own, own), "as stated")


def check_window(longest: int, shape: ModelShape) -> None:
    """Raise UserError where the model reads fewer tokens."""
    if shape.window is not None and longest > shape.window:
        raise UserError(
            f"Prompts of {longest:,} tokens are longer than {shape.name} reads ({shape.window:,}). "
            "Give a shorter --length."
        )


def encoded_lengths(encoder: PromptEncoder, texts: Sequence[str], source: str) -> Lengths:
    """Those of `texts` in their prompts, with what stands behind of the longest label."""
    behind = max(map(len, encoder.label_ids)) - 1
    lengths = [len(prompt.ids) + behind for prompt in encoder.encode(texts)]
    return Lengths.of(len(encoder.prefix_ids), lengths, source)

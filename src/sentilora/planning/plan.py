"""`make_plan`: the largest micro-batch that a memory holds, and what a step then takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sentilora.bases.quantization import NONE
from sentilora.devices import tokens_at_once
from sentilora.planning.memory import Parts, loading, peak, trained
from sentilora.planning.recipe import Recipe, Run
from sentilora.planning.shape import ModelShape


@dataclass(frozen=True)
class Lengths:
    """Tokens of the prompts that are trained on.

    prefix
        Of the instruction, which all share.
    own
        What the shortest and the longest have behind it.
    source
        In words, where they come from.
    """

    prefix: int
    own: tuple[int, int]
    source: str

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return self.prefix + self.own[1]

    @classmethod
    def of(cls, prefix: int, lengths: Sequence[int], source: str) -> Lengths:
        """From the prompts' whole lengths."""
        own = [max(1, length - prefix) for length in lengths]
        return cls(prefix, (min(own), max(own)), source)


@dataclass(frozen=True)
class Plan:
    """What fits.

    recipe
        How it is tuned, checkpointing included if it is needed.
    batch_size, rows, tokens
        Rows of an optimiser step; the most rows of the longest length that a pass holds; and the
        most tokens that a pass is given, the instruction's aside where it is shared.
    parts, loading
        Bytes of a step's peak, and at the peak of loading the base.
    budget
        Bytes that there are.
    """

    shape: ModelShape
    recipe: Recipe
    lengths: Lengths
    batch_size: int
    rows: int
    tokens: int
    parts: Parts
    loading: int
    budget: int

    @property
    def peak(self) -> int:
        """The most bytes held at any time."""
        return max(self.parts.total, self.loading)

    @property
    def fits(self) -> bool:
        """Whether that is within the budget."""
        return self.peak <= self.budget

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        recipe = self.recipe
        return {
            "model": self.shape.to_dict(),
            "device": recipe.device,
            "dtype": recipe.dtype,
            "quantize": recipe.quantize or NONE,
            "rank": recipe.rank,
            "targets": list(recipe.targets),
            "trained_parameters": trained(self.shape, recipe),
            "path": "handwritten" if recipe.handwritten(self.shape) else "general",
            "length": {
                "prefix": self.lengths.prefix,
                "longest": self.lengths.longest,
                "source": self.lengths.source,
            },
            "batch_size": self.batch_size,
            "micro_batch_rows": self.rows,
            "micro_batch_tokens": self.tokens,
            "gradient_checkpointing": recipe.checkpointing,
            "bytes": self.parts.to_dict(),
            "loading_bytes": self.loading,
            "peak_bytes": self.peak,
            "budget_bytes": self.budget,
            "fits": self.fits,
        }


def make_plan(
    shape: ModelShape, recipe: Recipe, lengths: Lengths, batch_size: int, budget: int
) -> Plan:
    """The largest micro-batch within `budget` bytes, with checkpointing where it needs to be.

    Checkpointing is taken where without it not even one row of the longest length fits, for it runs
    every block twice. Where nothing fits, the plan is the smallest that there is.
    """
    tried = _largest(shape, recipe, lengths, batch_size, budget)
    if tried.fits or recipe.checkpointing:
        return tried
    checkpointed = replace(recipe, checkpointing=True)
    other = _largest(shape, checkpointed, lengths, batch_size, budget)
    return other if other.peak < tried.peak else tried


def _largest(
    shape: ModelShape, recipe: Recipe, lengths: Lengths, batch_size: int, budget: int
) -> Plan:
    """The plan that fits with the tokens that are fast, or else with the most rows."""
    longest = lengths.longest if recipe.checkpointing else lengths.own[1]
    most = tokens_at_once(recipe.device)

    def planned(rows: int, tokens: int) -> Plan:
        worst = max(
            (peak(shape, recipe, run) for run in _runs(recipe, lengths, batch_size, tokens)),
            key=lambda parts: parts.total,
        )
        load = loading(shape, recipe)
        return Plan(shape, recipe, lengths, batch_size, rows, tokens, worst, load, budget)

    upper = max(1, min(batch_size, most // longest))
    fastest = planned(upper, max(longest, most))
    if fastest.fits:
        return fastest
    low, high = 1, upper
    while low < high:  # the most rows that fit; a pass's memory grows with them
        middle = (low + high + 1) // 2
        if planned(middle, middle * longest).fits:
            low = middle
        else:
            high = middle - 1
    return planned(low, low * longest)


def _runs(recipe: Recipe, lengths: Lengths, batch_size: int, tokens: int) -> list[Run]:
    """The passes that may be the largest under a budget of tokens.

    Per token, long rows pay for attention and short ones for the instruction that is laid before
    each: the sum has its maximum at one of both ends, or where the batch is just whole.
    """
    shortest, longest = lengths.own
    front = lengths.prefix if recipe.checkpointing else 0  # which counts as the rows' own there
    whole = min(max(tokens // batch_size - front, shortest), longest)
    return [
        Run(max(1, min(batch_size, tokens // (own + front))), own, lengths.prefix)
        for own in {shortest, whole, longest}
    ]

"""What would fit where a plan doesn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from sentilora.planning.amounts import shown_bytes
from sentilora.planning.plan import Lengths, Plan, make_plan
from sentilora.planning.shape import ModelShape, known_shape
from sentilora.planning.table import CONFIGURATIONS

_SHORTEST = 64  # tokens of a prompt; less holds hardly a text


def advice(plan: Plan, length_option: str) -> list[str]:
    """Sentences about what fits the budget, the least changed first; empty where nothing does."""
    return [*_lengths(plan, length_option), *_quantised(plan), *_ranks(plan), *_smaller(plan)]


def refusal(plan: Plan, length_option: str = "--max-length") -> str:
    """What is wrong with a plan that doesn't fit, and what would; `length_option` is how the
    command that asks is told of the longest prompt."""
    peak, budget = shown_bytes(plan.peak), shown_bytes(plan.budget)
    least = "micro-batches of one row"
    if plan.recipe.checkpointing:
        least += " and gradient checkpointing"
    ways = advice(plan, length_option)
    remedy = " ".join(ways) if ways else "Nothing here fits so little: more memory is needed."
    return f"{plan.shape.name} takes {peak} even with {least}, and there are {budget}. {remedy}"


def _fitting(plan: Plan, **changed: object) -> Plan | None:
    recipe = replace(plan.recipe, checkpointing=False, **changed)  # type: ignore[arg-type]
    other = make_plan(plan.shape, recipe, plan.lengths, plan.batch_size, plan.budget)
    return other if other.fits else None


def _lengths(plan: Plan, option: str) -> Iterator[str]:
    """The longest texts that fit."""

    def fits(longest: int) -> bool:
        own = longest - plan.lengths.prefix
        cut = replace(plan.lengths, own=(min(plan.lengths.own[0], own), own))
        return make_plan(plan.shape, plan.recipe, cut, plan.batch_size, plan.budget).fits

    low = max(_SHORTEST, plan.lengths.prefix + 8)
    found = _most(low, plan.lengths.longest - 1, fits)
    if found is not None:
        yield f"Texts cut shorter would fit ({option} {found})."


def _quantised(plan: Plan) -> Iterator[str]:
    for kind in ("int8", "nf4"):
        if plan.recipe.quantize is None and (other := _fitting(plan, quantize=kind)):
            yield f"The base quantised (--quantize {kind}) would take {shown_bytes(other.peak)}."
            return


def _ranks(plan: Plan) -> Iterator[str]:
    if plan.recipe.rank > 8 and (other := _fitting(plan, rank=8)):
        yield f"A lower --rank 8 would take {shown_bytes(other.peak)}."


def _smaller(plan: Plan) -> Iterator[str]:
    """The largest well-known base that fits as things are."""
    known = [known_shape(name, config) for name, config in CONFIGURATIONS.items()]
    smaller = [one for one in known if one and one.parameters < plan.shape.parameters]
    for shape in sorted(smaller, key=lambda one: -one.parameters):
        if (other := _on(plan, shape)).fits:
            yield f"A smaller base, {shape.name}, would take {shown_bytes(other.peak)}."
            return


def _on(plan: Plan, shape: ModelShape) -> Plan:
    recipe = replace(plan.recipe, checkpointing=False)
    return make_plan(shape, recipe, _within(plan.lengths, shape), plan.batch_size, plan.budget)


def _within(lengths: Lengths, shape: ModelShape) -> Lengths:
    """The lengths, cut to what the model reads."""
    if shape.window is None or lengths.longest <= shape.window:
        return lengths
    own = shape.window - lengths.prefix
    return replace(lengths, own=(min(lengths.own[0], own), own))


def _most(low: int, high: int, holds: Callable[[int], bool]) -> int | None:
    """The largest number from `low` to `high` of which `holds`, true up to some number; or None."""
    if high < low or not holds(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low

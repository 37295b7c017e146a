"""A plan's parts, and that they grow with what they should grow with."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from sentilora.planning import Lengths, ModelShape, Plan, Recipe, frozen, make_plan, memory, refusal
from sentilora.planning.memory import peak, trained, weights
from sentilora.planning.recipe import Run
from sentilora.planning.shape import known_shape
from sentilora.planning.table import CONFIGURATIONS
from sentilora.scoring import head
from sentilora.scoring.frozen import engine, workspace

GPU = Recipe("bfloat16", "cuda")
RECIPES = [
    GPU,
    Recipe("float32"),
    Recipe("bfloat16", threads=4),
    replace(GPU, quantize="nf4"),
    replace(GPU, quantize="int8", checkpointing=True),
    replace(GPU, targets=("query", "key", "value", "output", "mlp")),
]
QWENS = [name for name in CONFIGURATIONS if name.startswith("Qwen")]


def shape(name: str) -> ModelShape:
    found = known_shape(name, CONFIGURATIONS[name])
    assert found is not None
    return found


def lengths(longest: int, shortest: int | None = None) -> Lengths:
    return Lengths(16, ((shortest or longest) - 16, longest - 16), "as stated")


def planned(name: str, budget: float, longest: int = 512, **changed: Any) -> Plan:
    return make_plan(shape(name), replace(GPU, **changed), lengths(longest), 32, int(budget))


def rising(totals: list[int]) -> bool:
    return all(one < other for one, other in pairwise(totals))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_parts_sum_and_grow(name: str, recipe: Recipe) -> None:
    def total(run: Run, **changed: Any) -> int:
        parts = peak(shape(name), replace(recipe, **changed), run)
        every = parts.to_dict()
        assert every.pop("total") == sum(every.values()) == parts.total
        assert all(size >= 0 for size in every.values())
        return parts.total

    assert rising([total(Run(rows, 100, 16)) for rows in (1, 2, 7, 8, 33)])
    assert rising([total(Run(4, own, 16)) for own in (8, 60, 61, 500)])
    assert rising([total(Run(4, 100, prefix)) for prefix in (4, 16, 200)])
    assert rising([total(Run(4, 100, 16), rank=rank) for rank in (1, 8, 9, 64)])


@pytest.mark.parametrize("recipe", RECIPES)
def test_larger_models_take_more(recipe: Recipe) -> None:
    assert rising([peak(shape(name), recipe, Run(4, 100, 16)).total for name in QWENS])


def test_nf4_shrinks_the_projections_alone() -> None:
    for name in CONFIGURATIONS:
        base = shape(name)
        plain, nf4, int8 = (
            weights(base, replace(GPU, quantize=kind)) for kind in (None, "nf4", "int8")
        )
        assert plain == 2 * base.parameters
        assert plain - nf4 == pytest.approx(base.linear * (2 - 0.516), rel=1e-3)
        assert nf4 < int8 < plain


def test_trained_weights_are_counted_as_peft_makes_them() -> None:
    assert trained(shape("smollm2"), GPU) == 460_800  # README: 0.34 % of 134,515,008
    assert trained(shape("distilgpt2"), GPU) == 6 * 8 * (768 + 3 * 768)


@pytest.mark.parametrize("name", QWENS)
@pytest.mark.parametrize("quantize", [None, "nf4"])
def test_the_micro_batch_is_the_largest_that_fits(name: str, quantize: str | None) -> None:
    for budget in (3e9, 8e9, 24e9):
        plan = planned(name, budget, quantize=quantize)
        if not plan.fits:
            assert plan.rows == 1
            continue
        assert plan.peak <= budget
        assert plan.tokens >= plan.rows * plan.lengths.own[1]
        if plan.rows == 8 or plan.recipe.checkpointing:  # 4,096 tokens: more are no faster
            continue
        more = peak(plan.shape, plan.recipe, Run(plan.rows + 1, plan.lengths.own[1], 16))
        assert more.total > budget


def test_more_memory_never_plans_less() -> None:
    plans = [planned("Qwen/Qwen2.5-1.5B", budget) for budget in (4e9, 5e9, 6e9, 8e9, 12e9, 24e9)]
    tokens = [plan.tokens for plan in plans if plan.fits and not plan.recipe.checkpointing]
    assert tokens == sorted(tokens)
    assert tokens[-1] > tokens[0]


def test_checkpointing_only_where_it_is_needed() -> None:
    assert not planned("Qwen/Qwen2.5-1.5B", 8e9).recipe.checkpointing
    tight = planned("Qwen/Qwen2.5-3B", 8e9)
    assert tight.fits
    assert tight.recipe.checkpointing
    without = peak(tight.shape, replace(GPU), Run(1, 496, 16))
    assert without.total > 8e9


@pytest.mark.parametrize(
    ("recipe", "longest"),
    [(Recipe("bfloat16"), 560), (replace(GPU, checkpointing=True), 2100)],
)
def test_where_one_long_row_fits_short_ones_get_no_more_tokens(
    recipe: Recipe, longest: int
) -> None:
    given = (shape("Qwen/Qwen2.5-0.5B"), recipe, lengths(longest, 100), 32)
    fast = make_plan(*given, 10**12)
    plan = make_plan(*given, fast.peak - 1)
    assert plan.fits
    assert plan.recipe == recipe
    assert plan.rows == fast.rows == 1
    assert fast.tokens > plan.tokens


def test_no_mixture_of_lengths_takes_more_than_was_planned() -> None:
    """Every row length that the data may have, at the rows that the token budget then allows."""
    for name in ("distilgpt2", "Qwen/Qwen2.5-0.5B"):
        plan = make_plan(shape(name), GPU, lengths(400, 18), 64, int(2.2e9))
        assert plan.fits
        for own in range(2, 385, 7):
            rows = max(1, min(64, plan.tokens // own))
            assert peak(plan.shape, plan.recipe, Run(rows, own, 16)).total <= plan.peak * 1.005


def test_sizes_are_those_of_the_code() -> None:
    """Which imports torch, so the plan states them again."""
    assert frozen.LEAST_TOKENS == engine._LEAST_TOKENS
    assert frozen.SLAB_BYTES == workspace._SLAB_BYTES_ELSEWHERE
    assert memory._HEAD_SLICE == head._SLICE_BYTES
    assert memory._HEAD_SLICE_ELSEWHERE == head._SLICE_BYTES_ELSEWHERE


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_a_base_is_mapped_while_it_is_read_into_fewer_bits(kind: str) -> None:
    """On a CPU, where the mapped file counts."""
    qwen = shape("Qwen/Qwen2.5-0.5B")
    recipe = Recipe("bfloat16", quantize=kind)
    whole = 2 * qwen.linear
    assert memory.loading(qwen, recipe) > weights(qwen, recipe) + whole
    gpu = replace(recipe, device="cuda")
    assert memory.loading(qwen, gpu) < weights(qwen, recipe) + whole


def test_a_refusal_says_what_would_fit() -> None:
    said = refusal(planned("Qwen/Qwen2.5-7B", 8e9))
    assert "16." in said
    assert "--quantize nf4" in said
    assert "Qwen/Qwen2.5-3B" in said
    tight = planned("Qwen/Qwen2.5-7B", 7.6e9, longest=16_000, quantize="nf4")
    assert not tight.fits
    said = refusal(tight)
    found = int(said.split("--max-length ")[1].split(")")[0])
    assert planned("Qwen/Qwen2.5-7B", 7.6e9, longest=found, quantize="nf4").fits
    assert not planned("Qwen/Qwen2.5-7B", 7.6e9, longest=found + 1, quantize="nf4").fits
    assert "more memory" in refusal(planned("distilgpt2", 1e6))

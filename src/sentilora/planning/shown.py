"""Plans as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from sentilora.planning.amounts import shown_bytes
from sentilora.planning.memory import Parts, trained
from sentilora.planning.plan import Plan

if TYPE_CHECKING:
    from rich.table import Table

_KINDS = {None: "LoRA", "nf4": "LoRA on NF4", "fp4": "LoRA on FP4", "int8": "LoRA on INT8"}
_PARTS = {"prefix": "instruction's keys, values"}


def headline(plan: Plan) -> str:
    """What is planned for."""
    shape, lengths, recipe = plan.shape, plan.lengths, plan.recipe
    share = 100 * trained(shape, recipe) / shape.parameters
    return (
        f"{shape.name}: {shape.parameters / 1e6:,.0f} M weights in {recipe.dtype} on "
        f"{recipe.device}, rank {recipe.rank} on {', '.join(recipe.targets)} ({share:.2f} %); "
        f"prompts of up to {lengths.longest:,} tokens ({lengths.source}), batches of "
        f"{plan.batch_size}; {shown_bytes(plan.budget)} of memory"
    )


def plans_table(plans: Sequence[Plan]) -> Table:
    """The parts of each plan's peak, and what was settled."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("predicted", no_wrap=True)
    for plan in plans:
        table.add_column(_KINDS[plan.recipe.quantize], justify="right", no_wrap=True)
    for field in fields(Parts):
        sizes = (shown_bytes(getattr(plan.parts, field.name)) for plan in plans)
        table.add_row(_PARTS.get(field.name, field.name), *sizes)
    table.add_row("a step's peak", *(shown_bytes(plan.parts.total) for plan in plans), style="bold")
    table.add_row("loading's peak", *(shown_bytes(plan.loading) for plan in plans))
    table.add_row("fits", *("yes" if plan.fits else "no" for plan in plans), style="bold")
    table.add_row("rows at once, of the longest", *(f"{plan.rows:,}" for plan in plans))
    table.add_row("tokens at once", *(f"{plan.tokens:,}" for plan in plans))
    needed = ("yes" if plan.recipe.checkpointing else "no" for plan in plans)
    table.add_row("gradient checkpointing", *needed)
    return table

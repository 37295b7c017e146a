"""From a command's options to a plan of memory: for `plan`, and for `train --memory`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sentilora.bases.quantization import STORED_QUANTISED, parse_kind
from sentilora.cli.console import say
from sentilora.errors import UserError
from sentilora.planning import (
    Lengths,
    ModelShape,
    Plan,
    Recipe,
    make_plan,
    parse_bytes,
    refusal,
    shown_bytes,
)
from sentilora.planning.machine import device_for, dtype_for, threads_for
from sentilora.planning.reading import folder_shape, read_shape
from sentilora.roles import parse_roles

if TYPE_CHECKING:
    from sentilora.adapters import AdapterSettings
    from sentilora.bases.types import PreparedBase
    from sentilora.encoding import PromptEncoder
    from sentilora.training import TrainSettings

_LENGTH = 512  # what `train` cuts texts to
_BATCH = 32


def plans_for(params: Mapping[str, Any]) -> list[Plan]:
    """A plan for each quantisation that is asked about, from `plan`'s parameters.

    Raises UserError for a value that means nothing, and a base or data that can't be had.
    """
    budget = parse_bytes(params["memory"])
    device = device_for(params["device"])
    recipe = Recipe(
        dtype_for(device, params["dtype"]),
        device,
        threads_for(device),
        params["rank"],
        parse_roles(params["targets"]),
        dora=params["dora"],
        checkpointing=params["gradient_checkpointing"],
    )
    shape = read_shape(params["model"], params["revision"])
    kinds = _kinds(params["quantize"], shape)
    lengths, batch = _lengths(params, shape)
    batch = params["batch_size"] or batch
    return [make_plan(shape, replace(recipe, quantize=k), lengths, batch, budget) for k in kinds]


def _kinds(quantize: str | None, shape: ModelShape) -> Sequence[str | None]:
    asked = parse_kind(quantize)
    if shape.quantized is None:
        return (None, "nf4") if quantize is None else (asked,)
    if asked is not None:
        raise UserError(f"The weights of {shape.name} {STORED_QUANTISED}")
    return (shape.quantized,)


def _lengths(params: Mapping[str, Any], shape: ModelShape) -> tuple[Lengths, int]:
    """The prompts' lengths, and how many rows a step has by default."""
    from sentilora.planning.lengths import check_window, stated_lengths

    longest = params["length"] or min(_LENGTH, shape.window or _LENGTH)
    if params["data"] is None:
        return stated_lengths(longest, shape), _BATCH
    check_window(longest, shape)
    from sentilora.cli.plan_rows import rows_of

    return rows_of(params, longest)


def apply_memory(
    params: Mapping[str, Any],
    settings: TrainSettings,
    adapter: AdapterSettings,
    prepared: PreparedBase,
    encoder: PromptEncoder,
    texts: Sequence[str],
    device: str,
    dtype: str,
) -> TrainSettings:
    """The settings of a run with the plan for `params["memory"]` in them, which is said.

    Raises UserError where nothing fits.
    """
    import torch

    from sentilora.planning.lengths import encoded_lengths

    shape = folder_shape(params["model"], prepared.folder)
    recipe = Recipe(
        dtype,
        device.partition(":")[0],
        torch.get_num_threads() if device == "cpu" else 1,
        adapter.rank,
        adapter.targets,
        adapter.dropout > 0,
        adapter.dora,
        parse_kind(params["quantize"]) or shape.quantized,
        settings.gradient_checkpointing,
    )
    lengths = encoded_lengths(encoder, texts, "as encoded")
    budget = parse_bytes(params["memory"])
    plan = make_plan(shape, recipe, lengths, settings.rows_at_once, budget)
    if not plan.fits:
        raise UserError(refusal(plan))
    tokens = min(plan.tokens, settings.micro_batch_tokens or plan.tokens)
    checkpointing = plan.recipe.checkpointing
    say(
        f"Memory   {shown_bytes(plan.peak)} of {shown_bytes(budget)} predicted, with {tokens:,} "
        f"tokens at once{' and gradient checkpointing' if checkpointing else ''}"
    )
    return replace(settings, micro_batch_tokens=tokens, gradient_checkpointing=checkpointing)

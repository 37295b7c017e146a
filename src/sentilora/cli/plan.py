"""`sentilora plan`: what tuning a base takes of memory, before anything is fetched."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentilora.cli.console import echo_json, out, say
from sentilora.cli.given import given
from sentilora.cli.options import AsJson, LabelColumn, TextColumn

if TYPE_CHECKING:
    from sentilora.planning import Plan


def plan(
    context: typer.Context,
    model: Annotated[
        str, typer.Option(help="smollm2, a Hub name, a model folder, or a .gguf file.")
    ] = "smollm2",
    data: Annotated[
        str | None,
        typer.Option(
            help="The rows to be trained on, whose lengths are counted by the base's tokenizer; "
            "without them all prompts are as long as --length.",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            help="Tokens of the longest prompt with its label, as train's --max-length; by default "
            "512, or what the base reads.",
            min=1,
        ),
    ] = None,
    memory: Annotated[
        str,
        typer.Option(help="What there is: 8GB (10^9 bytes each), 8GiB (2^30 bytes each), 8000MB."),
    ] = "8GB",
    quantize: Annotated[
        str | None,
        typer.Option(help="none, nf4 or int8; by default both none and nf4 are planned."),
    ] = None,
    rank: Annotated[int, typer.Option(help="LoRA's r.", min=1)] = 8,
    targets: Annotated[
        str, typer.Option(help="Projections: query, key, value, output, mlp, or all.")
    ] = "query,value",
    dora: Annotated[
        bool, typer.Option("--dora", help="Train the weights' magnitudes, too.")
    ] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Rows per optimiser step; by default 32, or by the number of rows.", min=1
        ),
    ] = None,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing", help="Also where it isn't needed for the rows to fit."
        ),
    ] = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: Annotated[
        str | None,
        typer.Option(help="As for train.", rich_help_panel="Data"),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit of a Hub base.", rich_help_panel="Machine"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu or cuda; by default cuda where its driver is.", rich_help_panel="Machine"
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="float32, bfloat16 or float16 for the base; by default as train.",
            rich_help_panel="Machine",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict what tuning a base takes of memory, and how it fits into what there is.

    Only the base's configuration is read, and nothing is fetched for the bases that are known here.
    """
    from sentilora.cli.memory_plan import plans_for
    from sentilora.errors import UserError
    from sentilora.planning import refusal
    from sentilora.planning.shown import headline, plans_table

    plans = plans_for(context.params)
    fitting = next((one for one in plans if one.fits), None)
    if fitting is None:
        raise UserError(refusal(plans[0], "--length"))
    asked = _asked_of_train(context)
    if as_json:
        found = [{**one.to_dict(), "command": _command(one, asked)} for one in plans]
        echo_json({"plans": found}, indent=1)
        return
    say(headline(fitting))
    out().print(plans_table(plans))
    say("\nTrain with:")
    say(f"  {_command(fitting, asked)}")


def _asked_of_train(context: typer.Context) -> dict[str, Any]:
    """The options on the command line that are `train`'s, by its names, and the memory."""
    own = {"as_json", "quantize"}
    named = {"length": "max_length"}
    found = {
        named.get(name, name): value for name, value in given(context).items() if name not in own
    }
    return {"model": context.params["model"], **found, "memory": context.params["memory"]}


def _command(plan: Plan, asked: Mapping[str, Any]) -> str:
    """`sentilora train` with the plan's quantisation and the options that it was made for."""
    from sentilora.cli.training_runs import arguments

    options = {**asked, "quantize": None if plan.shape.quantized else plan.recipe.quantize}
    return shlex.join(["sentilora", "train", *arguments(options)])

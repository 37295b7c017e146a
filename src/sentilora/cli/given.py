"""Which options stand on the command line; the others have their defaults."""

from __future__ import annotations

from typing import Any

import typer


def given(context: typer.Context) -> dict[str, Any]:
    """The parameters that the user gave on the command line, by name."""
    return {
        name: value
        for name, value in context.params.items()
        if (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    }

"""The `sentilora` command: one module a subcommand, each thin: parse, call, show.

Nothing heavy is imported here or at the top of a command's module, so that `--help` answers at
once.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from sentilora.cli import (
    audit,
    bases,
    behaviour,
    compare,
    domains,
    evaluate,
    explain,
    export,
    merge,
    plan,
    predict,
    train,
)
from sentilora.cli.console import fail, say
from sentilora.errors import UserError

INTERRUPTED = 130  # the shell's code for a process ended by Ctrl-C
NO_READER = 141  # and by SIGPIPE


class _Command(TyperGroup):
    """Ends every subcommand as a user can use it, before typer's own handling, which says less."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            fail(error)
        except KeyboardInterrupt as interrupt:
            say(str(interrupt) or "Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output (head, less) has gone: nothing to report
            # What is still buffered would raise again when the interpreter flushes it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(NO_READER) from None


app = typer.Typer(
    name="sentilora",
    cls=_Command,
    help="Tune small causal language models into text classifiers that generate the label.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(name: str, command: Callable[..., None]) -> None:
    """A subcommand; the help is its docstring, each paragraph wrapped to the terminal."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    app.command(name, help="\n\n".join(" ".join(each.split()) for each in paragraphs))(command)


_add("train", train.train)
_add("evaluate", evaluate.evaluate)
_add("predict", predict.predict)
_add("compare", compare.compare)
_add("domains", domains.domains)
_add("behaviour", behaviour.behaviour)
_add("explain", explain.explain)
_add("audit", audit.audit)
_add("merge", merge.merge)
_add("plan", plan.plan)
_add("export", export.export)
app.add_typer(bases.app, name="bases")


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from sentilora import __version__

        typer.echo(f"sentilora {__version__}")
        raise typer.Exit


def main() -> None:
    """The console script. Exit code 2 for what the user can put right."""
    app(prog_name="sentilora")

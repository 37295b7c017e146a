"""The `sentilora` command: one module a subcommand, each thin: parse, call, show.

Nothing heavy is imported here or at the top of a command's module, so that `--help` answers at
once.
"""

from __future__ import annotations

import sys

import typer

from sentilora.cli import bases, evaluate, predict, train
from sentilora.cli.console import fail, say
from sentilora.errors import UserError

INTERRUPTED = 130  # the shell's code for a process ended by Ctrl-C

app = typer.Typer(
    name="sentilora",
    help="Tune small causal language models into text classifiers that generate the label.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
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
    try:
        app()
    except UserError as error:
        fail(error)
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "Interrupted.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output (head, less) has gone: nothing to report
        sys.stderr.close()
        sys.exit(0)

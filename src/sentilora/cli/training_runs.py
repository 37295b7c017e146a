"""Training several runs, each by `sentilora train` in a process of its own.

So memory is given back between them, and each one's peak is its own; what a run prints and how it
is resumed is what its user knows from `train`.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from sentilora.cli import train
from sentilora.cli.console import say
from sentilora.cli.given import given
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.planned_runs import PlannedRun

# What the caller decides itself, so that it can't be set for a run.
_OWN = frozenset({"model", "data", "output", "resume", "dry_run", "seed"})


def command() -> Any:
    """`train`, as click has it."""
    app = typer.Typer(add_completion=False)
    app.command("train")(train.train)
    return typer.main.get_command(app)


def known_options() -> list[str]:
    """The names of `train`'s options that a run may be given."""
    return [str(option.name) for option in command().params if option.name not in _OWN]


def arguments(options: Mapping[str, Any]) -> list[str]:
    """Options by name, as a command line has them; None and False leave one out."""
    found: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        option = "--" + name.replace("_", "-")
        found += [option] if value is True else [option, str(value)]
    return found


def options_in(line: str, where: str) -> dict[str, Any]:
    """The options that stand on a piece of a command line, by name.

    Raises UserError for what `train` doesn't know, or what isn't a run's own choice.
    """
    return parameters_in(line, where)[1]


def parameters_in(line: str, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """All of `train`'s parameters, and those that were given, as `options_in`."""
    try:
        words = shlex.split(line)
    except ValueError as error:  # a quotation without an end
        raise UserError(f"{where} can't be read: {str(error).rstrip('.')}.") from error
    context = _parsed(words, where)
    asked = given(context)
    if own := sorted(_OWN & asked.keys()):
        raise UserError(f"{where}: --{own[0].replace('_', '-')} is not a variant's own choice.")
    return context.params, asked


def understood(options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Options by name, their values as `train` understands them.

    Raises UserError where it would refuse one for its kind.
    """
    params = _parsed(arguments(options), where).params
    return {name: params[name] for name in options}


def parameters_of(run: PlannedRun) -> tuple[dict[str, Any], dict[str, Any]]:
    """All of `train`'s parameters for a run, and those that it is given.

    Raises UserError where `train` would refuse one for its kind.
    """
    context = _parsed(arguments(run.options or {}), run.title)
    return context.params, given(context)


def _parsed(words: Sequence[str], where: str) -> Any:
    try:
        return command().make_context("train", list(words))
    except typer.TyperException as error:
        raise UserError(f"{where}: {error.format_message().rstrip('.')}.") from error


def train_all(runs: Sequence[PlannedRun]) -> None:
    """Train those that aren't finished, one after the other; a begun one is resumed.

    Raises UserError where one fails, and KeyboardInterrupt once an interrupted one has ended.
    """
    started = time.monotonic()
    missing = [run for run in runs if run.state != "finished"]
    for number, run in enumerate(missing):
        left = ""
        if number:
            seconds = (time.monotonic() - started) / number * (len(missing) - number)
            left = f", about {timedelta(seconds=round(seconds))} left"
        say(f"\nRun {number + 1} of {len(missing)}{left}: {run.title}", style="bold")
        _train(run)


def _train(run: PlannedRun) -> None:
    if run.state == "begun":
        words = ["--resume", str(run.folder)]
    else:
        words = [*arguments(run.options or {}), "--output", str(run.folder)]
    # Its tables go with those of the other runs into one at the end.
    child = subprocess.Popen(
        [sys.executable, "-m", "sentilora", "train", *words], stdout=subprocess.DEVNULL
    )
    try:
        code = child.wait()
    except KeyboardInterrupt:  # the child has been told as well, and writes its checkpoint
        child.wait()
        raise KeyboardInterrupt("Stopped. The same command goes on from here.") from None
    if code:
        raise UserError(
            f"The run {run.title} ended with code {code}; what it said stands above. Put that "
            "right, and give the same command again: finished runs are kept."
        )

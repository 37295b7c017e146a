"""`sentilora behaviour`: what an adapter can and can't do, and how much hangs on the wording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentilora.cli.console import echo_json, out
from sentilora.cli.evaluate import with_progress
from sentilora.cli.options import (
    AsJson,
    DataRevision,
    Device,
    DType,
    LabelColumn,
    LabelValues,
    MovedBase,
    QuantizeAs,
    Run,
    TextColumn,
    TrustRemoteCode,
)
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.behaviour import Case

_PANEL = "Wordings"


def behaviour(
    run: Run,
    suite: Annotated[
        Path | None,
        typer.Option(help="Cases of your own, one JSON object a line, beside the bundled ones."),
    ] = None,
    bundled: Annotated[
        bool, typer.Option("--bundled/--no-bundled", help="Check the bundled cases.")
    ] = True,
    examples: Annotated[
        int, typer.Option(min=0, help="How many failures to show of each capability and kind.")
    ] = 2,
    wordings: Annotated[
        bool,
        typer.Option(
            "--wordings",
            help="Ask in other wordings of the instruction, too, about labelled rows.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    wording: Annotated[
        list[str] | None,
        typer.Option(
            help="One more wording, with {text} where the text goes; may be repeated.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="A file, a folder or a Hub data set; by default the data it was trained with.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="As `evaluate --split`; by default the test.", rich_help_panel=_PANEL),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="At most so many rows, drawn at random; by default 200.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: LabelValues = None,
    data_revision: DataRevision = None,
    as_json: AsJson = False,
    model: MovedBase = None,
    device: Device = "auto",
    dtype: DType = None,
    quantize: QuantizeAs = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Check an adapter's behaviour: negation, irony, typos, instructions inside the text, ...

    Failures don't change the exit code.
    """
    from sentilora.artifact import Artifact
    from sentilora.behaviour import BehaviourReport, applicable, wordings_for

    about_rows = (data, split, rows, text_column, label_column, labels, data_revision)
    asks = wordings or bool(wording)
    if not asks and any(option is not None for option in about_rows):
        raise UserError(
            "The cases bring their own texts; data and rows are for the wordings. Add --wordings, "
            "or leave out the options about data."
        )
    task = Artifact.read(run).task
    cases = _cases(suite, bundled)
    if not cases and not asks:
        raise UserError("There is nothing to check. Give a --suite, or leave out --no-bundled.")
    if cases:
        applicable(cases, task.labels)  # to refuse a suite of which none can be judged
    given = [each.replace("\\n", "\n") for each in wording or ()]
    wordings_for(task, "text", given)  # to refuse one that can't be asked
    to_ask = None
    if asks:
        from sentilora.cli.rows import rows_of_run

        dataset, _, selection = rows_of_run(
            run,
            data,
            split,
            text_column=text_column,
            label_column=label_column,
            labels=labels,
            revision=data_revision,
        )
        to_ask = (wordings_for(task, dataset.subject, given), dataset, selection)

    from sentilora.behaviour.asking import ROWS, ask, behaviour_of
    from sentilora.classifier import load

    classifier = load(
        run,
        device=device,
        dtype=dtype,
        quantize=quantize,
        model=model,
        trust_remote_code=trust_remote_code,
    )
    found = BehaviourReport(
        suite=behaviour_of(classifier, cases, with_progress) if cases else None,
        wordings=ask(classifier, *to_ask, with_progress, rows or ROWS) if to_ask else None,
    )
    if as_json:
        echo_json(found.to_dict(), indent=1)
        return
    from sentilora.behaviour.tables import behaviour_tables

    out().print(behaviour_tables(found, examples))


def _cases(suite: Path | None, bundled: bool) -> tuple[Case, ...]:
    from sentilora.behaviour import bundled_cases, read_suite, together

    return together(
        bundled_cases() if bundled else (), read_suite(suite) if suite is not None else ()
    )

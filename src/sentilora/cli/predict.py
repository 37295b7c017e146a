"""`sentilora predict`: labels and their probabilities for texts, lines or files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentilora.cli.console import Progress, say
from sentilora.cli.options import Device, DType, MovedBase, Run, TextColumn, TrustRemoteCode
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.batch import JobSummary
    from sentilora.classifier import Classifier

FAILED_ROWS = 1  # the exit code when some rows have an error


def predict(
    run: Run,
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Texts; or one file (CSV, TSV, JSON Lines or Parquet, also gzipped); or - for "
            "standard input, a text a line.",
            metavar="TEXT...|FILE|-",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where to write, by its suffix as CSV, TSV, JSON Lines or Parquet; by default "
            "JSON Lines on standard output.",
        ),
    ] = None,
    text_column: TextColumn = None,
    prefix: Annotated[
        str, typer.Option(help="Put before the names of the columns that are added.")
    ] = "",
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe",
            help="In CSV and TSV, neutralise cells that a spreadsheet would run as formulas.",
        ),
    ] = False,
    model: MovedBase = None,
    device: Device = "auto",
    dtype: DType = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Label texts, standard input or a file, with each label's probability.

    The input's columns are kept, and predicted_label, p_LABEL and error added. A row that can't
    be labelled has its reason in error; the exit code is then 1.
    """
    from sentilora.artifact import Artifact
    from sentilora.batch import added_columns
    from sentilora.data.files import find_text_column
    from sentilora.data.writing import open_writer

    labels = Artifact.read(run).task.labels
    source = _source(inputs)
    column = find_text_column(source.columns, text_column)
    added = added_columns(labels, source.columns, prefix)
    file = getattr(source, "path", None)
    with open_writer(
        output,
        (*source.columns, *added.names),
        schema=lambda: added.extend(source.arrow_schema()),
        source=file,
        formulas=not spreadsheet_safe,
    ) as sink:
        from sentilora.classifier import load

        classifier = load(
            run, device=device, dtype=dtype, model=model, trust_remote_code=trust_remote_code
        )
        summary = _run(source, sink, classifier, column, added)
    if output is not None:
        say(f"{summary.rows:,} rows written to {output}.")
    if summary.failed:
        _tell_failures(summary)
        raise typer.Exit(FAILED_ROWS)


def _run(source: Any, sink: Any, classifier: Classifier, column: str, added: Any) -> JobSummary:
    from sentilora.batch import run_job

    def score(texts: list[str]) -> tuple[list[str], Any]:
        scores = classifier.score(texts)
        return classifier.classes_[scores.predicted].tolist(), scores.probabilities

    size = getattr(source, "size", None)
    unit = "rows" if size is None or source.format == "parquet" else "bytes"  # what `size` counts
    with Progress("predicting", unit=unit, total=size, terminal_only=True) as bar:

        def progress(rows: int) -> None:
            bar.note(f"{rows:,} rows")
            bar.advance((rows if size is None else source.position()) - bar.done)

        return run_job(source, sink, score, text_column=column, added=added, progress=progress)


def _source(inputs: list[str]) -> Any:
    """What to read: a table in a file, lines from standard input, or the arguments themselves."""
    from sentilora.batch import LineSource, TextSource
    from sentilora.data.files import open_table
    from sentilora.data.formats import looks_like_file

    if inputs == ["-"]:
        return LineSource(sys.stdin.buffer)
    if len(inputs) == 1 and looks_like_file(inputs[0]):
        table = open_table(inputs[0])
        for note in table.notes:
            say(note)
        return table
    if files := [text for text in inputs if Path(text).is_file()]:
        raise UserError(
            f"Give one file at a time; {files[0]} stands among {len(inputs)} arguments."
        )
    return TextSource(inputs)


def _tell_failures(summary: JobSummary) -> None:
    say(f"{summary.failed:,} of {summary.rows:,} rows could not be labelled:", style="bold red")
    for number, error in summary.first_failed_rows:
        say(f"  row {number:,}: {error}")

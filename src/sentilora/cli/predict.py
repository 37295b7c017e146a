"""`sentilora predict`: labels and their probabilities for texts, lines or files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentilora.cli.console import Progress, out, say, shown
from sentilora.cli.options import (
    Device,
    DType,
    MovedBase,
    QuantizeAs,
    RunOrMerged,
    TextColumn,
    TrustRemoteCode,
)

if TYPE_CHECKING:
    from sentilora.abstention import Abstention
    from sentilora.batch import AddedColumns, JobSummary
    from sentilora.classifier import Classifier
    from sentilora.conformal import Conformal
    from sentilora.data.writing import Writer

FAILED_ROWS = 1  # the exit code when some rows have an error


def predict(
    run: RunOrMerged,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts; or one file (CSV, TSV, JSON Lines or Parquet, also gzipped); or - for "
            "standard input, a text a line, JSON Lines or CSV.",
            metavar="TEXT...|FILE|-",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where to write, by its suffix as CSV, TSV, JSON Lines or Parquet; by default "
            "JSON Lines on standard output, or a table for texts on a terminal.",
        ),
    ] = None,
    text_column: TextColumn = None,
    coverage: Annotated[
        float | None,
        typer.Option(
            help="Add label_set, the labels that may be true: with this probability, as 0.9, the "
            "true one is among them. A label that isn't alone there is left empty.",
            rich_help_panel="Abstaining",
        ),
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(
            help="Leave the label empty where its probability is lower than this, as 0.8.",
            rich_help_panel="Abstaining",
        ),
    ] = None,
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
    merge: Annotated[
        bool,
        typer.Option(
            "--merge",
            help="Put the adapter into the base's weights first: a little faster for many rows; "
            "probabilities differ by rounding.",
        ),
    ] = False,
    model: MovedBase = None,
    device: Device = "auto",
    dtype: DType = None,
    quantize: QuantizeAs = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Label texts, standard input or a file, with each label's probability.

    The input's columns are kept, and predicted_label, p_LABEL and error added. A row that can't
    be labelled has its reason in error; the exit code is then 1.
    """
    from sentilora.abstention import Abstention
    from sentilora.batch import TextSource, added_columns
    from sentilora.cli.inputs import source_of
    from sentilora.cutting import cut_note
    from sentilora.data.files import Table, find_text_column
    from sentilora.data.writing import open_writer
    from sentilora.export.merged import frozen

    kept = frozen(run)
    labels = kept.task.labels
    abstention = Abstention.create(labels, kept.conformal, coverage, abstain_below)
    _say_if_too_few(kept.conformal, coverage)
    source = source_of(inputs, text_column)
    column = find_text_column(source.columns, text_column)
    added = added_columns(labels, source.columns, prefix, sets=coverage is not None)
    on_screen = output is None and isinstance(source, TextSource) and sys.stdout.isatty()
    opened = (
        _table(added, labels)
        if on_screen
        else open_writer(
            output,
            (*source.columns, *added.names),
            schema=lambda: added.extend(source.arrow_schema()),
            sources=[source.path] if isinstance(source, Table) else [],
            formulas=not spreadsheet_safe,
            form=source.form if isinstance(source, Table) else None,
        )
    )
    with opened as sink:
        from sentilora.classifier import load

        classifier = load(
            run,
            device=device,
            dtype=dtype,
            quantize=quantize,
            model=model,
            merge=merge,
            trust_remote_code=trust_remote_code,
        )
        summary, cut = _run(source, sink, classifier, abstention, column, added)
    if output is not None:
        say(f"{summary.rows:,} row{'s' * (summary.rows != 1)} written to {output}.")
    if coverage is not None or abstain_below is not None:
        rows = f"{summary.rows:,} row{'s' * (summary.rows != 1)}"
        say(f"{summary.withheld:,} of {rows} left without a label (abstained).")
    task = classifier.task
    scored = summary.rows - summary.failed
    if note := cut_note(cut, scored, task.max_length, task.long_texts):
        say(note)
    if summary.failed:
        _tell_failures(summary)
        raise typer.Exit(FAILED_ROWS)


def _run(
    source: Any,
    sink: Writer,
    classifier: Classifier,
    abstention: Abstention,
    column: str,
    added: AddedColumns,
) -> tuple[JobSummary, int]:
    """How it went, and how many of the texts that were labelled were too long to be read whole."""
    from sentilora.batch import run_job
    from sentilora.encoding import texts_cut

    cut = 0

    def score(prompts: list[Any]) -> tuple[list[str | None], Any, list[list[str]] | None]:
        nonlocal cut
        chosen, probabilities = classifier.decide_prompts(prompts)
        labels, sets = abstention.decide(chosen, probabilities)
        cut += texts_cut(prompts)  # once: what could be scored isn't asked for again
        return labels, probabilities, sets

    prepare = classifier.scorer.encoder.encode
    with _progress(source) as progress:
        summary = run_job(
            source,
            sink,
            score,
            text_column=column,
            added=added,
            progress=progress,
            prepare=prepare,
        )
    return summary, cut


@contextmanager
def _progress(source: Any) -> Iterator[Callable[[int], None]]:
    """A function to be told of the rows done; a bar shows them, but for a few arguments."""
    from sentilora.batch import TextSource

    if isinstance(source, TextSource):
        yield lambda rows: None
        return
    size = getattr(source, "size", None)
    unit = "rows" if size is None or source.format == "parquet" else "bytes"  # what `size` counts
    read = 0  # when the window before this one was done: reading is a window ahead of writing
    with Progress("predicting", unit=unit, total=size, terminal_only=True) as bar:

        def progress(rows: int) -> None:
            nonlocal read
            bar.note(f"{rows:,} rows")
            if unit == "rows":
                bar.advance(rows - bar.done)
            else:
                bar.advance(read - bar.done)
                read = source.position()

        yield progress
        if size is not None:  # all is written, too
            bar.advance(size - bar.done)


@contextmanager
def _table(added: AddedColumns, labels: tuple[str, ...]) -> Iterator[Writer]:
    """Takes a few rows and shows them as a table at the end, for a reader at a terminal."""
    from rich.table import Table

    from sentilora.data.writing import Row, Writer

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("text", ratio=1)
    table.add_column("label", style="bold green", no_wrap=True)
    if added.label_set is not None:
        table.add_column("may be", no_wrap=True)
    for label in labels:
        table.add_column(shown(label), justify="right", no_wrap=True)

    class Rows(Writer):
        def write(self, row: Row) -> None:
            shares = [row[name] for name in added.probabilities]
            held = [] if added.label_set is None else [row[added.label_set]]
            table.add_row(
                shown(str(row["text"])),
                shown(str(row[added.predicted_label] or "")),
                *(shown(", ".join(each) if isinstance(each, list) else "") for each in held),
                *(f"{100 * share:.1f} %" if isinstance(share, float) else "" for share in shares),
            )

        def finish(self) -> None:
            out().print(table)

    sink = Rows()
    yield sink
    sink.finish()


def _say_if_too_few(conformal: Conformal | None, coverage: float | None) -> None:
    needed = None
    if conformal is not None and coverage is not None:
        needed = conformal.rows_needed(coverage)
    if conformal is not None and needed is not None:
        say(
            f"The {conformal.rows:,} validation rows are too few to promise a coverage of "
            f"{coverage:g} by less than all labels; that takes {needed:,}.",
            style="yellow",
        )


def _tell_failures(summary: JobSummary) -> None:
    rows = f"{summary.rows:,} row{'s' * (summary.rows != 1)}"
    say(f"{summary.failed:,} of {rows} could not be labelled:", style="bold red")
    for number, error in summary.first_failed_rows:
        say(f"  row {number:,}: {error}")

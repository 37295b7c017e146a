"""`sentilora evaluate`: how good an adapter is, beside what it has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentilora.cli.console import Progress, echo_json, out, say
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
    Split,
    TextColumn,
    TrustRemoteCode,
)
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.classifier import Classifier


def evaluate(
    run: Run,
    data: Annotated[
        str | None,
        typer.Option(
            help="A file, a folder or a Hub data set; by default the data it was trained with.",
            rich_help_panel="Data",
        ),
    ] = None,
    split: Split = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: LabelValues = None,
    data_revision: DataRevision = None,
    as_json: AsJson = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page with plots and the worst errors too, such as report.html."),
    ] = None,
    update_card: Annotated[
        bool,
        typer.Option("--update-card", help="Add the results on other data to the model card."),
    ] = False,
    model: MovedBase = None,
    device: Device = "auto",
    dtype: DType = None,
    quantize: QuantizeAs = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Measure an adapter beside the untuned base, TF-IDF and the majority class.

    Rows that were trained or validated on are left out and counted.
    """
    from sentilora.classifier import load
    from sentilora.cli.rows import rows_of_run
    from sentilora.evaluation.measuring import measure
    from sentilora.report.writing import check_report, write_report

    if report is not None:
        check_report(report)
    if update_card and data is None:
        raise UserError(
            "The model card has the results on the run's own data since it was trained. Name "
            "other data with --data."
        )
    dataset, artifact, selection = rows_of_run(
        run,
        data,
        split,
        text_column=text_column,
        label_column=label_column,
        labels=labels,
        revision=data_revision,
    )
    classifier = load(
        artifact.path,
        device=device,
        dtype=dtype,
        quantize=quantize,
        model=model,
        trust_remote_code=trust_remote_code,
    )
    said: dict[Classifier, Any] = {}
    evaluation = measure(classifier, dataset, artifact.rows, selection, keeping(said))
    if report is not None:
        from sentilora.report.evaluation import evaluation_page
        from sentilora.report.words import marked_by

        page = evaluation_page(
            evaluation,
            said[classifier],
            selection.examples,
            run=artifact.path.absolute().name,
            base=artifact.base.name,
            history=artifact.metrics["history"],
            shown=marked_by(classifier),
        )
        write_report(report, page)
        say(f"The report is in {report}.")
    if update_card:
        from sentilora.card_results import update

        update(artifact.path, evaluation, dataset.hub)
        say(f"The model card in {artifact.path} has these results now.")
    if as_json:
        echo_json(evaluation.to_dict(), indent=1)
        return
    show(evaluation)


def show(evaluation: Any) -> None:
    """Print an evaluation's tables."""
    from sentilora.evaluation.tables import evaluation_tables

    out().print(evaluation_tables(evaluation))


def keeping(
    said: dict[Classifier, Any],
) -> Callable[[Classifier, str], Callable[[Sequence[str]], Any]]:
    """`with_progress`, which puts each classifier's scores into `said`: a report shows rows."""

    def scoring(classifier: Classifier, what: str) -> Callable[[Sequence[str]], Any]:
        ask = with_progress(classifier, what)

        def score(texts: Sequence[str]) -> Any:
            said[classifier] = ask(texts)
            return said[classifier]

        return score

    return scoring


def with_progress(classifier: Classifier, what: str) -> Callable[[Sequence[str]], Any]:
    """The classifier's `score`, with a progress bar."""

    def score(texts: Sequence[str]) -> Any:
        with Progress(what, unit="rows", total=len(texts), terminal_only=True) as bar:
            return classifier.score(texts, progress=bar.advance)

    return score

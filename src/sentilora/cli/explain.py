"""`sentilora explain`: which words of a text speak for its label, and whether that is so."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sentilora.cli.console import Progress, echo_json, out, say
from sentilora.cli.options import (
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
    from sentilora.attribution import Attribution, Deletion
    from sentilora.classifier import Classifier
    from sentilora.data import DataSet
    from sentilora.evaluation.selection import Selection

    Sample = tuple[list[str], str]

FAILED = 1  # the exit code of a check that isn't passed, or when some lines have no text
_NAMED = 5  # lines at fault


def explain(
    run: Run,
    text: Annotated[
        str | None,
        typer.Argument(help="A text; or - for standard input, a text a line.", metavar="TEXT|-"),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The label to be explained; by default the chosen one.")
    ] = None,
    method: Annotated[
        Literal["occlusion", "gradients"],
        typer.Option(
            help="Each word left out in turn; or integrated gradients, for which the base is "
            "float32 by default."
        ),
    ] = "occlusion",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON on standard output, a line a text."),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="In place of a text: check the method on a file, a folder or a Hub data set.",
            rich_help_panel="Data",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=2, help="How many rows of it at most.", rich_help_panel="Data")
    ] = 100,
    split: Split = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: LabelValues = None,
    data_revision: DataRevision = None,
    model: MovedBase = None,
    device: Device = "auto",
    dtype: DType = None,
    quantize: QuantizeAs = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Show which words of a text speak for its label, and which against it.

    Then the words named most are taken out, and others at random. With --data that is done on
    rows not trained on; the exit code is 1 if the words named tell no more than others.
    """
    from sentilora.artifact import Artifact
    from sentilora.attribution.attribute import label_index
    from sentilora.classifier import load
    from sentilora.cli.inputs import names_something
    from sentilora.cli.rows import rows_of_run

    if (text is None) == (data is None):
        raise UserError("Give a text to explain, or - for standard input, or else --data.")
    if text is not None and text != "-" and names_something(text):
        raise UserError(
            f"{text!r} is the name of a file or folder, where a text is wanted. Give its lines on "
            "standard input, with -, or check the method on its rows with --data."
        )
    artifact = Artifact.read(run)
    if label is not None:
        label_index(artifact.task.labels, label)
    sample = None
    if data is not None:
        dataset, _, selection = rows_of_run(
            run,
            data,
            split,
            text_column=text_column,
            label_column=label_column,
            labels=labels,
            revision=data_revision,
        )
        sample = _sample(dataset, selection, rows)
    classifier = load(
        run,
        device=device,
        dtype=dtype or ("float32" if method == "gradients" else None),
        quantize=quantize,
        model=model,
        trust_remote_code=trust_remote_code,
    )
    asked = {"label": label, "method": method}
    if sample is not None:
        _check(classifier, sample, asked, as_json)
    elif text is not None:
        _explain(classifier, text, asked, as_json)


def _explain(classifier: Classifier, text: str, asked: Any, as_json: bool) -> None:
    """Show one text, or each of standard input's lines."""
    faulty: list[str] = []
    texts = _lines(faulty) if text == "-" else [text]
    for number, (attribution, deletion) in enumerate(_explained(classifier, texts, asked)):
        if as_json:
            checked = None if deletion is None else deletion.to_dict()
            echo_json({**attribution.to_dict(), "deletion": checked})
            continue
        from sentilora.cli.explanation import explanation

        if number:
            out().print()
        out().print(explanation(attribution, deletion))
    if faulty:
        say(f"Lines that could not be explained: {len(faulty):,}.", style="bold red")
        for problem in faulty[:_NAMED]:
            say(f"  {problem}")
        raise typer.Exit(FAILED)


def _explained(
    classifier: Classifier, texts: Iterable[str], asked: Any
) -> Iterator[tuple[Attribution, Deletion | None]]:
    import numpy as np

    from sentilora.attribution import attribute, deleted

    generator = np.random.default_rng(0)
    for text in texts:
        attribution = attribute(classifier, text, **asked)
        yield attribution, deleted(classifier, attribution, generator)


def _lines(faulty: list[str]) -> Iterator[str]:
    """Standard input's lines; what is wrong with the others is put into `faulty`."""
    from sentilora.batch import LineSource

    for record in LineSource(sys.stdin.buffer):
        text = str(record.values["text"])
        problem = record.error or ("" if text.strip() else "no text")
        if problem:
            faulty.append(f"line {record.number:,}: {problem}")
        else:
            yield text


def _sample(dataset: DataSet, selection: Selection, rows: int) -> Sample:
    """Rows that weren't trained on, drawn where there are more than are wanted; and their name."""
    import numpy as np

    if selection.note is not None:
        say(selection.note)
    texts = [example.text for example in selection.examples]
    if len(texts) > rows:
        drawn = np.random.default_rng(0).choice(len(texts), size=rows, replace=False)
        texts = [texts[k] for k in sorted(drawn)]
    return texts, f"{dataset.name}, {selection.split}"


def _check(classifier: Classifier, sample: Sample, asked: Any, as_json: bool) -> None:
    """Show whether the words named tell more than others, over rows."""
    from sentilora.attribution import DeletionCheck
    from sentilora.cli.explanation import check_lines, check_table

    texts, name = sample
    deletions, residuals = [], []
    with Progress("explaining", unit="rows", total=len(texts), terminal_only=True) as bar:
        for attribution, deletion in _explained(classifier, texts, asked):
            deletions.append(deletion)
            if attribution.residual is not None:
                residuals.append(abs(attribution.residual))
            bar.advance()
    check = DeletionCheck.of(deletions)
    if as_json:
        echo_json({"data": name, "method": asked["method"], **check.to_dict()}, indent=1)
    else:
        out().print(check_table(check, f"{name}: {check.rows:,} rows, by {asked['method']}"))
        for line in check_lines(check, asked["method"], residuals):
            say(line)
    if not check.passed:
        say(
            "Not borne out: the words named don't move the label more than others do, chance put "
            "aside. Don't take them for reasons.",
            style="bold red",
        )
        raise typer.Exit(FAILED)
    say("Borne out: the words named move the label more than others do.")

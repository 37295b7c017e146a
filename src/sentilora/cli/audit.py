"""`sentilora audit`: which labels are likely wrong, and which texts say nearly the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    TextColumn,
    TrustRemoteCode,
)
from sentilora.errors import UserError

if TYPE_CHECKING:
    from sentilora.audit.duplicates import NearDuplicates
    from sentilora.audit.held_out import Judge
    from sentilora.data import DataSet
    from sentilora.data.table import CsvForm


def audit(
    data: Annotated[
        str | None,
        typer.Option(help="A file, a folder or a Hub data set; by default the bundled reviews."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Where to write all rows with their columns and what was found of each, by "
            "its suffix as CSV, TSV, JSON Lines or Parquet.",
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Parts, each judged by a model that learned from the others.")
    ] = 5,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Judge by TF-IDF + logistic regression: seconds, and less sharp."
        ),
    ] = False,
    similarity: Annotated[
        float, typer.Option(help="From where texts are near-duplicates; 1 is the same text.")
    ] = 0.9,
    show: Annotated[int, typer.Option(help="How many of the suspicious rows are shown.")] = 20,
    as_json: AsJson = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: LabelValues = None,
    data_revision: DataRevision = None,
    model: Annotated[str, typer.Option(help="The base, as `train --model` takes it.")] = "smollm2",
    options: Annotated[
        str, typer.Option(help="Options of `train` for each fold, as '--epochs 1'.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of the folds and of every training.")] = 0,
    device: Device = "auto",
    dtype: DType = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Find labels that are likely wrong, and texts that say nearly the same.

    Each row is judged by a model tuned without it. Rows of all splits are audited together.
    """
    from sentilora.audit import assign_folds, audited, check_folds, check_similarity, write_rows
    from sentilora.cli.rows import data_options, load_rows
    from sentilora.data.sources import files_of
    from sentilora.data.writing import check_target

    check_folds(folds)
    check_similarity(similarity)
    sources = files_of(data)
    if output is not None:
        check_target(output, sources)
    own = {
        **{"text_column": text_column, "label_column": label_column, "labels": labels},
        **{"data_revision": data_revision, "seed": seed},
        **{"model": model, "device": device, "dtype": dtype},
        "trust_remote_code": trust_remote_code,
    }
    judge, params = _fast(options, own) if fast else _tuning(options, own)
    dataset = load_rows(data, replace(data_options(params), purpose="audit"))
    fold_of = assign_folds(dataset.all_rows(), dataset.labels, folds, seed)
    near = _near_duplicates(dataset, similarity)
    probabilities = judge.probabilities(dataset, fold_of)
    result = audited(dataset, fold_of, probabilities, judge.name, near, similarity)
    if output is not None:
        write_rows(result, output, sources, _form(sources))
    if as_json:
        echo_json(result.to_dict(), indent=1)
    else:
        from sentilora.audit.tables import audit_tables

        out().print(audit_tables(result, show))
    if output is not None:
        say(f"\nAll {len(result.examples):,} rows, with what was found of each, are in {output}.")
    if any(_is_csv(source) for source in sources):
        say("Row 1 is the first below the header.")


def _is_csv(path: Path) -> bool:
    from sentilora.data.formats import known_format

    known = known_format(path)
    return known is not None and known.name in ("csv", "tsv")


def _form(sources: Sequence[Path]) -> CsvForm | None:
    """That of the first CSV file among them."""
    from sentilora.data.files import open_table

    return next((open_table(source).form for source in sources if _is_csv(source)), None)


def _fast(options: str, own: Mapping[str, Any]) -> tuple[Judge, Mapping[str, Any]]:
    """What judges the rows, and the parameters by which they are read."""
    from sentilora.audit.linear import Linear

    if options:
        raise UserError("--options are of the tuning, which --fast does without. Leave one out.")
    return Linear(), own


def _tuning(options: str, own: Mapping[str, Any]) -> tuple[Judge, Mapping[str, Any]]:
    """As `_fast`."""
    from sentilora.cli.fold_tuning import Tuning

    tuning = Tuning.asked_for(options, own)
    return tuning, tuning.params


def _near_duplicates(dataset: DataSet, similarity: float) -> NearDuplicates:
    from sentilora.audit import near_duplicates

    texts = [row.text for row in dataset.all_rows()]
    with Progress("near-duplicates", unit="texts", total=len(texts), terminal_only=True) as bar:
        return near_duplicates(texts, similarity, bar.advance)

"""The rows that a command works with: how its options say to read them, and reading them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.cli.console import say
from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option

if TYPE_CHECKING:
    from sentilora.artifact import Artifact
    from sentilora.evaluation.selection import Selection


def data_options(params: Mapping[str, Any]) -> DataOptions:
    """How rows are understood by the command's parameters; one that isn't there is left to them."""
    words, mapping = (None, None)
    if params.get("labels") is not None:
        words, mapping = parse_labels_option(params["labels"])
    return DataOptions(
        text_column=params.get("text_column"),
        label_column=params.get("label_column"),
        labels=words or None,
        label_map=mapping or None,
        subject=params.get("subject"),
        seed=params.get("seed", 0),
        revision=params.get("data_revision"),
        purpose="train",
    )


def load_rows(data: str | None, options: DataOptions) -> DataSet:
    """The rows; what was found in them is said."""
    dataset = load_data(data, options)
    _say_what_was_found(dataset)
    return dataset


def rows_of_run(
    run: Path, data: str | None, split: str | None, **understood: str | None
) -> tuple[DataSet, Artifact, Selection]:
    """The data that the adapter in `run` is measured on, its folder, and the rows that weren't
    trained or validated on; what can't be used of the data is said.

    `understood` is as for `evaluation.measuring.data_for`.
    """
    from sentilora.evaluation.measuring import data_for
    from sentilora.evaluation.selection import select_rows

    dataset, artifact = data_for(run, data, **understood)
    _say_what_was_found(dataset)
    rows = artifact.rows
    selection = select_rows(dataset, split, rows.train, rows.test, rows.validation)
    return dataset, artifact, selection


def _say_what_was_found(dataset: DataSet) -> None:
    for line in (*dataset.notes, *dataset.report.lines()):
        say(line)

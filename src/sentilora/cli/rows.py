"""The rows that a command works with: how its options say to read them, and reading them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentilora.cli.console import say
from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option


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
    for line in (*dataset.notes, *dataset.report.lines()):
        say(line)
    return dataset

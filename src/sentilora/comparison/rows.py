"""The rows of a comparison: the same splits for every run, and none that any run was trained or
validated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sentilora.artifact import Artifact
from sentilora.comparison.labels import check_same_labels
from sentilora.data import DataOptions, DataSet, load_data
from sentilora.data.dataset import SPLITS, row_hash
from sentilora.errors import UserError
from sentilora.evaluation.measuring import data_for
from sentilora.evaluation.selection import BaselineRows, Selection, baseline_rows, select_rows
from sentilora.written_rows import write_rows


@dataclass(frozen=True)
class ComparedRows:
    """The data set, the rows to measure on, and those that baselines learn from."""

    dataset: DataSet
    selection: Selection
    baselines: BaselineRows


def with_splits(
    data: str | None, options: DataOptions, folder: Path
) -> tuple[Path, tuple[str, ...]] | None:
    """Where data lacks a split: a folder in `folder` with all three, cut once, for seeds to share,
    and the labels in their order, which the rows there don't tell.

    None where it has them all. Training would cut them by its own seed.
    """
    there = load_data(data, DataOptions(**{**vars(options), "purpose": "evaluate"}))
    if set(there.splits) == set(SPLITS):
        return None
    cut = load_data(data, options)
    splits = {
        split: [(row.text, cut.labels[row.label]) for row in cut.split(split)] for split in SPLITS
    }
    return write_rows(splits, folder, cut.name), cut.labels


def compared_rows(runs: Sequence[Path], data: str | None) -> ComparedRows:
    """The rows that all of the runs can be measured on.

    `data` None takes those that the first was trained with.

    Raises UserError where the runs have other labels, or no rows are left.
    """
    artifacts = [Artifact.read(run) for run in runs]
    check_same_labels({str(each.path): each.task.labels for each in artifacts})
    dataset, _ = data_for(
        runs[0], data, text_column=None, label_column=None, labels=None, revision=None
    )
    trained = {key for each in artifacts for key in each.rows.train}
    validated = {key for each in artifacts for key in each.rows.validation}
    # One run's test rows may be another's validation rows.
    selection = select_rows(dataset, None, trained, artifacts[0].rows.test, validated)
    if validated & {row_hash(row.text) for row in selection.examples}:
        raise UserError(
            f"{dataset.name} has no rows to compare on: each was trained or validated on by one of "
            "the runs. Name other data with --data."
        )
    return ComparedRows(dataset, selection, baseline_rows(dataset, selection, trained))

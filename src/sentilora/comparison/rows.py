"""The rows of a comparison: the same splits for every run, and none that any run was trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sentilora.artifact import Artifact, RowHashes
from sentilora.comparison.measured import same_labels
from sentilora.data import DataOptions, DataSet, load_data
from sentilora.data.dataset import SPLITS
from sentilora.evaluation.measuring import data_for
from sentilora.evaluation.selection import BaselineRows, Selection, baseline_rows, select_rows
from sentilora.files import write_bytes


@dataclass(frozen=True)
class ComparedRows:
    """The data set, the rows to measure on, and those that baselines learn from."""

    dataset: DataSet
    selection: Selection
    baselines: BaselineRows


def with_splits(data: str | None, options: DataOptions, folder: Path) -> Path | None:
    """Where data lacks a split: a folder in `folder` with all three, cut once, for seeds to share.

    None where it has them all. Training would cut them by its own seed.
    """
    there = load_data(data, DataOptions(**{**vars(options), "purpose": "evaluate"}))
    if set(there.splits) == set(SPLITS):
        return None
    cut = load_data(data, options)
    made = folder / cut.name
    made.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        lines = [
            json.dumps({"text": row.text, "label": cut.labels[row.label]}, ensure_ascii=False)
            for row in cut.split(split)
        ]
        content = "".join(f"{line}\n" for line in lines)
        write_bytes(made / f"{split}.jsonl", content.encode("utf-8", "surrogatepass"))
    return made


def compared_rows(runs: Sequence[Path], data: str | None) -> ComparedRows:
    """The rows that all of the runs can be measured on.

    `data` None takes those that the first was trained with.

    Raises UserError where the runs have other labels, or no rows are left.
    """
    artifacts = [Artifact.read(run) for run in runs]
    same_labels(artifacts)
    dataset, _ = data_for(
        runs[0], data, text_column=None, label_column=None, labels=None, revision=None
    )
    trained = sorted({key for each in artifacts for key in each.rows.train})
    hashes = RowHashes(tuple(trained), (), artifacts[0].rows.test)
    selection = select_rows(dataset, None, hashes.train, hashes.test)
    return ComparedRows(dataset, selection, baseline_rows(dataset, selection, hashes.train))

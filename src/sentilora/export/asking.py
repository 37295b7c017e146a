"""The rows that an export is held against its adapter on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sentilora.evaluation.measuring import data_for
from sentilora.evaluation.selection import select_rows


@dataclass(frozen=True)
class Rows:
    """N texts, the indices of their labels, and what they are called."""

    name: str
    texts: list[str]
    gold: list[int]


def rows_for(run: Path, data: str | None, rows: int) -> Rows:
    """Rows that the adapter in `run` wasn't trained on: `data`'s, or its own test rows.

    Of more than `rows`, so many are taken at even distances.
    """
    dataset, artifact = data_for(
        run, data, text_column=None, label_column=None, labels=None, revision=None
    )
    selection = select_rows(dataset, None, artifact.rows.train, artifact.rows.test)
    step = max(1.0, len(selection.examples) / rows)
    count = min(rows, len(selection.examples))
    chosen = [selection.examples[int(place * step)] for place in range(count)]
    name = f"{dataset.name}, {selection.split}"
    return Rows(name, [row.text for row in chosen], [row.label for row in chosen])

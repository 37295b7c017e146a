"""An audit's table of all rows: their probabilities, and what was found of each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.audit.result import AuditResult
from sentilora.data.kinds import arrow_type, kind_of
from sentilora.data.table import CsvForm
from sentilora.data.writing import open_writer

if TYPE_CHECKING:
    import pyarrow as pa


def write_rows(
    result: AuditResult,
    target: Path,
    sources: Collection[Path] = (),
    form: CsvForm | None = None,
) -> None:
    """Write a line for each row to `target`, in the format that its suffix names.

    The rows' further columns follow their label. `sources` are the files that were audited, which
    aren't written over; `form` is that of CSV. Raises `UserError` where `target` can't be written.
    """
    others = _others(result)
    columns = [*_OF_THE_ROW, *others.values(), *_found_columns(result)]
    with open_writer(
        target, columns, schema=lambda: _schema(result, others), sources=sources, form=form
    ) as writer:
        for row in _rows(result, others):
            writer.write(row)


_OF_THE_ROW = {"split": "string", "row": "int64", "text": "string", "label": "string"}


def _found_columns(result: AuditResult) -> dict[str, str]:
    """Each column's kind, as Arrow names it."""
    return {
        "suspicious": "bool",
        "suggested_label": "string",
        **{f"p_{label}": "float64" for label in result.labels},
        "margin": "float64",
        "fold": "int64",
        "duplicate_group": "int64",
        "duplicate_labels_differ": "bool",
        "duplicate_crosses_splits": "bool",
        "nearest_split": "string",
        "nearest_row": "int64",
        "similarity": "float64",
    }


def _others(result: AuditResult) -> dict[str, str]:
    """What the source's further columns are called: as there, but where an audit's own is."""
    taken = {*_OF_THE_ROW, *_found_columns(result)}
    columns = dict.fromkeys(name for example in result.examples for name in example.others)
    called: dict[str, str] = {}
    for column in columns:
        name = column
        while name in taken or (name != column and name in columns):
            name = f"source_{name}"
        called[column] = name
        taken.add(name)
    return called


def _schema(result: AuditResult, others: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    types = {
        called: arrow_type({kind_of(example.others.get(column)) for example in result.examples})
        for column, called in others.items()
    }
    of_the_row, found = (
        {name: pa.type_for_alias(kind) for name, kind in kinds.items()}
        for kinds in (_OF_THE_ROW, _found_columns(result))
    )
    return pa.schema([*of_the_row.items(), *types.items(), *found.items()])


def _rows(result: AuditResult, others: dict[str, str]) -> list[dict[str, Any]]:
    from sentilora.audit.confident import normalised_margins

    margins = normalised_margins(result.probabilities, [row.label for row in result.examples])
    rows: list[dict[str, Any]] = [
        {
            "split": example.split,
            "row": example.row,
            "text": example.text,
            "label": result.labels[example.label],
            **{others[column]: value for column, value in example.others.items()},
            "suspicious": False,
            **{
                f"p_{label}": float(share)
                for label, share in zip(result.labels, result.probabilities[number], strict=True)
            },
            "margin": float(margins[number]),
            "fold": int(result.fold_of[number]) + 1,
        }
        for number, example in enumerate(result.examples)
    ]
    for suspect in result.suspects:
        rows[suspect.index] |= {"suspicious": True, "suggested_label": suspect.suggested}
    for number, group in enumerate(result.near.groups, start=1):
        for row in group.rows:
            nearest = result.examples[result.near.nearest[row]]
            rows[row] |= {
                "duplicate_group": number,
                "duplicate_labels_differ": result.labels_differ(group),
                "duplicate_crosses_splits": result.crosses_splits(group),
                "nearest_split": nearest.split,
                "nearest_row": nearest.row,
                "similarity": float(result.near.similarity[row]),
            }
    return rows

"""An audit's table of all rows: their probabilities, and what was found of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.audit.result import AuditResult
from sentilora.data.writing import open_writer

if TYPE_CHECKING:
    import pyarrow as pa


def write_rows(result: AuditResult, target: Path, source: Path | None = None) -> None:
    """Write a line for each row to `target`, in the format that its suffix names.

    `source` is the file that was audited, which isn't written over. Raises `UserError` where
    `target` can't be written.
    """
    kinds = _columns(result)
    with open_writer(target, list(kinds), schema=lambda: _schema(kinds), source=source) as writer:
        for row in _rows(result):
            writer.write(row)


def _columns(result: AuditResult) -> dict[str, str]:
    """Each column's kind, as Arrow names it."""
    return {
        "split": "string",
        "row": "int64",
        "text": "string",
        "label": "string",
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


def _schema(kinds: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in kinds.items()])


def _rows(result: AuditResult) -> list[dict[str, Any]]:
    from sentilora.audit.confident import normalised_margins

    margins = normalised_margins(result.probabilities, [row.label for row in result.examples])
    rows: list[dict[str, Any]] = [
        {
            "split": example.split,
            "row": example.row,
            "text": example.text,
            "label": result.labels[example.label],
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

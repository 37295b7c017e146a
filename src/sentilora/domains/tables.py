"""The transfer matrix as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.domains.matrix import Cell
from sentilora.evaluation.tables import ABSENT, accuracy_text, plain_table, titled

UNTUNED = "untuned base"
LEGEND = (
    "In the first table in %: of all test rows of a domain (column) that have a label which the "
    "model (line) knows, and that it wasn't trained on. Against its own: less the accuracy of the "
    "domain's own model on the same rows and labels, in points, with the 95 % interval of a paired "
    "bootstrap. ECE: the expected calibration error before and after the temperature."
)


def matrix_tables(cells: Sequence[Cell], notes: Sequence[str]) -> RenderableType:
    """The accuracies at a glance, and each cell with its intervals."""
    return Group(
        titled("Accuracy from domain to domain", glance_table(cells)),
        "",
        titled("Cell by cell", details_table(cells)),
        *(Text(note, style="dim") for note in (*notes, *left_out(cells), LEGEND)),
    )


def glance_table(cells: Sequence[Cell]) -> Table:
    """The accuracies in %, a line a model, a column a domain."""
    domains = list(dict.fromkeys(cell.domain for cell in cells))
    by_place = {(cell.model, cell.domain): cell for cell in cells}
    table = plain_table("tuned on \\ measured on", *domains)
    for model in dict.fromkeys(cell.model for cell in cells):
        found = [by_place.get((model, domain)) for domain in domains]
        table.add_row(
            Text(model),
            *(
                Text(
                    f"{100 * cell.metrics.accuracy:.1f}" if cell else ABSENT,
                    style="bold" if model == domain else "",
                )
                for cell, domain in zip(found, domains, strict=True)
            ),
        )
    own = [by_place.get((domain, domain)) for domain in domains]
    table.add_row(
        UNTUNED,
        *(f"{100 * cell.untuned.accuracy:.1f}" if cell else ABSENT for cell in own),
        style="dim",
    )
    return table


def details_table(cells: Sequence[Cell]) -> Table:
    """A line a cell, under its domain."""
    table = plain_table("", "accuracy [95 %]", "against its own", "untuned", "ECE")
    for domain in dict.fromkeys(cell.domain for cell in cells):
        table.add_row(Text(f"on {domain}", style="bold"))
        for cell in (cell for cell in cells if cell.domain == domain):
            gap = cell.against
            after = cell.metrics.calibration_error or 0.0
            table.add_row(
                Text(f"  {cell.model}"),
                accuracy_text(cell.metrics),
                f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
                if gap
                else ABSENT,
                f"{100 * cell.untuned.accuracy:.1f} %",
                f"{cell.raw_calibration_error:.3f} {after:.3f}",
            )
    return table


def left_out(cells: Sequence[Cell]) -> list[str]:
    """What was left out of which cell, and which labels it is about."""
    notes = []
    for cell in cells:
        parts = []
        if cell.other_label:
            labels = ", ".join(cell.compared)
            parts.append(f"{cell.other_label:,} rows with another label than {labels}")
        if cell.trained_on:
            parts.append(f"{cell.trained_on:,} rows that it was trained on")
        if parts:
            notes.append(f"{cell.model} on {cell.domain}: without {' and '.join(parts)}.")
    return notes

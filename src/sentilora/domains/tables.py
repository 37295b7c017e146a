"""The transfer matrix as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.data.dataset import count_rows
from sentilora.domains.matrix import Cell
from sentilora.evaluation.tables import (
    ABSENT,
    GAP,
    WIDTH,
    accuracy_text,
    plain_table,
    share_text,
    titled,
)

CORNER = "tuned on \\ measured on"
FIGURE = 5  # cells that an accuracy takes
COLUMNS = 8  # of accuracies that leave room for a name
LEAST = 12  # cells that a name has at least, over several lines
UNTUNED = "untuned base"
CALIBRATION = "Expected calibration error before and after the temperature"
LEGEND = (
    "In the first table in %: of all test rows of a domain (column) that have a label which the "
    "model (line) knows, and that it wasn't trained or validated on. Against its own: less the "
    "accuracy of the domain's own model on the same rows and labels, in points, with the 95 % "
    "interval of a paired bootstrap."
)


def matrix_tables(cells: Sequence[Cell], notes: Sequence[str]) -> RenderableType:
    """The accuracies at a glance, and each cell with its intervals."""
    first, *more = glance_tables(cells)
    return Group(
        titled("Accuracy from domain to domain", first),
        *(part for table in more for part in ("", table)),
        "",
        titled("Cell by cell", details_table(cells)),
        "",
        titled(CALIBRATION, calibration_table(cells)),
        *(Text(note, style="dim") for note in (*notes, *left_out(cells), LEGEND)),
    )


def glance_tables(cells: Sequence[Cell]) -> list[Table]:
    """The accuracies in %, a line a model, a column a domain; of many domains one table after the
    other.

    Too wide for a column each, domains are numbered: before the line and above the column.
    """
    domains = list(dict.fromkeys(cell.domain for cell in cells))
    first = max(cell_len(name) for name in (CORNER, *(cell.model for cell in cells)))
    wide = first + sum(max(cell_len(name), FIGURE) + GAP for name in domains) > WIDTH
    numbers = {name: str(number) for number, name in enumerate(domains, start=1)} if wide else {}
    return [
        _glance_table(cells, domains[start : start + COLUMNS], numbers)
        for start in range(0, len(domains), COLUMNS)
    ]


def _glance_table(
    cells: Sequence[Cell], domains: Sequence[str], numbers: Mapping[str, str]
) -> Table:
    by_place = {(cell.model, cell.domain): cell for cell in cells}
    table = plain_table(CORNER, *(numbers.get(name, name) for name in domains), least=LEAST)
    for model in dict.fromkeys(cell.model for cell in cells):
        found = [by_place.get((model, domain)) for domain in domains]
        table.add_row(
            Text(f"{numbers[model]} {model}" if model in numbers else model),
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
    """How often each model is right: a line a cell, under its domain."""
    return _by_domain(cells, ("accuracy [95 %]", "against its own", "untuned"), _details)


def calibration_table(cells: Sequence[Cell]) -> Table:
    """The expected calibration errors: a line a cell, under its domain."""
    return _by_domain(cells, ("before", "after"), _calibration)


def sets_table(cells: Sequence[Cell]) -> Table | None:
    """The label sets of those cells that have any, under their domains; None without one."""
    measured = [cell for cell in cells if cell.label_sets is not None]
    if not measured:
        return None
    return _by_domain(measured, ("hold the true label [95 %]", "labels in a set"), _sets)


def _by_domain(
    cells: Sequence[Cell], headings: Sequence[str], figures: Callable[[Cell], Sequence[str]]
) -> Table:
    table = plain_table("", *headings, least=LEAST)
    for domain in dict.fromkeys(cell.domain for cell in cells):
        table.add_row(Text(f"on {domain}", style="bold"))
        for cell in (cell for cell in cells if cell.domain == domain):
            table.add_row(Text(f"  {cell.model}"), *figures(cell))
    return table


def _details(cell: Cell) -> tuple[str, ...]:
    gap = cell.against
    return (
        accuracy_text(cell.metrics),
        f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]" if gap else ABSENT,
        f"{100 * cell.untuned.accuracy:.1f} %",
    )


def _calibration(cell: Cell) -> tuple[str, ...]:
    after = cell.metrics.calibration_error or 0.0
    return f"{cell.raw_calibration_error:.3f}", f"{after:.3f}"


def _sets(cell: Cell) -> tuple[str, ...]:
    assert cell.label_sets is not None
    found = share_text(cell.label_sets.coverage, cell.label_sets.coverage_interval)
    return found, f"{cell.label_sets.mean_size:.2f}"


def left_out(cells: Sequence[Cell]) -> list[str]:
    """What was left out of which cell: rows, and labels that the model couldn't choose."""
    notes = []
    for cell in cells:
        parts = []
        if cell.other_label:
            labels = ", ".join(cell.compared)
            parts.append(f"{count_rows(cell.other_label)} with another label than {labels}")
        if cell.seen:
            parts.append(f"{count_rows(cell.seen)} that it was trained or validated on")
        if others := [label for label in cell.labels if label not in cell.compared]:
            named = f"label{'s' if len(others) > 1 else ''} {', '.join(others)}"
            parts.append(f"its {named}, which {cell.domain} hasn't")
        if parts:
            notes.append(f"{cell.model} on {cell.domain}: without {' and '.join(parts)}.")
    return notes

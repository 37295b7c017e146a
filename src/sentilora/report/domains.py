"""A study over domains as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sentilora.domains.matrix import Cell
from sentilora.domains.tables import (
    CALIBRATION,
    CORNER,
    LEGEND,
    UNTUNED,
    calibration_table,
    details_table,
    left_out,
    sets_table,
)
from sentilora.evaluation.abstaining import COVERAGE
from sentilora.report.page import render
from sentilora.report.plots import calibration_plot
from sentilora.report.tables import HeatMap, Shade, grid


def domains_page(cells: Sequence[Cell], notes: Sequence[str]) -> str:
    """The page's HTML."""
    sets = sets_table(cells)
    return render(
        "domains.html",
        domains=list(dict.fromkeys(cell.domain for cell in cells)),
        models=list(dict.fromkeys(cell.model for cell in cells)),
        accuracy=accuracy_map(cells),
        change=_map(cells, _change),
        details=grid(details_table(cells)),
        calibration_title=CALIBRATION,
        coverage=f"{100 * COVERAGE:g} %",
        label_sets=grid(sets) if sets is not None else None,
        calibration=grid(calibration_table(cells)),
        calibration_plot=calibration_plot(
            [
                (
                    f"{cell.model} on {cell.domain}",
                    cell.raw_calibration_error,
                    cell.metrics.calibration_error or 0.0,
                )
                for cell in cells
            ]
        ),
        remarks=[*notes, *left_out(cells), LEGEND],
    )


def accuracy_map(cells: Sequence[Cell]) -> HeatMap:
    """The accuracies in %, the untuned base's below; the further beyond chance, the stronger."""
    found = _map(cells, lambda cell: _accuracy(cell.metrics.accuracy, cell))
    own = {cell.domain: cell for cell in cells if cell.domain == cell.model}
    untuned = tuple(
        _accuracy(own[domain].untuned.accuracy, own[domain]) if domain in own else None
        for domain in found.headings
    )
    return HeatMap(CORNER, found.headings, (*found.rows, (UNTUNED, untuned)))


def _accuracy(share: float, cell: Cell) -> Shade:
    chance = 1 / len(cell.compared)
    return Shade(f"{100 * share:.1f}", max(0.0, (share - chance) / (1 - chance)))


def _change(cell: Cell) -> Shade:
    if cell.against is None:
        return Shade("own", 0.0)
    gap = cell.against
    more = f"[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
    return Shade(f"{100 * gap.value:+.1f}", max(-1.0, min(1.0, 4 * gap.value)), more)


def _map(cells: Sequence[Cell], shade: Callable[[Cell], Shade]) -> HeatMap:
    domains = tuple(dict.fromkeys(cell.domain for cell in cells))
    by_place = {(cell.model, cell.domain): shade(cell) for cell in cells}
    return HeatMap(
        CORNER,
        domains,
        tuple(
            (model, tuple(by_place.get((model, domain)) for domain in domains))
            for model in dict.fromkeys(cell.model for cell in cells)
        ),
    )

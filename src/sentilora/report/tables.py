"""The terminal's tables as a page's, and the page's own: those in which colour shows the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.evaluation.tables import ABSENT


@dataclass(frozen=True)
class Row:
    """A line: its name, its figures, and whether it stands out or heads those that follow."""

    name: str
    figures: tuple[str, ...]
    style: str  # "strong", "quiet" or ""

    @property
    def heads(self) -> bool:
        """Whether it is the heading of the lines below it."""
        return not any(self.figures)


@dataclass(frozen=True)
class Grid:
    """A table: what its first column holds, the other columns' headings, and its lines.

    words
        Whether each of the other columns holds words, not figures.
    """

    corner: str
    headings: tuple[str, ...]
    words: tuple[bool, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Shade:
    """A coloured field: its text, how strongly it is coloured, from -1 to 1, and a word more."""

    text: str
    strength: float
    more: str = ""


@dataclass(frozen=True)
class HeatMap:
    """A table of fields; None where there is none."""

    corner: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade | None, ...]], ...]


def grid(shown: RenderableType) -> Grid:
    """The table of a terminal's, or the one in a titled group, cell by cell."""
    table = _table(shown)
    columns = [[_plain(cell) for cell in column.cells] for column in table.columns]
    headings = [_plain(column.header) for column in table.columns]
    rows = [
        Row(name.strip(), tuple(figures), _style(str(row.style or "")))
        for row, (name, *figures) in zip(table.rows, zip(*columns, strict=True), strict=True)
    ]
    words = [not any(map(_is_figure, column)) for column in columns[1:]]
    return Grid(headings[0], tuple(headings[1:]), tuple(words), tuple(rows))


def confusion_map(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> HeatMap:
    """A confusion matrix: a field is as strong as its share of the true label's rows, those of
    errors in the other colour."""
    rows = []
    for true, (label, counts) in enumerate(zip(labels, confusion, strict=True)):
        whole = sum(counts)
        rows.append(
            (
                label,
                tuple(
                    Shade(
                        f"{count:,}",
                        (1 if true == said else -1) * (count / whole if whole else 0.0),
                        f"{100 * count / whole:.0f} %" if whole else ABSENT,
                    )
                    for said, count in enumerate(counts)
                ),
            )
        )
    return HeatMap("true \\ predicted", tuple(labels), tuple(rows))


def _table(shown: RenderableType) -> Table:
    if isinstance(shown, Group):
        return next(part for part in shown.renderables if isinstance(part, Table))
    assert isinstance(shown, Table)
    return shown


def _plain(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _is_figure(cell: str) -> bool:
    return cell == ABSENT or cell.lstrip("+-< ")[:1].isdigit()


def _style(style: str) -> str:
    return {"bold": "strong", "dim": "quiet"}.get(style, "")

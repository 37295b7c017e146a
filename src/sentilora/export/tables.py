"""Agreement with the adapter, for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sentilora.data.dataset import count_rows
from sentilora.evaluation.tables import plain_table, titled
from sentilora.export.agreement import NEAR_TIE, AccuracyChange, Agreement
from sentilora.export.speed import Speed

SHOWN = 10  # changed rows


def agreement_lines(found: Agreement, export: str, rows: str) -> RenderableType:
    """How an export answers beside its adapter; `rows` names what both were asked."""
    lines = [
        Text(f"{export} and its adapter on {rows}: {count_rows(found.rows)}", style="bold"),
        Text(f"The same label on {found.share:.2%}. {_distance(found)}"),
    ]
    if found.accuracy is not None:
        lines.append(Text(_accuracy(found.accuracy)))
    if not found.changed:
        return Group(*lines)
    table = plain_table("row", "adapter", "now", "the adapter's margin")
    for row in found.changed[:SHOWN]:
        margin = f"{row.margin:.3f}{' (near-tie)' if row.margin < NEAR_TIE else ''}"
        table.add_row(f"{row.row:,}", Text(row.adapter), Text(row.exported), margin)
    title = f"Rows with another label: {len(found.changed):,}, near-ties {found.near_ties:,}"
    return Group(*lines, "", titled(title, table))


def speed_table(adapter: Speed, exported: Speed, export: str, threads: int) -> RenderableType:
    """What both cost, side by side; `export` names the form."""
    table = plain_table("", "size", "load", "one text", "in batches")
    for name, speed in (("adapter on its base, torch fp32", adapter), (export, exported)):
        table.add_row(
            name,
            f"{speed.size / 1e6:,.0f} MB",
            f"{speed.load:.2f} s",
            f"{speed.latency:.1f} ms",
            f"{speed.throughput:,.1f} texts/s",
        )
    counted = f"{threads} thread{'s' * (threads != 1)}"
    return titled(f"Size and speed on this machine, {counted}", table)


def _distance(found: Agreement) -> str:
    return (
        f"Log-probabilities of the labels are {found.mean:.2g} apart on average, at most "
        f"{found.largest:.2g}."
    )


def _accuracy(change: AccuracyChange) -> str:
    gap = change.difference
    return (
        f"Accuracy {change.adapter:.1%}, and now {change.exported:.1%}: {100 * gap.value:+.1f} "
        f"points [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}], exact McNemar "
        f"p = {change.p_value:.2f}."
    )

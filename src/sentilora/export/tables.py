"""Agreement with the adapter, for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sentilora.data.dataset import count_rows
from sentilora.evaluation.tables import plain_table, titled
from sentilora.export.agreement import NEAR_TIE, AccuracyChange, Agreement, ChangedRow
from sentilora.export.speed import Speed

SHOWN = 10  # changed rows of each kind, near-ties and others


def agreement_lines(found: Agreement, export: str, rows: str, canary: float) -> RenderableType:
    """How an export answers beside its adapter; `rows` names what both were asked, and `canary` is
    how far apart they are on the fixed texts."""
    lines = [
        Text(f"{export} and its adapter on {rows}: {count_rows(found.rows)}", style="bold"),
        Text(f"The same label on {found.share:.2%}. {_distance(found)}"),
    ]
    said = f"On the canary's fixed texts, over the whole vocabulary: at most {canary:.2g}."
    lines.append(Text(said))
    if found.accuracy is not None:
        lines.append(Text(_accuracy(found.accuracy)))
    if not found.changed:
        return Group(*lines)
    table = plain_table("row", "adapter", "now", "the adapter's margin")
    for row in _shown(found):
        margin = f"{row.margin:.3f}{' (near-tie)' if row.margin < NEAR_TIE else ''}"
        table.add_row(f"{row.row:,}", Text(row.adapter), Text(row.exported), margin)
    title = f"Rows with another label: {len(found.changed):,}, near-ties {found.near_ties:,}"
    if len(found.changed) > table.row_count:
        title += f"; up to {SHOWN} of each kind"
    return Group(*lines, "", titled(title, table))


def _shown(found: Agreement) -> list[ChangedRow]:
    """The first of both kinds: the widest margins alone would hide what the near-ties are."""
    others = [row for row in found.changed if row.margin >= NEAR_TIE]
    ties = [row for row in found.changed if row.margin < NEAR_TIE]
    return [*others[:SHOWN], *ties[:SHOWN]]


def speed_table(
    adapter: Speed, exported: Speed, names: tuple[str, str], machine: str
) -> RenderableType:
    """What both cost, side by side, under their names; `machine` is what they run on."""
    table = plain_table("", "size", "load", "one text", "in batches")
    for name, speed in zip(names, (adapter, exported), strict=True):
        table.add_row(
            name,
            f"{speed.size / 1e6:,.0f} MB",
            f"{speed.load:.2f} s",
            f"{speed.latency:.1f} ms",
            f"{speed.throughput:,.1f} texts/s",
        )
    return titled(f"Size and speed on this machine, {machine}", table)


def threads_named(threads: int) -> str:
    return f"{threads} thread{'s' * (threads != 1)}"


def _distance(found: Agreement) -> str:
    return (
        f"Log-probabilities are {found.mean:.2g} apart on average, at most {found.largest:.2g}, "
        f"of each label given that it is one of them; at most {found.mass:.2g} that it is one."
    )


def _accuracy(change: AccuracyChange) -> str:
    gap = change.difference
    return (
        f"Accuracy {change.adapter:.1%}, and now {change.exported:.1%}: {100 * gap.value:+.1f} "
        f"points [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}], exact McNemar "
        f"p = {change.p_value:.2f}."
    )

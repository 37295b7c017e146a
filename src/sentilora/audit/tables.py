"""An `AuditResult` as tables for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.audit.duplicates import DuplicateGroup
from sentilora.audit.result import AuditResult
from sentilora.data.dataset import count_rows, place
from sentilora.evaluation.tables import plain_table, titled

GROUPS = 10  # of near-duplicates that are shown
MEMBERS = 3  # and rows of each

LEGEND = (
    "A row is suspicious where a model that wasn't trained on it is surer of another label than it "
    "is, on average, of that label's own rows (confident learning). Estimated: these counts scaled "
    "to all rows given the label. What the model itself gets wrong is among them: the more often "
    "it is right, the more they mean. Look at rows before you change them."
)


def audit_tables(result: AuditResult, shown: int) -> RenderableType:
    """The estimated noise, the `shown` most suspicious rows, and the near-duplicates."""
    head = (
        f"{result.data}: {count_rows(len(result.examples))}, each judged by a model of the other "
        f"{result.folds - 1} of {result.folds} folds ({result.method}), which gives "
        f"{100 * result.agreement:.1f} % of them the label that they have"
    )
    return Group(
        Text(head, style="bold"),
        "",
        *_noise(result),
        *_suspects(result, shown),
        *_duplicates(result),
    )


def _noise(result: AuditResult) -> list[RenderableType]:
    if not result.noise:
        return [Text("No label is likely wrong."), ""]
    table = plain_table("given", "likely", "suspicious", "estimated", "of its rows")
    for noise in result.noise:
        table.add_row(
            Text(noise.given),
            Text(noise.likely),
            f"{noise.counted:,}",
            f"{noise.estimated:,.1f}",
            f"{100 * noise.share:.1f} %",
        )
    share = result.estimated_errors / len(result.examples)
    table.add_row(
        "all",
        "",
        f"{len(result.suspects):,}",
        f"{result.estimated_errors:,.1f}",
        f"{100 * share:.1f} %",
        style="bold",
    )
    return [titled("Labels that are likely wrong", table), Text(LEGEND, style="dim"), ""]


def _suspects(result: AuditResult, shown: int) -> list[RenderableType]:
    if not result.suspects or not shown:
        return []
    table = _rows_table("given", "suggested")
    for suspect in result.suspects[:shown]:
        table.add_row(
            _where(result, suspect.index),
            _with_share(suspect.given, suspect.p_given),
            _with_share(suspect.suggested, suspect.p_suggested),
            _text(result, suspect.index),
        )
    some = min(shown, len(result.suspects))
    title = f"The {some:,} most suspicious of {count_rows(len(result.suspects))}"
    return [titled(title, table), ""]


def _duplicates(result: AuditResult) -> list[RenderableType]:
    groups = result.near.groups
    near = f"Near-duplicates, with a similarity of {result.wanted_similarity:g} or more"
    if not groups:
        return [Text(f"{near}: none.")]
    differ = [group for group in groups if result.labels_differ(group)]
    cross = [group for group in groups if result.crosses_splits(group)]
    rows = sum(len(group.rows) for group in groups)
    counted = f"{near}: {count_rows(rows)} in {_groups(len(groups))}"
    counted += f"; {_groups(len(differ))} with different labels"
    lines: list[RenderableType] = [Text(f"{counted}.", style="bold")]
    lines += [
        Text(
            f"Leakage: {count_rows(leak.rows)} of {leak.split} ({100 * leak.share:.1f} %) "
            f"are in a group with a row of {leak.of}.",
            style="bold red",
        )
        for leak in result.leaks
    ]
    # What does harm: labels that contradict, then leaks; of each the nearest first.
    worst = sorted(
        {group.rows: group for group in (*differ, *cross)}.values(),
        key=lambda group: (not result.labels_differ(group), -group.similarity),
    )
    if not worst:
        return lines
    table = _rows_table("label", "similarity")
    for group in worst[:GROUPS]:
        _add_group(table, result, group)
    kinds = " or over splits" if cross else ""
    title = f"{min(GROUPS, len(worst)):,} of {_groups(len(worst))} with different labels{kinds}"
    return [*lines, "", titled(title, table)]


def _add_group(table: Table, result: AuditResult, group: DuplicateGroup) -> None:
    for row in _varied(result, group)[:MEMBERS]:
        table.add_row(
            _where(result, row),
            Text(result.labels[result.examples[row].label]),
            f"{result.near.similarity[row]:.3f}",
            _text(result, row),
        )
    if (more := len(group.rows) - MEMBERS) > 0:
        table.add_row(f"and {more:,} more", "", "", "")
    table.add_section()


def _varied(result: AuditResult, group: DuplicateGroup) -> list[int]:
    """The group's rows, one of each label and split before further ones of the same."""
    seen: set[tuple[int, str]] = set()
    first: list[int] = []
    rest: list[int] = []
    for row in group.rows:
        kind = (result.examples[row].label, result.examples[row].split)
        (rest if kind in seen else first).append(row)
        seen.add(kind)
    return first + rest


def _rows_table(*headings: str) -> Table:
    table = plain_table()
    table.expand = True
    for heading in ("row", *headings):
        table.add_column(heading, no_wrap=True)
    table.add_column("text", ratio=1, no_wrap=True, overflow="ellipsis")
    return table


def _where(result: AuditResult, row: int) -> str:
    example = result.examples[row]
    return place([(example.split, example.row)], 1).replace("row ", "")


def _with_share(label: str, share: float) -> Text:
    return Text(f"{label} {100 * share:.0f} %")


def _text(result: AuditResult, row: int) -> Text:
    return Text(" ".join(result.examples[row].text.split()))


def _groups(count: int) -> str:
    return f"{count:,} group{'s' * (count != 1)}"

"""A `BehaviourReport` as tables for a terminal of 80 columns.

Cases hold whatever a user writes, control characters among it: texts are shown as JSON strings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sentilora.behaviour.agreement import Wordings
from sentilora.behaviour.cases import DIRECTION, INVARIANCE, MINIMUM, RISE
from sentilora.behaviour.report import BehaviourReport
from sentilora.behaviour.result import Behaviour, Group, Outcome
from sentilora.data.dataset import count_rows
from sentilora.evaluation.metrics import wilson_interval
from sentilora.evaluation.tables import ABSENT, plain_table, titled

LEGEND = (
    "Minimum: the text must get its label. Invariance: the changed text must get the label that "
    "the text gets. Direction: the probability must rise, or must not fall, by more than the "
    "case's tolerance. Failure rates have their 95 % Wilson interval. Change: the mean change of "
    "probability in points, of an invariance without its sign."
)
OWN_WORDING = (
    "The adapter itself keeps its own wording, in which every other command asks it; nothing here "
    "changes that. To have another, train with --template. Agrees: the share of rows that get "
    "the label they get in its own wording."
)


def behaviour_tables(report: BehaviourReport, examples: int) -> RenderableType:
    """The suite's rates with up to `examples` failures of each group, then the wordings."""
    parts: list[RenderableType] = []
    if report.suite is not None:
        parts += _suite(report.suite, examples)
    if report.wordings is not None:
        parts += ["", *_wordings(report.wordings)] if parts else _wordings(report.wordings)
    return Lines(*parts)


def _suite(found: Behaviour, examples: int) -> list[RenderableType]:
    table = plain_table("capability", "kind", "cases", "failed", "failure rate [95 %]", "change")
    table.columns[1].justify = "left"
    for group in found.groups:
        table.add_row(*_row(group))
    for total in found.totals:
        table.add_row(*_row(total), style="bold")
    cases = sum(len(group.outcomes) for group in found.groups)
    parts: list[RenderableType] = [titled(f"Behaviour: {cases:,} cases", table)]
    parts += [Text(note, style="dim") for note in (*notes(found), LEGEND)]
    for group in found.groups:
        if group.failures and examples:
            parts += ["", *_examples(group, examples)]
    return parts


def notes(found: Behaviour) -> Iterator[str]:
    """What is to be known beside the rates."""
    if found.lacking:
        left = sum(found.lacking.values())
        named = ", ".join(f"{label} ({count:,})" for label, count in found.lacking.items())
        yield f"Left out: {left:,} cases with a label that the model lacks: {named}."
    if found.shortened:
        yield f"Texts longer than the model reads, of which it saw a part: {found.shortened:,}."


def _row(group: Group) -> tuple[RenderableType, ...]:
    low, high = group.interval
    change = ABSENT
    if group.change is not None:
        sign = "" if group.kind == INVARIANCE else "+"
        change = f"{100 * group.change:{sign}.1f}"
    return (
        Text(group.capability),
        group.kind,
        f"{len(group.outcomes):,}",
        f"{len(group.failures):,}",
        f"{100 * group.rate:.1f} % [{100 * low:.1f}, {100 * high:.1f}]",
        change,
    )


def _examples(group: Group, most: int) -> Iterator[RenderableType]:
    failures = group.failures
    shown = failures[:most]
    which = f", the worst {len(shown)}" if len(shown) < len(failures) else ""
    heading = f"{group.capability}, {group.kind}: {len(failures):,} failed{which}"
    yield Text(heading, style="bold")
    for outcome in shown:
        for line in _told(outcome):
            yield Padding(line, (0, 0, 0, 2), expand=False)


def _told(outcome: Outcome) -> Iterator[Text]:
    case, watched = outcome.case, outcome.watched
    before, after = outcome.probabilities[0], outcome.probabilities[outcome.worst]
    yield Text(_quoted(case.text))
    if case.kind == MINIMUM:
        yield Text(f"  expected {watched} (p {before:.3f}), got {outcome.chosen[0]}", style="red")
        return
    yield Text(f"> {_quoted(case.texts[outcome.worst])}")
    moved = f"p({watched}) from {before:.3f} to {after:.3f}"
    if case.kind == DIRECTION:
        verb = "must rise" if case.must == RISE else "must not fall"
        moved = f"{moved}; {verb} by more than {case.tolerance:g}"
    else:
        moved = f"{moved}; {outcome.chosen[0]} becomes {outcome.chosen[outcome.worst]}"
    yield Text(f"  {moved}", style="red")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _wordings(found: Wordings) -> list[RenderableType]:
    table = plain_table("wording", "accuracy [95 %]", "agrees [95 %]")
    for number, each in enumerate(found.answered):
        table.add_row(
            Text(each.wording.name),
            _share(each.correct, found.rows),
            _share(each.agreement, found.rows) if number else ABSENT,
            style=None if number else "bold",
        )
    of = "" if found.rows == found.of else f" of {found.of:,}, drawn at random"
    title = f"Wordings, on {found.data}, {found.split}: {count_rows(found.rows)}{of}"
    texts = Table.grid(padding=(0, 2, 0, 0))
    for each in found.answered:
        if not each.wording.reversed:
            texts.add_row(Text(each.wording.name), Text(_quoted(each.wording.task.template)))
    dim = [Text(note, style="dim") for note in (*found.notes, OWN_WORDING)]
    return [titled(title, table), *dim, "", titled("How they ask", texts)]


def _share(count: int, rows: int) -> str:
    low, high = wilson_interval(count, rows)
    return f"{100 * count / rows:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

"""A comparison as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from sentilora.artifact import Artifact
from sentilora.comparison import Comparison, Contender
from sentilora.comparison.tables import (
    accuracy_table,
    costs_legend,
    legends,
    pairs_legend,
    pairs_table,
    quality_table,
    training_table,
    use_table,
)
from sentilora.evaluation.errors import WrongAnswer
from sentilora.evaluation.tables import MATRIX_LABELS, TITLES, confusion_table
from sentilora.planned_runs import PlannedRun
from sentilora.report.learning import learning_curves_plot
from sentilora.report.page import render, shortened
from sentilora.report.plots import Point, accuracy_plot, reliability_plot, speed_plot
from sentilora.report.tables import Grid, HeatMap, confusion_map, grid
from sentilora.training.history import Entry, History


@dataclass(frozen=True)
class Errors:
    """Where a contender errs and how sure it is, over all of its runs; `worst` are its first's.

    confusion, confusions
        The matrix, or with many labels the most frequent kinds of error.
    """

    name: str
    confusion: HeatMap | None
    confusions: Grid
    reliability: Markup
    worst: Sequence[tuple[WrongAnswer, Markup]]


def comparison_page(
    comparison: Comparison, histories: Mapping[str, Sequence[Sequence[Entry]]]
) -> str:
    """The page's HTML; `histories` has those of each contender's runs."""
    points = [_point(one) for one in comparison.contenders]
    speeds = [one.over_runs(lambda run: run.rows_per_second)[0] for one in comparison.contenders]
    baselines = [
        Point(TITLES[name], figures.accuracy, *figures.accuracy_interval)
        for name, figures in comparison.baselines.items()
    ]
    return render(
        "comparison.html",
        comparison=comparison,
        accuracies=accuracy_plot([*points, *baselines]),
        accuracy=grid(accuracy_table(comparison)),
        quality=grid(quality_table(comparison)),
        remarks=(*comparison.notes, *legends(comparison)),
        several=any(len(one.runs) > 1 for one in comparison.contenders),
        errors=[_errors(number, one) for number, one in enumerate(comparison.contenders)],
        training=grid(training_table(comparison)),
        use=grid(use_table(comparison)),
        costs_legend=costs_legend(comparison),
        speed=speed_plot(list(zip(points, speeds, strict=True))),
        pairs=grid(pairs_table(comparison.pairs)) if comparison.pairs else None,
        pairs_legend=pairs_legend(comparison),
        learning=learning_curves_plot(histories) if histories else None,
    )


def histories(runs: Sequence[PlannedRun]) -> dict[str, list[History]]:
    """The evaluations during training of each contender's runs, where there were any."""
    found: dict[str, list[History]] = {}
    for run in runs:
        history = Artifact.read(run.folder).metrics["history"]
        if len(history) > 1:
            found.setdefault(run.contender, []).append(history)
    return found


def _errors(number: int, one: Contender) -> Errors:
    first = one.runs[0]
    whole = replace(first.tuned, confusion=one.confusion)
    few_labels = len(whole.labels) <= MATRIX_LABELS
    return Errors(
        name=one.name,
        confusion=confusion_map(whole.labels, whole.confusion) if few_labels else None,
        confusions=grid(confusion_table(whole)),
        reliability=reliability_plot(one.bins, name=f"reliability-{number}"),
        worst=[(error, shortened(error.text)) for error in first.worst],
    )


def _point(one: Contender) -> Point:
    value = one.over_runs(lambda run: run.tuned.accuracy)[0]
    return Point(one.name, value, *one.accuracy_interval, main=True)

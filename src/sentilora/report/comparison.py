"""A comparison as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sentilora.artifact import Artifact
from sentilora.comparison import Comparison, Contender
from sentilora.comparison.tables import (
    LEGEND,
    PAIRS_LEGEND,
    costs_table,
    pairs_table,
    quality_table,
)
from sentilora.evaluation.tables import TITLES
from sentilora.planned_runs import PlannedRun
from sentilora.report.learning import learning_curves_plot
from sentilora.report.page import render
from sentilora.report.plots import Point, accuracy_plot, speed_plot
from sentilora.report.tables import grid
from sentilora.training.history import Entry, History


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
        quality=grid(quality_table(comparison)),
        remarks=(*comparison.notes, LEGEND),
        costs=grid(costs_table(comparison)),
        speed=speed_plot(list(zip(points, speeds, strict=True))),
        pairs=grid(pairs_table(comparison.pairs)) if comparison.pairs else None,
        pairs_legend=PAIRS_LEGEND,
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


def _point(one: Contender) -> Point:
    value = one.over_runs(lambda run: run.tuned.accuracy)[0]
    return Point(one.name, value, *one.accuracy_interval, main=True)

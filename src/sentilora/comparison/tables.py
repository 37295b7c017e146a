"""A `Comparison` as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.comparison.measured import Measured
from sentilora.comparison.result import Comparison, Contender, Pair
from sentilora.data.dataset import count_rows
from sentilora.evaluation.tables import ABSENT, TITLES, accuracy_text, plain_table, titled

LEGEND = (
    "Accuracy with several seeds: their mean and, in brackets, the least and the most; with one, "
    "its 95 % Wilson interval. ECE: the expected calibration error. One text: seconds for a single "
    "one. Memory: the peak of training."
)
PAIRS_LEGEND = (
    "The difference in accuracy with its 95 % interval from a paired bootstrap of the rows; p: "
    "exact McNemar, corrected for all these pairs (Holm). Seeds' runs are averaged; the interval "
    "is about other rows, not about other seeds."
)


def comparison_tables(comparison: Comparison) -> RenderableType:
    """How good each one is, what it costs, and which of them differ."""
    title = f"{comparison.data}, {comparison.split}: {count_rows(comparison.rows)}"
    notes = [Text(note, style="dim") for note in (*comparison.notes, LEGEND)]
    parts: list[RenderableType] = [
        titled(title, quality_table(comparison)),
        *notes,
        "",
        titled("What they cost", costs_table(comparison)),
    ]
    if comparison.pairs:
        parts += ["", titled("Do they differ?", pairs_table(comparison.pairs))]
        parts.append(Text(PAIRS_LEGEND, style="dim"))
    return Group(*parts)


def quality_table(comparison: Comparison) -> Table:
    """How good each contender and each baseline is."""
    table = plain_table("", "untuned", "accuracy", "macro-F1", "ECE")
    for one in comparison.contenders:
        ece = one.over_runs(lambda run: run.tuned.calibration_error or 0.0)[0]
        table.add_row(
            Text(one.name),
            f"{100 * one.over_runs(lambda run: run.untuned.accuracy)[0]:.1f} %",
            accuracy_of(one),
            f"{one.over_runs(lambda run: run.tuned.macro_f1)[0]:.3f}",
            f"{ece:.3f}",
        )
    for name, metrics in comparison.baselines.items():
        f1 = f"{metrics.macro_f1:.3f}"
        table.add_row(TITLES[name], ABSENT, accuracy_text(metrics), f1, ABSENT, style="dim")
    return table


def accuracy_of(one: Contender) -> str:
    """Such as `86.9 % [86.4, 87.3]`."""
    value, low, high = one.over_runs(lambda run: run.tuned.accuracy)
    if len(one.runs) == 1:
        low, high = one.accuracy_interval
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def costs_table(comparison: Comparison) -> Table:
    """What each contender takes to train, to keep and to run."""
    table = plain_table("", "trained", "adapter", "training", "memory", "one text", "rows/s")
    for one in comparison.contenders:
        first = one.runs[0]
        memory = max((run.peak_bytes or 0 for run in one.runs), default=0)
        table.add_row(
            Text(one.name),
            f"{100 * first.trained / first.parameters:.2f} %",
            f"{first.adapter_bytes / 1e6:.1f} MB",
            _duration(_mean(one, lambda run: run.train_seconds)),
            f"{memory / 1e9:.1f} GB" if memory else ABSENT,
            f"{1e3 * _mean(one, lambda run: run.latency):.0f} ms",
            f"{_mean(one, lambda run: run.rows_per_second):.1f}",
        )
    return table


def _mean(one: Contender, figure: Callable[[Measured], float]) -> float:
    return one.over_runs(figure)[0]


def pairs_table(pairs: tuple[Pair, ...]) -> Table:
    """Whether any two differ; bold where they do."""
    table = plain_table("", "less", "points [95 %]", "p")
    for pair in pairs:
        gap = pair.difference
        table.add_row(
            Text(pair.first),
            Text(pair.second),
            f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]",
            p_text(pair.corrected),
            style="bold" if pair.corrected < 0.05 else None,
        )
    return table


def p_text(value: float) -> str:
    """Such as `0.012`, or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"

"""A `Comparison` as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.comparison.measured import Measured
from sentilora.comparison.result import FIGURES, Comparison, Contender, Pair
from sentilora.data.dataset import count_rows
from sentilora.evaluation.tables import (
    ABSENT,
    TITLES,
    accuracy_text,
    plain_table,
    share_text,
    titled,
)

LEGEND = (
    "Brackets: the 95 % Wilson interval, for other rows like these. ECE: the expected calibration "
    "error."
)
SEEDS_LEGEND = (
    "With several seeds a figure is their mean, the interval that of the mean on as many rows as "
    "one seed has; beside it stand the least and the most of the seeds."
)
_COSTS = (
    "Parameters: of the base, and the share of them that is trained. Time: of one run's training, "
    "and memory its peak. One text: the median time of a single one, asked for alone."
)
_PAIRS = (
    "The difference in accuracy with its 95 % interval from a paired bootstrap of the rows; p: "
)
PAIRS_LEGEND = f"{_PAIRS}exact McNemar, corrected for all these pairs (Holm)."
SEEDS_PAIRS_LEGEND = (
    f"{_PAIRS}the exact randomisation test, of which McNemar's is the case of one seed, corrected "
    "for all these pairs (Holm). Seeds' runs are averaged; the interval is about other rows, not "
    "about other seeds."
)


def comparison_tables(comparison: Comparison) -> RenderableType:
    """How good each one is, what it costs, and which of them differ."""
    title = f"{comparison.data}, {comparison.split}: {count_rows(comparison.rows)}"
    parts: list[RenderableType] = [titled(title, accuracy_table(comparison)), ""]
    parts += [titled("Beyond accuracy", quality_table(comparison))]
    parts += [_quiet(note) for note in (*comparison.notes, *legends(comparison))]
    parts += ["", titled("What training takes", training_table(comparison))]
    parts += ["", titled("What using them takes", use_table(comparison))]
    parts += [_quiet(costs_legend(comparison))]
    if comparison.pairs:
        parts += ["", titled("Do they differ?", pairs_table(comparison.pairs))]
        parts += [_quiet(pairs_legend(comparison))]
    return Group(*parts)


def legends(comparison: Comparison) -> list[str]:
    """What the figures of both tables mean."""
    return [LEGEND, *([SEEDS_LEGEND] if _several(comparison) else [])]


def costs_legend(comparison: Comparison) -> str:
    """What the figures of training and use mean, and on what they were measured."""
    runs = [run for one in comparison.contenders for run in one.runs]
    trained, asked = (
        " and ".join(dict.fromkeys(each))
        for each in ((run.trained_on for run in runs), (run.asked_on for run in runs))
    )
    return f"{_COSTS} Trained on {trained}; asked on {asked}."


def pairs_legend(comparison: Comparison) -> str:
    """What is to be said of the pairs, by whether any contender has several runs."""
    return SEEDS_PAIRS_LEGEND if _several(comparison) else PAIRS_LEGEND


def accuracy_table(comparison: Comparison) -> Table:
    """How often each contender and each baseline is right."""
    several = _several(comparison)
    ranges = ("seeds",) if several else ()
    table = plain_table("", "untuned [95 %]", "accuracy [95 %]", *ranges)
    for one in comparison.contenders:
        value, low, high = one.over_runs(FIGURES["accuracy"])
        table.add_row(
            Text(one.name),
            accuracy_text(one.runs[0].untuned),  # the same base for all of its runs
            share_text(value, one.accuracy_interval),
            *([_range(one, f"{100 * low:.1f} to {100 * high:.1f}")] if several else []),
        )
    for name, metrics in comparison.baselines.items():
        blank = [ABSENT] * several
        table.add_row(TITLES[name], ABSENT, accuracy_text(metrics), *blank, style="dim")
    return table


def quality_table(comparison: Comparison) -> Table:
    """How even over the labels each is, and how far its probabilities can be trusted."""
    several = _several(comparison)
    headings = [part for name in ("macro-F1", "ECE") for part in (name, *["seeds"] * several)]
    table = plain_table("", *headings)
    for one in comparison.contenders:
        cells = []
        for name in ("macro_f1", "calibration_error"):
            value, low, high = one.over_runs(FIGURES[name])
            cells += [f"{value:.3f}"]
            cells += [_range(one, f"{low:.3f} to {high:.3f}")] if several else []
        table.add_row(Text(one.name), *cells)
    for name, metrics in comparison.baselines.items():
        f1, *blank = [f"{metrics.macro_f1:.3f}", *[ABSENT] * (len(headings) - 1)]
        table.add_row(TITLES[name], f1, *blank, style="dim")
    return table


def training_table(comparison: Comparison) -> Table:
    """What each contender takes to train."""
    table = plain_table("", "parameters", "trained", "time", "memory")
    for one in comparison.contenders:
        first = one.runs[0]
        memory = max((run.peak_bytes or 0 for run in one.runs), default=0)
        table.add_row(
            Text(one.name),
            _count(first.parameters),
            f"{100 * first.trained / first.parameters:.2f} %",
            _duration(_mean(one, lambda run: run.train_seconds)),
            f"{memory / 1e9:.1f} GB" if memory else ABSENT,
        )
    return table


def use_table(comparison: Comparison) -> Table:
    """What each contender takes to keep and to run."""
    table = plain_table("", "adapter", "one text", "rows/s")
    for one in comparison.contenders:
        table.add_row(
            Text(one.name),
            f"{one.runs[0].adapter_bytes / 1e6:.1f} MB",
            f"{1e3 * _mean(one, lambda run: run.latency):.0f} ms",
            f"{_mean(one, lambda run: run.rows_per_second):.1f}",
        )
    return table


def _several(comparison: Comparison) -> bool:
    return any(len(one.runs) > 1 for one in comparison.contenders)


def _range(one: Contender, shown: str) -> str:
    return shown if len(one.runs) > 1 else ABSENT


def _quiet(note: str) -> Text:
    return Text(note, style="dim")


def _count(number: int) -> str:
    """Such as `134.5 M`."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


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

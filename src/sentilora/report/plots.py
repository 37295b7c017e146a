"""The plots of reports: what is drawn, given as plain figures; `svg.draw` makes them the page's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sentilora.evaluation.calibration import Bin
from sentilora.printable import printable
from sentilora.report.svg import BLUE, INK, ORANGE, SERIES, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = 40  # px that a line of a plot of names takes
NAME = 42  # characters of a name that fit beside a plot
MARKERS = "osD^vP"  # beside colours, for those who can't tell them apart


@dataclass(frozen=True)
class Point:
    """A named share with its interval."""

    name: str
    value: float
    low: float
    high: float
    main: bool = False  # whether it is what the page is about


def accuracy_plot(points: Sequence[Point]) -> Markup:
    """Accuracies below each other, with their intervals."""
    said = "; ".join(
        f"{point.name} {100 * point.value:.1f} % [{100 * point.low:.1f}, {100 * point.high:.1f}]"
        for point in points
    )
    return draw(
        "accuracy",
        f"Accuracy with 95 % intervals: {said}.",
        LINE * len(points) + 40,
        lambda figure: paint_accuracy(figure, points),
    )


def paint_accuracy(figure: Figure, points: Sequence[Point]) -> None:
    """Each point under its name."""
    axes = figure.subplots()
    for line, point in enumerate(points):
        colour = BLUE if point.main else INK
        _whiskers(axes, point, line, colour)
        axes.annotate(
            short_name(point.name),
            (0, line),
            (0, 6),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="bottom",
        )
    axes.set(ylim=(len(points) - 0.5, -0.9), yticks=[], xlabel="accuracy, %")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    _room_for(axes, [edge for point in points for edge in (point.low, point.high)])


def reliability_plot(
    after: Sequence[Bin], before: Sequence[Bin] | None = None, name: str = "reliability"
) -> Markup:
    """How often the chosen label is right, by how sure the model is; `before` its temperature.

    `name` is the plot's own in its page.
    """
    said = "; ".join(
        f"{100 * each.confidence:.0f} % sure, {100 * each.accuracy:.0f} % right ({each.rows:,})"
        for each in after
    )
    return draw(
        name,
        f"Reliability: accuracy by confidence, with the rows of each bin: {said}.",
        360,
        lambda figure: paint_reliability(figure, after, before),
    )


def paint_reliability(
    figure: Figure, after: Sequence[Bin], before: Sequence[Bin] | None = None
) -> None:
    """Accuracy over confidence; below it how many rows are that sure."""
    top, below = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    least = min(each.low for each in (*after, *(before or ())))
    top.plot([100 * least, 100], [100 * least, 100], color=INK, linestyle=":", linewidth=1)
    if before is not None:
        _bins(top, before, ORANGE, "s", "before the temperature")
    _bins(top, after, BLUE, "o", "with the temperature" if before is not None else "the model")
    top.set(ylabel="right, %", ylim=(-4, 104))
    top.grid()
    if before is not None:
        top.legend(loc="lower right")
    rows = [each.rows for each in after]
    edges = [100 * each.low for each in after]
    widths = [100 * (each.high - each.low) for each in after]
    below.bar(edges, rows, widths, align="edge", color=BLUE, alpha=0.5, linewidth=0)
    below.set(xlabel="sure, %", ylabel="rows", xlim=(100 * least - 2, 102))


def speed_plot(points: Sequence[tuple[Point, float]]) -> Markup:
    """Accuracy with its interval over rows a second, each point numbered as in the list."""
    said = "; ".join(
        f"{point.name} {speed:.1f} rows/s, {100 * point.value:.1f} %" for point, speed in points
    )
    return draw(
        "speed",
        f"Accuracy over speed: {said}.",
        260 + 16 * len(points),
        lambda figure: paint_speed(figure, points),
    )


def paint_speed(figure: Figure, points: Sequence[tuple[Point, float]]) -> None:
    """A point a contender, with its interval."""
    axes = figure.subplots()
    for number, (point, speed) in enumerate(points):
        line = series(number)
        axes.errorbar(
            speed,
            100 * point.value,
            [[100 * (point.value - point.low)], [100 * (point.high - point.value)]],
            color=line["color"],
            marker=line["marker"],
            markersize=7,
            linewidth=1.2,
            linestyle="",
            label=short_name(point.name),
        )
    axes.set(xlabel="rows a second", ylabel="accuracy, %")
    axes.set_xlim(0, 1.1 * max(speed for _, speed in points))
    axes.grid()
    figure.legend(loc="outside lower center")


def calibration_plot(changes: Sequence[tuple[str, float, float]]) -> Markup:
    """Calibration errors before and after the temperature, by name."""
    said = "; ".join(f"{name} {before:.3f}, then {after:.3f}" for name, before, after in changes)
    return draw(
        "calibration",
        f"Expected calibration error before and after the temperature: {said}.",
        LINE * len(changes) + 70,
        lambda figure: paint_calibration(figure, changes),
    )


def paint_calibration(figure: Figure, changes: Sequence[tuple[str, float, float]]) -> None:
    """An arrow's worth a line: hollow before, full after."""
    axes = figure.subplots()
    for line, (name, before, after) in enumerate(changes):
        axes.plot([before, after], [line, line], color=INK, linewidth=1, alpha=0.5)
        axes.annotate(
            short_name(name),
            (0, line),
            (0, 6),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="bottom",
        )
    lines = range(len(changes))
    style: dict[str, Any] = {"linestyle": "", "markersize": 7}
    axes.plot([one[1] for one in changes], lines, "s", color=ORANGE, label="before", **style)
    axes.plot([one[2] for one in changes], lines, "o", color=BLUE, label="after", **style)
    axes.set(ylim=(len(changes) - 0.5, -0.9), yticks=[], xlabel="expected calibration error")
    axes.set_xlim(0, 1.08 * max(0.01, *(error for one in changes for error in one[1:])))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    figure.legend(loc="outside upper right", ncols=2)


def _whiskers(axes: Axes, point: Point, line: int, colour: str) -> None:
    axes.plot([100 * point.low, 100 * point.high], [line, line], color=colour, linewidth=2)
    axes.plot(100 * point.value, line, "o" if point.main else "D", color=colour, markersize=7)


def _room_for(axes: Axes, shares: Sequence[float]) -> None:
    """A little beyond the shares, in steps of 5 %, never beyond 0 and 100."""
    low, high = 5 * (100 * min(shares) // 5), 5 * -(-100 * max(shares) // 5)
    axes.set_xlim(max(0, low), min(100, high) + 0.5)


def _bins(axes: Axes, bins: Sequence[Bin], colour: str, marker: str, label: str) -> None:
    axes.plot(
        [100 * each.confidence for each in bins],
        [100 * each.accuracy for each in bins],
        color=colour,
        marker=marker,
        markersize=5,
        label=label,
    )


def series(number: int) -> dict[str, Any]:
    """How the line or point of that number looks, as matplotlib takes it."""
    colour = SERIES[number % len(SERIES)]
    return {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 4}


def short_name(name: str) -> str:
    """A name on one line of a plot; the page's table has the whole of it."""
    name = printable(name)
    return name if len(name) <= NAME else name[: NAME - 1] + "…"

"""The plots of reports: what is drawn, given as plain figures; `svg.draw` makes them the page's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sentilora.evaluation.calibration import Bin
from sentilora.report.svg import BLUE, INK, ORANGE, SERIES, draw, printable
from sentilora.training.history import Entry, best_entry

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
            _short(point.name),
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


def reliability_plot(after: Sequence[Bin], before: Sequence[Bin] | None = None) -> Markup:
    """How often the chosen label is right, by how sure the model is; `before` its temperature."""
    said = "; ".join(
        f"{100 * each.confidence:.0f} % sure, {100 * each.accuracy:.0f} % right ({each.rows:,})"
        for each in after
    )
    return draw(
        "reliability",
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


def learning_plot(history: Sequence[Entry]) -> Markup:
    """Loss and validation figures of a run by step."""
    return draw(
        "learning",
        f"Learning curves: training and validation loss, accuracy and macro-F1. {_kept(history)}.",
        330,
        lambda figure: paint_learning(figure, history),
    )


def paint_learning(figure: Figure, history: Sequence[Entry]) -> None:
    """Losses above, validation figures below; the best evaluation stands out."""
    losses, shares = _two_by_step(figure)
    first, second = {**_line(0), "color": BLUE}, {**_line(1), "color": ORANGE}
    losses.plot(*_trained(history), label="training", **second)
    losses.plot(*_by_step(history, "loss"), label="validation", **first)
    shares.plot(*_by_step(history, "macro_f1", 100), label="macro-F1", **second)
    shares.plot(*_by_step(history, "accuracy", 100), label="accuracy", **first)
    _circle(shares, history, BLUE, "the best")
    losses.legend(ncols=2)
    shares.legend(ncols=3)


def learning_curves_plot(runs: Mapping[str, Sequence[Sequence[Entry]]]) -> Markup:
    """Loss and validation accuracy by step of several runs; `runs` has their histories by what
    they are runs of."""
    said = "; ".join(
        f"{name}: {_kept(history)}" for name, histories in runs.items() for history in histories
    )
    return draw(
        "learning",
        f"Learning curves. {said}.",
        330 + 16 * len(runs),
        lambda figure: paint_learning_curves(figure, runs),
    )


def paint_learning_curves(figure: Figure, runs: Mapping[str, Sequence[Sequence[Entry]]]) -> None:
    """A colour a name, a line a run."""
    losses, shares = _two_by_step(figure)
    for number, (name, histories) in enumerate(runs.items()):
        line = {**_line(number), "linewidth": 1.2}
        for index, history in enumerate(histories):
            losses.plot(*_trained(history), **{**line, "marker": None, "linestyle": ":"})
            label = None if index else _short(name)
            losses.plot(*_by_step(history, "loss"), label=label, **line)
            shares.plot(*_by_step(history, "accuracy", 100), **line)
            _circle(shares, history, line["color"])
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center")


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
        line = _line(number)
        axes.errorbar(
            speed,
            100 * point.value,
            [[100 * (point.value - point.low)], [100 * (point.high - point.value)]],
            color=line["color"],
            marker=line["marker"],
            markersize=7,
            linewidth=1.2,
            linestyle="",
            label=_short(point.name),
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
            _short(name),
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


def _two_by_step(figure: Figure) -> tuple[Axes, Axes]:
    losses, shares = figure.subplots(2, sharex=True)
    losses.set(ylabel="loss")
    shares.set(xlabel="step", ylabel="validation, %")
    for axes in (losses, shares):
        axes.grid()
    return losses, shares


def _by_step(history: Sequence[Entry], figure: str, times: int = 1) -> tuple[list[int], list[Any]]:
    return [entry["step"] for entry in history], [times * entry[figure] for entry in history]


def _trained(history: Sequence[Entry]) -> tuple[list[int], list[Any]]:
    return _by_step([entry for entry in history if entry["train_loss"] is not None], "train_loss")


def _circle(axes: Axes, history: Sequence[Entry], colour: str, label: str | None = None) -> None:
    """Around the best evaluation's accuracy."""
    if (best := best_entry(history)) is not None:
        place = (best["step"], 100 * best["accuracy"])
        style: dict[str, Any] = {
            "marker": "o",
            "markersize": 11,
            "markerfacecolor": "none",
            "linestyle": "",
        }
        axes.plot(*place, color=colour, label=label, **style)


def _kept(history: Sequence[Entry]) -> str:
    """What the best evaluation was, in words."""
    best = best_entry(history)
    if best is None:
        return "no evaluation"
    return (
        f"the best evaluation was at step {best['step']:,}, with a loss of {best['loss']:.3f} and "
        f"an accuracy of {100 * best['accuracy']:.1f} %"
    )


def _line(number: int) -> dict[str, Any]:
    colour = SERIES[number % len(SERIES)]
    return {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 4}


def _short(name: str) -> str:
    """A name on one line of a plot; the page's table has the whole of it."""
    name = printable(name)
    return name if len(name) <= NAME else name[: NAME - 1] + "…"

"""Learning curves: what a run's evaluations said, by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sentilora.report.plots import series, short_name
from sentilora.report.svg import BLUE, ORANGE, draw
from sentilora.training.history import Entry, best_entry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    first, second = {**series(0), "color": BLUE}, {**series(1), "color": ORANGE}
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
        line = {**series(number), "linewidth": 1.2}
        for index, history in enumerate(histories):
            losses.plot(*_trained(history), **{**line, "marker": None, "linestyle": ":"})
            label = None if index else short_name(name)
            losses.plot(*_by_step(history, "loss"), label=label, **line)
            shares.plot(*_by_step(history, "accuracy", 100), **line)
            _circle(shares, history, line["color"])
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center")


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

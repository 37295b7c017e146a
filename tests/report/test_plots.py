"""What is drawn is what was measured: read off the drawing."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from results import evaluated, history

from sentilora.evaluation.calibration import reliability
from sentilora.report import learning, plots
from sentilora.report.plots import Point


def lines(figure: Figure, panel: int = 0) -> list[np.ndarray]:
    """[N, 2] the points of each line of a panel."""
    return [np.asarray(line.get_xydata()) for line in figure.axes[panel].lines]


def test_accuracies_with_their_intervals() -> None:
    figure = Figure()
    points = [Point("one", 0.8, 0.7, 0.85, main=True), Point("two", 0.5, 0.45, 0.99)]
    plots.paint_accuracy(figure, points)
    whiskers = lines(figure)[::2]
    for number, (point, whisker) in enumerate(zip(points, whiskers, strict=True)):
        assert whisker == pytest.approx(
            np.array([[100 * point.low, number], [100 * point.high, number]])
        )
        assert lines(figure)[2 * number + 1] == pytest.approx(
            np.array([[100 * point.value, number]])
        )
    low, high = figure.axes[0].get_xlim()
    assert low <= 45
    assert high >= 99


def test_the_bins_of_a_reliability_diagram() -> None:
    _, scores, examples = evaluated()
    bins = reliability(scores.probabilities, [example.label for example in examples])
    figure = Figure()
    plots.paint_reliability(figure, bins)
    wanted = [[100 * each.confidence, 100 * each.accuracy] for each in bins]
    assert lines(figure)[1] == pytest.approx(np.array(wanted))
    bars = figure.axes[1].patches
    assert [bar.get_height() for bar in bars] == [each.rows for each in bins]
    assert [bar.get_x() for bar in bars] == pytest.approx([100 * each.low for each in bins])


def test_a_learning_curve() -> None:
    entries = history()
    figure = Figure()
    learning.paint_learning(figure, entries)
    trained, validation = lines(figure)
    assert validation.tolist() == [[entry["step"], entry["loss"]] for entry in entries]
    assert trained.tolist() == [[entry["step"], entry["train_loss"]] for entry in entries[1:]]
    f1, accuracy, best = lines(figure, 1)
    assert accuracy[:, 1] == pytest.approx([100 * entry["accuracy"] for entry in entries])
    assert f1[:, 1] == pytest.approx([100 * entry["macro_f1"] for entry in entries])
    assert best.tolist() == [[20, 100 * entries[2]["accuracy"]]]


def test_the_learning_curves_of_several_runs_share_a_colour() -> None:
    figure = Figure()
    learning.paint_learning_curves(
        figure, {"a": [history(), history(seed=1)], "b": [history(seed=2)]}
    )
    drawn = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert len(drawn) == 3
    first, second, third = (line.get_color() for line in drawn)
    assert first == second != third
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_calibration_before_and_after() -> None:
    figure = Figure()
    plots.paint_calibration(figure, [("one", 0.2, 0.05), ("two", 0.1, 0.12)])
    before, after = lines(figure)[-2:]
    assert before.tolist() == [[0.2, 0], [0.1, 1]]
    assert after.tolist() == [[0.05, 0], [0.12, 1]]

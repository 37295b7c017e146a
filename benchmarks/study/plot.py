"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

matplotlib.rcParams["svg.hashsalt"] = "sentilora"  # else names in it are drawn anew each time

# Okabe and Ito's colours, which the colour-blind tell apart (2008); the product's own stands out.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#999999", "#555555")


def plot_curve(
    points: Mapping[str, Sequence[tuple[int | None, Sequence[float]]]], path: Path
) -> None:
    """Accuracy over the number of rows: the seeds' mean as a line, their range as its shade.

    What learns nothing, so that its number of rows is None, is a line right across.
    """
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for (name, sizes), colour in zip(points.items(), COLOURS, strict=False):
        rows = [size for size, _ in sizes if size is not None]
        means = [100 * mean(values) for _, values in sizes]
        if not rows:
            axes.axhline(means[0], color=colour, linestyle=":", label=name)
            continue
        first = name == next(iter(points))
        axes.plot(
            rows, means, color=colour, marker="o", linewidth=2.5 if first else 1.2, label=name
        )
        low, high = ([100 * of(values) for _, values in sizes] for of in (min, max))
        axes.fill_between(rows, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    ticks = sorted({size for sizes in points.values() for size, _ in sizes if size is not None})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("labelled rows to learn from")
    axes.set_ylabel("accuracy on the test rows, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)

"""What a comparison found: its contenders, and whether any two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import mean
from typing import Any

import numpy as np

from sentilora.comparison.measured import Measured
from sentilora.evaluation.calibration import Bin
from sentilora.evaluation.metrics import Metrics, wilson_interval
from sentilora.evaluation.paired import Difference, accuracy_difference, holm, mcnemar

FIGURES: Mapping[str, Callable[[Measured], float]] = {
    "accuracy": lambda run: run.tuned.accuracy,
    "macro_f1": lambda run: run.tuned.macro_f1,
    "calibration_error": lambda run: run.tuned.calibration_error or 0.0,
}


@dataclass(frozen=True)
class Contender:
    """A model in a variant: its runs, one a seed, on the same rows."""

    name: str
    runs: tuple[Measured, ...]

    def over_runs(self, figure: Callable[[Measured], float]) -> tuple[float, float, float]:
        """The mean of a figure over the runs, its least and its most."""
        values = [figure(run) for run in self.runs]
        return mean(values), min(values), max(values)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 %, Wilson, of the mean accuracy on as many rows as one run has: runs share them."""
        rows = self.runs[0].tuned.rows
        return wilson_interval(round(mean(run.tuned.accuracy for run in self.runs) * rows), rows)

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """[K, K] all runs' together: each row counts once a run."""
        whole = np.sum([run.tuned.confusion for run in self.runs], axis=0)
        return tuple(map(tuple, whole.tolist()))

    @property
    def bins(self) -> tuple[Bin, ...]:
        """The reliability diagram's data, of all runs together."""
        parts: dict[float, list[Bin]] = {}
        for run in self.runs:
            for each in run.bins:
                parts.setdefault(each.low, []).append(each)
        return tuple(_pooled(parts[low]) for low in sorted(parts))

    def to_dict(self) -> dict[str, Any]:
        """The figures over the runs, and each run's own."""
        figures = {
            name: dict(zip(("mean", "least", "most"), self.over_runs(figure), strict=True))
            for name, figure in FIGURES.items()
        }
        interval = {"interval": list(self.accuracy_interval)}
        return {
            "name": self.name,
            "over_runs": {**figures, "accuracy": {**figures["accuracy"], **interval}},
            "runs": [run.to_dict() for run in self.runs],
        }


def _pooled(bins: Sequence[Bin]) -> Bin:
    """Rows of the same edges in one bin."""
    rows = sum(each.rows for each in bins)
    return replace(
        bins[0],
        rows=rows,
        confidence=sum(each.rows * each.confidence for each in bins) / rows,
        accuracy=sum(each.rows * each.accuracy for each in bins) / rows,
    )


@dataclass(frozen=True)
class Pair:
    """Two contenders on the same rows: the first's accuracy less the second's."""

    first: str
    second: str
    difference: Difference
    p_value: float  # McNemar's
    corrected: float  # for as many pairs as were looked at (Holm)


@dataclass(frozen=True)
class Comparison:
    """Contenders on the same rows of one data set.

    baselines
        By name, such as TF-IDF + logistic regression; they learned from `baseline_rows`.
    """

    data: str
    split: str
    rows: int
    left_out: int
    labels: tuple[str, ...]
    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    baselines: Mapping[str, Metrics]
    baseline_rows: int
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return {
            "data": self.data,
            "split": self.split,
            "rows": self.rows,
            "left_out": self.left_out,
            "labels": list(self.labels),
            "contenders": [one.to_dict() for one in self.contenders],
            "pairs": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "difference": pair.difference.value,
                    "interval": [pair.difference.low, pair.difference.high],
                    "p_value": pair.p_value,
                    "holm": pair.corrected,
                }
                for pair in self.pairs
            ],
            "baselines": {name: figures.to_dict() for name, figures in self.baselines.items()},
            "baseline_rows": self.baseline_rows,
            "notes": list(self.notes),
        }


def compare_runs(
    predicted: Mapping[str, Sequence[Sequence[int]]], gold: Sequence[int]
) -> list[Pair]:
    """Every two of the contenders.

    `predicted` has for each one's name the class ids of its runs on the rows, [S, N], and `gold`
    [N] the true ones. A contender may be a baseline.
    """
    right = {name: np.asarray(runs) == np.asarray(gold) for name, runs in predicted.items()}
    names = list(combinations(right, 2))
    p_values = [mcnemar(right[first], right[second]) for first, second in names]
    return [
        Pair(first, second, accuracy_difference(right[first], right[second]), p_value, corrected)
        for (first, second), p_value, corrected in zip(names, p_values, holm(p_values), strict=True)
    ]

"""Measuring: what a tuned model gets right, and whether that is more than its baselines do."""

from __future__ import annotations

from sentilora.evaluation.evaluate import Evaluation, ScoreFunction, compare
from sentilora.evaluation.metrics import ClassMetrics, Metrics
from sentilora.evaluation.selection import BaselineRows, Selection, baseline_rows, select_rows

__all__ = [
    "BaselineRows",
    "ClassMetrics",
    "Evaluation",
    "Metrics",
    "ScoreFunction",
    "Selection",
    "baseline_rows",
    "compare",
    "select_rows",
]

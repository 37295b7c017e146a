"""Comparing bases and adapters on the same rows: which runs, what they measure, what differs."""

from __future__ import annotations

from sentilora.comparison.measured import Measured, Measurer
from sentilora.comparison.measuring import measure_plan
from sentilora.comparison.plan import Plan, PlannedRun, plan_of
from sentilora.comparison.result import Comparison, Contender, compare_runs
from sentilora.comparison.spec import Spec, read_spec

__all__ = [
    "Comparison",
    "Contender",
    "Measured",
    "Measurer",
    "Plan",
    "PlannedRun",
    "Spec",
    "compare_runs",
    "measure_plan",
    "plan_of",
    "read_spec",
]

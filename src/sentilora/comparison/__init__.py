"""Comparing bases and adapters on the same rows: which runs, what they measure, what differs."""

from __future__ import annotations

from sentilora.comparison.measured import Measured, Measurer
from sentilora.comparison.measuring import measure_runs
from sentilora.comparison.plan import planned
from sentilora.comparison.result import Comparison, Contender, compare_runs
from sentilora.comparison.spec import Spec, read_spec

__all__ = [
    "Comparison",
    "Contender",
    "Measured",
    "Measurer",
    "Spec",
    "compare_runs",
    "measure_runs",
    "planned",
    "read_spec",
]

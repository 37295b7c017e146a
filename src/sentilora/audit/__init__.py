"""Auditing labels: which are likely wrong, and which texts say nearly the same."""

from __future__ import annotations

from sentilora.audit.duplicates import DuplicateGroup, check_similarity, near_duplicates
from sentilora.audit.folds import assign_folds, check_folds
from sentilora.audit.held_out import FoldTuner, held_out
from sentilora.audit.result import AuditResult, Noise, Suspect, audited
from sentilora.audit.rows import write_rows

__all__ = [
    "AuditResult",
    "DuplicateGroup",
    "FoldTuner",
    "Noise",
    "Suspect",
    "assign_folds",
    "audited",
    "check_folds",
    "check_similarity",
    "held_out",
    "near_duplicates",
    "write_rows",
]

"""The page of a study, which is kept beside its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def keep_report(study: Path, page: Callable[[], str]) -> str:
    """Write the study's page into its folder; returns what is to be said of it.

    Where the extra is missing there is none: a study of hours doesn't end in an error for that.
    """
    from sentilora.report.writing import REPORT, lacking, write_report

    if (problem := lacking()) is not None:
        return f"There is no {REPORT} beside them. {problem}"
    write_report(study / REPORT, page())
    return f"The report is {study / REPORT}."

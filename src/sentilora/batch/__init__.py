"""Predicting files of any length: read, score and write in constant memory."""

from sentilora.batch.columns import AddedColumns, added_columns
from sentilora.batch.job import JobSummary, predict_rows, run_job
from sentilora.batch.lines import LineSource, TextSource

__all__ = [
    "AddedColumns",
    "JobSummary",
    "LineSource",
    "TextSource",
    "added_columns",
    "predict_rows",
    "run_job",
]

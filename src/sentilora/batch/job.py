"""Scoring rows that don't fit in memory: a window at a time, in order, none left out.

The scorer gets as many texts at once as a window has good rows and groups them by length as it
likes; while it is at work the texts of the next window are prepared (tokenised). A bad row (no text
in it, undecodable, or one that the scorer fails on) is written with an error in place of its
prediction; it never ends the job.

Rows that come as somebody writes them are not waited for: a window ends with those that are there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sentilora.batch.columns import AddedColumns
from sentilora.data.table import Record
from sentilora.data.writing import Writer
from sentilora.errors import UserError, first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Prepare = Callable[[list[str]], list[Any]]
    Score = Callable[[list[Any]], tuple[Any, ...]]  # the fields of `Predictions`

T = TypeVar("T")
U = TypeVar("U")

_FIRST_FAILED = 5  # rows named in the summary
_MOMENT = 0.05  # seconds that a live row is waited for, before those that are there are predicted


class Predictions(NamedTuple):
    """What is said of n texts.

    labels
        [n], None where one is withheld.
    probabilities
        [n, K]
    sets
        [n] the labels that may be true, where they were asked for.
    """

    labels: Sequence[str | None]
    probabilities: NDArray
    sets: Sequence[list[str]] | None = None


@dataclass(frozen=True)
class JobSummary:
    """How a job went; `first_failed_rows` holds the number and the error of the first few.

    `withheld` counts the rows that were scored and given no label.
    """

    rows: int
    failed: int
    first_failed_rows: tuple[tuple[int, str], ...]
    withheld: int = 0


def run_job(
    source: Iterable[Record],
    sink: Writer,
    score: Score,
    *,
    text_column: str,
    added: AddedColumns,
    progress: Callable[[int], None],
    prepare: Prepare = list,
    batch_rows: int = 512,
) -> JobSummary:
    """Predict every row of `source` and write it to `sink`.

    `score` maps n texts, as `prepare` makes them of strings, to the fields of their `Predictions`,
    labels in the order of `added`. `progress` is called with the number of rows written, after
    each window, once a reader of `sink` can see them.
    """
    rows = failed = withheld = 0
    first_failed: list[tuple[int, str]] = []
    for window in _predicted(source, score, text_column, added, prepare, batch_rows):
        for row in window:
            sink.write(row)
            rows += 1
            if (error := row[added.error]) is not None:
                failed += 1
                if failed <= _FIRST_FAILED:
                    first_failed.append((rows, str(error)))
            elif row[added.predicted_label] is None:
                withheld += 1
        sink.flush()
        progress(rows)
    return JobSummary(rows, failed, tuple(first_failed), withheld)


def predict_rows(
    records: Iterable[Record],
    score: Score,
    *,
    text_column: str,
    added: AddedColumns,
    prepare: Prepare = list,
    batch_rows: int = 512,
) -> Iterator[dict[str, object]]:
    """Each record's values followed by the `added` columns, in the records' order.

    Reads ahead no more than two times `batch_rows` records. A row has either probabilities or
    an error, and no label where it has an error or its label is withheld. Records that are live
    (they say whether the next is `ready`) are predicted without waiting for a window of them.
    """
    for window in _predicted(records, score, text_column, added, prepare, batch_rows):
        yield from window


def _predicted(
    records: Iterable[Record],
    score: Score,
    text_column: str,
    added: AddedColumns,
    prepare: Prepare,
    batch_rows: int,
) -> Iterator[Iterator[dict[str, object]]]:
    """The rows of `predict_rows`, a window at a time."""

    def rows(window: _Window) -> Iterator[dict[str, object]]:
        outcomes = iter(_score(score, prepare, window.texts, window.prepared))
        for record, problem in zip(window.records, window.problems, strict=True):
            outcome = _Outcome(error=problem) if problem is not None else next(outcomes)
            probabilities = outcome.probabilities or (None,) * len(added.probabilities)
            sets = () if added.label_set is None else (outcome.label_set,)
            cells = (outcome.label, *sets, *probabilities, outcome.error)
            yield {**record.values, **dict(zip(added.names, cells, strict=True))}

    windows = _windows(records, batch_rows)
    for window in _one_ahead(lambda each: _Window.of(each, text_column, prepare), windows):
        yield rows(window)


def _windows(records: Iterable[Record], size: int) -> Iterator[list[Record] | None]:
    """Lists of so many records, the last one shorter.

    Of live records a list has those that come within the moment, and None stands before one whose
    first isn't there yet.
    """
    ready: Callable[[float], bool] = getattr(records, "ready", lambda seconds: True)
    remaining = iter(records)
    while True:
        if not ready(_MOMENT):
            yield None
        window = list(islice(remaining, 1))
        if not window:
            return
        end = time.monotonic() + _MOMENT
        while len(window) < size and ready(end - time.monotonic()):
            record = next(remaining, None)
            if record is None:
                break
            window.append(record)
        yield window


def _one_ahead(make: Callable[[T], U], items: Iterable[T | None]) -> Iterator[U]:
    """`make` of each item, in another thread while the one before it is used.

    None among the items says that the next one may be long in coming, and isn't waited for.
    The items are asked for in this thread: Ctrl-C can't end another that waits for a line.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sentilora-preparer") as maker:
        pending: Future[U] | None = None
        try:
            for item in items:
                ahead = None if item is None else maker.submit(make, item)
                if pending is not None:
                    yield pending.result()
                pending = ahead
        except UserError:  # a file that is damaged further on: what was read before isn't lost
            if pending is not None:
                yield pending.result()
            raise
        if pending is not None:
            yield pending.result()


@dataclass(frozen=True)
class _Window:
    """Records, what is wrong with each (or None), and the texts of the good ones.

    prepared
        What `prepare` made of the texts; None where it failed on one of them.
    """

    records: list[Record]
    problems: list[str | None]
    texts: list[str]
    prepared: list[Any] | None

    @classmethod
    def of(cls, records: list[Record], text_column: str, prepare: Prepare) -> _Window:
        checked = [_text_or_problem(record, text_column) for record in records]
        texts = [text for text, problem in checked if problem is None]
        try:
            prepared = prepare(texts)
        except Exception:  # whose fault it was is found, and told, when they are scored
            prepared = None
        return cls(records, [problem for _, problem in checked], texts, prepared)


def _text_or_problem(record: Record, column: str) -> tuple[str, str | None]:
    if record.error is not None:
        return "", record.error
    value = record.values.get(column)
    if value is None:
        return "", f"no text: there is nothing in '{column}'"
    if not isinstance(value, str):
        return "", f"no text: '{column}' holds a value of type {type(value).__name__}"
    if not value.strip():
        return "", "no text: it is empty"
    return value, None


@dataclass(frozen=True)
class _Outcome:
    """Of one text: its label, set of labels and probabilities, or the error."""

    label: str | None = None
    label_set: list[str] | None = None
    probabilities: tuple[float, ...] = ()
    error: str | None = None


def _score(
    score: Score, prepare: Prepare, texts: list[str], prepared: list[Any] | None
) -> list[_Outcome]:
    """One outcome a text. Where one can't be scored, halves are tried until it is alone."""
    if not texts:
        return []
    try:
        found = Predictions(*score(prepare(texts) if prepared is None else prepared))
    except Exception as error:  # whatever one row brings about must not cost the others
        if len(texts) == 1:
            reason = f"{type(error).__name__}: {first_line(error)}"
            return [_Outcome(error=f"scoring failed: {reason}")]
        middle = len(texts) // 2
        first, second = (None, None) if prepared is None else (prepared[:middle], prepared[middle:])
        return _score(score, prepare, texts[:middle], first) + _score(
            score, prepare, texts[middle:], second
        )
    sets = [None] * len(texts) if found.sets is None else found.sets
    outcomes = zip(texts, found.labels, sets, found.probabilities.tolist(), strict=True)
    return [_outcome(label, held, tuple(row)) for _, label, held, row in outcomes]


def _outcome(
    label: str | None, label_set: list[str] | None, probabilities: tuple[float, ...]
) -> _Outcome:
    if not all(map(math.isfinite, probabilities)):
        return _Outcome(error="scoring failed: the model gave no finite probability")
    return _Outcome(label, label_set, probabilities)

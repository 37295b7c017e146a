"""A job keeps every row, in order, whatever the rows and the scorer do."""

from __future__ import annotations

import io
import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sentilora.batch import LineSource, added_columns, predict_rows, run_job
from sentilora.data.files import Record, open_table
from sentilora.data.writing import Row, Writer, open_writer
from sentilora.errors import UserError

LABELS = ("negative", "positive")
ADDED = added_columns(LABELS, ["text"])


def score(texts: list[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Stands in for a model: the probability is a function of the text alone."""
    positive = np.array([len(text) % 10 / 10 for text in texts])
    return [LABELS[int(p > 0.5)] for p in positive], np.stack([1 - positive, positive], axis=1)


def choosy(texts: list[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Fails on the whole batch if one text is poison."""
    if any("poison" in text for text in texts):
        raise RuntimeError("cannot take it\nat all")
    return score(texts)


def reference(record: Record) -> Row:
    """One row at a time, spelled out."""
    text = record.values.get("text")
    if record.error or not isinstance(text, str) or not text.strip() or "poison" in text:
        return {"predicted_label": None, "p_negative": None, "p_positive": None}
    labels, ((negative, positive),) = score([text])
    return {"predicted_label": labels[0], "p_negative": negative, "p_positive": positive}


class Collected(Writer):
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def write(self, row: Row) -> None:
        self.rows.append(row)

    def finish(self) -> None:
        raise AssertionError("the job does not close what it did not open")


VALUE = st.sampled_from(["fine", "so so", "poison", "", "  ", None, 3, ["x"]]) | st.text()


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.tuples(VALUE, st.booleans()), max_size=30), batch_rows=st.integers(1, 12))
def test_every_row_comes_out_in_order(values: list[tuple[object, bool]], batch_rows: int) -> None:
    records = [
        Record(number, {"id": number, "text": value}, "torn" if torn else None)
        for number, (value, torn) in enumerate(values, start=1)
    ]
    rows = list(
        predict_rows(records, choosy, text_column="text", added=ADDED, batch_rows=batch_rows)
    )
    assert [row["id"] for row in rows] == [record.number for record in records]
    for row, record in zip(rows, records, strict=True):
        error = row.pop("error")
        assert row == {**record.values, **reference(record)}
        assert (error is None) == (row["predicted_label"] is not None)


def test_errors_say_what_is_wrong() -> None:
    records = [
        Record(1, {"text": "ok"}),
        Record(2, {}),
        Record(3, {"text": 3.5}),
        Record(4, {"text": " \n"}),
        Record(5, {"text": "x"}, "3 cells where the header has 1"),
        Record(6, {"text": "poison"}),
    ]
    rows = predict_rows(records, choosy, text_column="text", added=ADDED)
    assert [row["error"] for row in rows] == [
        None,
        "no text: there is nothing in 'text'",
        "no text: 'text' holds a value of type float",
        "no text: it is empty",
        "3 cells where the header has 1",
        "scoring failed: RuntimeError: cannot take it",
    ]


def test_withheld_labels_and_sets_stay_with_their_rows() -> None:
    """Also where a text that can't be scored parts a batch; its row is no withheld one."""

    def unsure(texts: list[str]) -> tuple[list[str | None], NDArray[np.float64], list[list[str]]]:
        labels, probabilities = choosy(texts)
        sets = [[LABELS[0]] if "a" in text else list(LABELS) for text in texts]
        kept = [label if len(of) == 1 else None for label, of in zip(labels, sets, strict=True)]
        return kept, probabilities, sets

    texts = ["alpha", "so so", "poison", "", "beta", "no"]
    records = [Record(number, {"text": text}) for number, text in enumerate(texts, start=1)]
    added = added_columns(LABELS, ["text"], sets=True)
    sink = Collected()
    summary = run_job(
        records, sink, unsure, text_column="text", added=added, progress=lambda rows: None
    )
    assert (summary.rows, summary.failed, summary.withheld) == (6, 2, 2)
    assert [row["label_set"] for row in sink.rows] == [
        ["negative"],
        ["negative", "positive"],
        None,
        None,
        ["negative"],
        ["negative", "positive"],
    ]
    withheld = [row["predicted_label"] is None for row in sink.rows]
    assert withheld == [False, True, True, True, False, True]
    assert list(sink.rows[0]) == ["text", *added.names]


def test_texts_are_prepared_while_others_are_scored() -> None:
    """And those that can't be cost nobody else anything."""
    threads = {"prepare": set[int](), "score": set[int]()}

    def prepare(texts: list[str]) -> list[bytes]:
        threads["prepare"].add(threading.get_ident())
        return [text.encode("ascii") for text in texts]

    def scored(prepared: list[bytes]) -> tuple[list[str], NDArray[np.float64]]:
        threads["score"].add(threading.get_ident())
        return score([each.decode() for each in prepared])

    records = [Record(n, {"text": "ä" if n == 5 else "so good" * n}) for n in range(1, 30)]
    rows = list(
        predict_rows(
            records, scored, text_column="text", added=ADDED, prepare=prepare, batch_rows=8
        )
    )
    for row, record in zip(rows, records, strict=True):
        if record.number == 5:
            assert str(row["error"]).startswith("scoring failed: UnicodeEncodeError")
        else:
            assert {**row} == {**record.values, **reference(record), "error": None}
    assert threads["score"] == {threading.get_ident()}
    assert threads["prepare"] - threads["score"]


def test_a_culprit_is_found_in_few_calls() -> None:
    calls = 0

    def counting(texts: list[str]) -> tuple[list[str], NDArray[np.float64]]:
        nonlocal calls
        calls += 1
        return choosy(texts)

    records = [Record(n, {"text": "poison" if n == 300 else "fine"}) for n in range(1, 513)]
    rows = list(predict_rows(records, counting, text_column="text", added=ADDED))
    assert [n for n, row in enumerate(rows, start=1) if row["error"]] == [300]
    assert calls <= 19  # 1 + 2 log2(512)


def test_a_probability_that_is_no_number_is_an_error() -> None:
    def broken(texts: list[str]) -> tuple[list[str], NDArray[np.float64]]:
        labels, probabilities = score(texts)
        probabilities[1] = np.nan
        return labels, probabilities

    records = [Record(n, {"text": "fine"}) for n in (1, 2, 3)]
    rows = list(predict_rows(records, broken, text_column="text", added=ADDED))
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert rows[1]["p_positive"] is None


def test_interruption_is_not_taken_for_a_bad_row() -> None:
    def interrupted(texts: list[str]) -> tuple[list[str], NDArray[np.float64]]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predict_rows([Record(1, {"text": "a"})], interrupted, text_column="text", added=ADDED))


def test_a_scorer_that_loses_rows_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(
            predict_rows(
                [Record(n, {"text": "a"}) for n in (1, 2)],
                lambda texts: score(texts[:1]),
                text_column="text",
                added=ADDED,
            )
        )


def test_reads_no_further_ahead_than_a_window_more() -> None:
    taken = 0

    def records() -> Iterator[Record]:
        nonlocal taken
        for taken in range(1, 1000):
            yield Record(taken, {"text": "fine"})

    next(predict_rows(records(), score, text_column="text", added=ADDED, batch_rows=16))
    assert taken in range(16, 33)


def test_summary_and_progress() -> None:
    values = ["fine", None] * 10
    sink = Collected()
    seen: list[int] = []
    summary = run_job(
        (Record(n, {"text": value}) for n, value in enumerate(values, start=1)),
        sink,
        score,
        text_column="text",
        added=ADDED,
        progress=seen.append,
        batch_rows=8,
    )
    assert (summary.rows, summary.failed) == (20, 10)
    assert [number for number, _ in summary.first_failed_rows] == [2, 4, 6, 8, 10]
    assert "nothing" in summary.first_failed_rows[0][1]
    assert seen == [8, 16, 20]
    assert len(sink.rows) == 20


def test_no_rows() -> None:
    summary = run_job(
        [], Collected(), score, text_column="text", added=ADDED, progress=lambda rows: None
    )
    assert (summary.rows, summary.failed, summary.first_failed_rows) == (0, 0, ())


@pytest.mark.parametrize(
    ("suffix", "rows"),
    [
        ("jsonl", 30_000),
        ("csv", 30_000),
        ("parquet", 30_000),
        pytest.param("jsonl", 200_000, marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, suffix: str, rows: int) -> None:
    def peak(rows: int) -> int:
        source = LineSource(io.BytesIO(b""))
        records = (Record(n, {"text": f"{n} of many"}) for n in range(1, rows + 1))
        tracemalloc.start()
        with open_writer(
            tmp_path / f"a.{suffix}",
            (*source.columns, *ADDED.names),
            schema=lambda: ADDED.extend(source.arrow_schema()),
        ) as sink:
            summary = run_job(
                records, sink, score, text_column="text", added=ADDED, progress=lambda done: None
            )
        assert summary.rows == rows
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1_000)  # imports and caches
    assert peak(rows) < 1.2 * peak(rows // 5) + 100_000


def test_added_columns() -> None:
    assert ADDED.names == ("predicted_label", "p_negative", "p_positive", "error")
    with pytest.raises(UserError, match=r"'p_positive', 'error'.*--prefix sentilora_ "):
        added_columns(LABELS, ["text", "error", "p_positive"])
    taken = ["text", "error", "sentilora_error"]
    with pytest.raises(UserError, match="--prefix sentilora__ "):
        added_columns(LABELS, taken)
    assert added_columns(LABELS, taken, "sentilora__").error == "sentilora__error"


def test_lines() -> None:
    lines = b"\xef\xbb\xbffirst\n\nthird\r\ncaf\xe9\n \xe2\x80\xa8x \nlast"
    records = list(LineSource(io.BytesIO(lines)))
    assert [record.number for record in records] == [1, 2, 3, 4, 5, 6]
    texts = [record.values["text"] for record in records]
    assert texts == ["first", "", "third", "caf\ufffd", " \u2028x ", "last"]
    assert [record.number for record in records if record.error] == [4]
    rows = list(predict_rows(records, score, text_column="text", added=ADDED))
    assert [n for n, row in enumerate(rows, start=1) if row["error"]] == [2, 4]


@pytest.mark.parametrize("target", ["jsonl", "csv", "parquet", "jsonl.gz"])
@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_from_file_to_file(tmp_path: Path, source: str, target: str) -> None:
    content: list[Row] = [{"id": f"{n:03}", "text": "x" * (n % 20)} for n in range(1, 1201)]
    columns = ("id", "text")
    path = tmp_path / f"in.{source}"
    lines = LineSource(io.BytesIO(b""))
    schema = lines.arrow_schema().insert(0, lines.arrow_schema().field(0).with_name("id"))
    with open_writer(path, columns, schema=lambda: schema) as writer:
        for row in content:
            writer.write(row)

    table = open_table(path)
    added = added_columns(LABELS, table.columns)
    with open_writer(
        tmp_path / f"out.{target}",
        (*table.columns, *added.names),
        schema=lambda: added.extend(table.arrow_schema()),
        sources=[table.path],
    ) as sink:
        summary = run_job(
            table, sink, score, text_column="text", added=added, progress=lambda rows: None
        )
    assert (summary.rows, summary.failed) == (1200, 60)
    out = open_table(tmp_path / f"out.{target}")
    assert out.columns == (*columns, *added.names)
    for before, record in zip(content, out, strict=True):
        after = record.values
        assert (after["id"], after["text"]) == (before["id"], before["text"])
        wanted = reference(Record(1, before))
        for name, value in wanted.items():
            got = after[name]
            if target == "csv":
                assert got == ("" if value is None else str(value))
            else:
                assert got == value
    if target == "parquet":
        types = [str(kind) for kind in pq.read_schema(tmp_path / "out.parquet").types]
        assert types == ["string", "string", "string", "double", "double", "string"]


def test_bad_lines_of_json_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "fine"}\n{"text": 1}\nnot json\n{"other": 2}\n{"text": "good"}\n')
    table = open_table(path)
    added = added_columns(LABELS, table.columns)
    with open_writer(
        tmp_path / "out.jsonl", (), schema=lambda: added.extend(table.arrow_schema())
    ) as sink:
        summary = run_job(
            table, sink, score, text_column="text", added=added, progress=lambda rows: None
        )
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert summary.failed == 3
    assert [row["error"] is None for row in rows] == [True, False, False, False, True]
    assert rows[3]["other"] == 2

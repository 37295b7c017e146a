"""`sentilora predict`: from arguments, lines and files, to lines and files."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from command import CACHE, Process, environment, on_terminal, run, start
from samples import reviews

FP32 = ("--dtype", "float32")
ADDED = ["predicted_label", "p_negative", "p_positive", "error"]
TEXTS = [text for text, _ in reviews(7, seed=2)]


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def expected(adapter: Path) -> list[dict[str, Any]]:
    """What the Python interface says of TEXTS."""
    import sentilora

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTILORA_CACHE", str(CACHE))
        classifier = sentilora.load(adapter, dtype="float32")
    shares = classifier.predict_proba(TEXTS)
    return [
        {
            "predicted_label": str(label),
            "p_negative": pytest.approx(float(row[0]), abs=1e-6),
            "p_positive": pytest.approx(float(row[1]), abs=1e-6),
            "error": None,
        }
        for label, row in zip(classifier.predict(TEXTS), shares, strict=True)
    ]


# Texts.


def test_texts_as_arguments(adapter: Path, expected: list[dict[str, Any]]) -> None:
    outcome = run("predict", adapter, *TEXTS, *FP32)
    assert outcome.code == 0
    assert outcome.err == ""
    wanted = [{"text": text, **rest} for text, rest in zip(TEXTS, expected, strict=True)]
    assert lines(outcome.out) == wanted
    assert list(lines(outcome.out)[0]) == ["text", *ADDED]


def test_texts_that_are_cut_are_counted(adapter: Path) -> None:
    """Once, and not those that no label could be had for."""
    stdin = "\n".join(["fine", "a long film " * 100, "", "a longer film " * 100]).encode()
    outcome = run("predict", adapter, "-", *FP32, stdin=stdin)
    assert outcome.code == 1
    said = "2 of 3 texts are too long for a prompt of 128 tokens: both ends of each were read"
    assert outcome.err.count(said) == 1
    assert "too long" not in run("predict", adapter, "fine", *FP32).err


def test_a_merged_adapter_says_the_same(adapter: Path, expected: list[dict[str, Any]]) -> None:
    outcome = run("predict", adapter, *TEXTS, *FP32, "--merge")
    assert outcome.code == 0
    for line, wanted in zip(lines(outcome.out), expected, strict=True):
        assert line["predicted_label"] == wanted["predicted_label"]
        assert line["p_positive"] == pytest.approx(wanted["p_positive"].expected, abs=1e-4)


def test_standard_input_line_by_line(adapter: Path, expected: list[dict[str, Any]]) -> None:
    stdin = "\r\n".join(TEXTS).encode()  # without an end behind the last line
    outcome = run("predict", adapter, "-", *FP32, stdin=stdin)
    assert outcome.code == 0
    assert outcome.err == ""
    assert [line["text"] for line in lines(outcome.out)] == TEXTS
    assert [{name: line[name] for name in ADDED} for line in lines(outcome.out)] == expected


def test_json_lines_on_standard_input(adapter: Path, expected: list[dict[str, Any]]) -> None:
    """Without an argument, too; they are no texts themselves."""
    stdin = "".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(TEXTS))
    outcome = run("predict", adapter, *FP32, stdin=stdin.encode())
    assert outcome.code == 0, outcome.err
    assert [line["text"] for line in lines(outcome.out)] == TEXTS
    assert [line["id"] for line in lines(outcome.out)] == list(range(7))
    assert [{name: line[name] for name in ADDED} for line in lines(outcome.out)] == expected


def test_bad_lines_do_not_end_the_job(adapter: Path) -> None:
    outcome = run("predict", adapter, "-", *FP32, stdin=b"fine\n\n\xff\xfe\nbad\n")
    assert outcome.code == 1
    rows = lines(outcome.out)
    assert [row["error"] is None for row in rows] == [True, False, False, True]
    for row in rows[1:3]:
        assert row["predicted_label"] is row["p_negative"] is row["p_positive"] is None
    assert "2 of 4 rows could not be labelled" in outcome.err
    assert "row 2: no text" in outcome.err
    assert "row 3: undecodable" in outcome.err


def test_no_lines_give_no_lines(adapter: Path) -> None:
    outcome = run("predict", adapter, "-", *FP32)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize(
    "text", ["see notes/plot.txt", "and/or", "a film.csv would hate", "--- dull ---", "\u2603"]
)
def test_a_text_that_looks_a_little_like_a_path_is_a_text(adapter: Path, text: str) -> None:
    outcome = run("predict", adapter, *FP32, "--", text)
    assert outcome.code == 0
    assert [line["text"] for line in lines(outcome.out)] == [text]


def test_a_file_among_texts_is_refused(adapter: Path, data: Path) -> None:
    assert "reviews.csv" in run("predict", adapter, "reviews.csv", "a film").error
    assert "'gone.csv'" in run("predict", adapter, "gone.csv").error
    assert "'-' stands among 2" in run("predict", adapter, "-", "a film").error


# Files.


def write(path: Path, table: pa.Table) -> None:
    """A table in the format of the suffix, by other means than the product's."""
    plain = path.name.removesuffix(".gz")
    if plain.endswith(".parquet"):
        pyarrow.parquet.write_table(table, path)
        return
    if plain.endswith(".jsonl"):
        text = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    else:
        delimiter = "\t" if plain.endswith(".tsv") else ","
        rows = [table.column_names, *(row.values() for row in table.to_pylist())]
        text = "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, each value a string or None."""
    plain = path.name.removesuffix(".gz")
    if plain.endswith(".parquet"):
        rows = pyarrow.parquet.read_table(path).to_pylist()
    else:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        if plain.endswith(".jsonl"):
            rows = lines(text)
        else:
            delimiter = "\t" if plain.endswith(".tsv") else ","
            rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    return [{name: None if v in (None, "") else str(v) for name, v in row.items()} for row in rows]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("in.csv", "out.parquet"),
        ("in.tsv", "out.csv.gz"),
        ("in.jsonl", "out.tsv"),
        ("in.parquet", "out.csv"),
        ("in.csv.gz", "out.jsonl"),
        ("in.jsonl.gz", "out.jsonl.gz"),
        ("in.parquet", "out.parquet"),
        ("in.csv", "out.csv"),
    ],
)
def test_files_keep_their_columns_and_order(
    source: str, target: str, adapter: Path, expected: list[dict[str, Any]], here: Path
) -> None:
    count = len(TEXTS)
    columns = {"id": [f"00{n}" for n in range(count)], "text": TEXTS, "stars": ["4.50"] * count}
    write(here / source, pa.table(columns))
    outcome = run("predict", adapter, source, "-o", target, *FP32)
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    assert outcome.err == f"7 rows written to {target}.\n"
    assert sorted(path.name for path in here.iterdir()) == sorted([source, target])
    rows = read(here / target)
    assert list(rows[0]) == [*columns, *ADDED]
    for n, (row, wanted) in enumerate(zip(rows, expected, strict=True)):
        assert [row[name] for name in columns] == [columns[name][n] for name in columns]
        assert row["predicted_label"] == wanted["predicted_label"]
        assert float(row["p_negative"]) == wanted["p_negative"]
        assert row["error"] is None


def test_a_file_goes_to_standard_output_as_json_lines(
    adapter: Path, data: Path, here: Path
) -> None:
    outcome = run("predict", adapter, data, *FP32)
    assert outcome.code == 0
    assert outcome.err == ""
    assert [row["text"] for row in lines(outcome.out)] == [text for text, _ in reviews(60)]
    assert list(lines(outcome.out)[0]) == ["text", "label", *ADDED]


def test_bad_rows_of_a_file_have_an_error(adapter: Path, here: Path) -> None:
    (here / "in.csv").write_bytes(b"id,text\n1,fine\n2,\n3,a,b,c\n4,bad\n")
    outcome = run("predict", adapter, "in.csv", "-o", "out.csv", *FP32)
    assert outcome.code == 1
    assert [row["error"] is None for row in read(here / "out.csv")] == [True, False, False, True]
    assert "2 of 4 rows could not be labelled" in outcome.err


def test_a_clash_of_columns_names_the_way_out(adapter: Path, here: Path) -> None:
    (here / "in.csv").write_text("text,error,p_positive\nfine,x,y\n")
    message = run("predict", adapter, "in.csv", "-o", "out.csv").error
    assert "'p_positive', 'error'" in message
    assert "--prefix" in message
    assert not Path("out.csv").exists()
    again = run("predict", adapter, "in.csv", "-o", "out.csv", "--prefix", "new_", *FP32)
    assert again.code == 0
    [row] = read(here / "out.csv")
    assert (row["error"], row["p_positive"]) == ("x", "y")
    assert list(row)[3:] == [f"new_{name}" for name in ADDED]


def test_formulas_are_neutralised_when_asked(adapter: Path, here: Path) -> None:
    formula = '=HYPERLINK("http://x")'
    rows = [{"text": "fine", "note": formula}]
    (here / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("predict", adapter, "in.jsonl", "-o", "plain.csv", *FP32).code == 0
    assert read(here / "plain.csv")[0]["note"] == formula
    asked = run("predict", adapter, "in.jsonl", "-o", "safe.csv", "--spreadsheet-safe", *FP32)
    assert asked.code == 0
    safe = read(here / "safe.csv")[0]["note"]
    assert safe != formula
    assert safe[0] not in "=+-@\t\r"
    assert formula in safe


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("reviews.csv", "is the file being read"),
        ("out.txt", "which format"),
        ("gone/out.csv", "no folder"),
        ("folder.csv", "is a folder"),
        ("out.parquet.gz", ".gz"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_refused_at_once(
    target: str, problem: str, adapter: Path, data: Path, here: Path
) -> None:
    before = data.read_bytes()
    (here / "folder.csv").mkdir()
    assert problem in run("predict", adapter, data, "-o", target).error
    assert sorted(path.name for path in here.iterdir()) == ["folder.csv", "reviews.csv"]
    assert data.read_bytes() == before


def test_a_missing_text_column_lists_those_that_there_are(adapter: Path, here: Path) -> None:
    (here / "in.csv").write_text("a,b\n1,2\n")
    message = run("predict", adapter, "in.csv").error
    assert "'a', 'b'" in message
    assert "--text-column" in message
    assert run("predict", adapter, "in.csv", "--text-column", "b", *FP32).code == 0


# Processes of their own.


def test_a_job_that_is_interrupted_leaves_no_half_a_file(adapter: Path, here: Path) -> None:
    (here / "out.jsonl").write_text("of an earlier job\n")
    code = f"""
import os, signal, sys
from sentilora.cli import main
from sentilora.batch import job
score, windows = job._score, []
def interrupted(*arguments):
    windows.append(arguments)
    if len(windows) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    return score(*arguments)
job._score = interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["sentilora", "predict", {str(adapter)!r}, "in.jsonl", "-o", "out.jsonl", *{FP32!r}]
main()
"""
    rows = [json.dumps({"text": text}) + "\n" for text, _ in reviews(1100)]
    (here / "in.jsonl").write_text("".join(rows))
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr == "Interrupted.\n"
    assert sorted(path.name for path in here.iterdir()) == ["in.jsonl", "out.jsonl"]
    assert (here / "out.jsonl").read_text() == "of an earlier job\n"


@pytest.mark.parametrize(("typed", "where"), [(b"", "__init__"), (b"fine\n", "__iter__")])
def test_ctrl_c_ends_it_while_it_waits_for_a_line(adapter: Path, typed: bytes, where: str) -> None:
    """The first or a further one."""
    code = f"""
import signal, sys
from sentilora import batch
from sentilora.cli import main
class Lines(batch.LineSource):
    def {where}(self, *stream):
        print("waiting", file=sys.stderr, flush=True)
        return super().{where}(*stream)
batch.LineSource = Lines
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["sentilora", "predict", {str(adapter)!r}, "-", *{FP32!r}]
main()
"""
    reader, writer = os.pipe()  # nothing more is written, and it isn't closed, as by one who thinks
    os.write(writer, typed)
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        stdin=reader,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        outcome = Process(child).signal_after("waiting", signal.SIGINT)
    finally:
        child.kill()
        os.close(reader)
        os.close(writer)
    assert outcome.code == 130, outcome.err
    assert outcome.err == "waiting\nInterrupted.\n"


def test_a_reader_that_goes_away_is_no_failure_to_report(adapter: Path) -> None:
    process = start("predict", adapter, "-", *FP32)
    assert process.child.stdin is not None
    assert process.child.stdout is not None
    assert process.child.stderr is not None
    # More than the pipe between them takes, so that the writer notices.
    process.child.stdin.write(b"a fine film\n" * 3000)
    process.child.stdin.close()
    first = process.child.stdout.readline()
    process.child.stdout.close()
    assert json.loads(first)["text"] == "a fine film"
    assert process.child.stderr.read() == b""
    process.child.stderr.close()
    assert process.child.wait(timeout=60) == 141


def test_on_a_terminal_texts_are_shown_as_a_table(adapter: Path) -> None:
    code, sent = on_terminal("predict", adapter, "a [bold]fine[/] film", *TEXTS[:1], *FP32)
    assert code == 0
    shown = sent.replace("\r", "").splitlines()
    assert shown[0].split() == ["text", "label", "negative", "positive"]
    assert "a [bold]fine[/] film" in shown[1]
    assert "{" not in sent
    assert len(shown) == 3
    assert all(len(line) <= 80 and line.count(" %") == 2 for line in shown[1:])


def test_on_a_terminal_a_file_shows_its_progress(adapter: Path, data: Path) -> None:
    code, sent = on_terminal("predict", adapter, data, "-o", "out.csv", *FP32)
    assert code == 0
    assert "predicting" in sent
    assert "60 rows" in sent
    assert "60 rows written to out.csv." in sent

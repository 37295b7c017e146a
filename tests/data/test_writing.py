"""What is written is read back cell for cell, and a file is there whole or not at all."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import json
import math
import os
import resource
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentilora.data.files import open_table
from sentilora.data.writing import Row, open_writer
from sentilora.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FORMATS = ["jsonl", "json", "csv", "tsv", "parquet", "jsonl.gz", "csv.gz"]


def strings(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([(column, pa.string()) for column in columns])


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Row], formulas: bool = True
) -> None:
    with open_writer(path, columns, schema=lambda: strings(columns), formulas=formulas) as writer:
        for row in rows:
            writer.write(row)


def read_rows(path: Path) -> list[Row]:
    records = list(open_table(path))
    assert [record.error for record in records] == [None] * len(records)
    return [record.values for record in records]


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_round_trip_of_strings(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("round") / f"a.{suffix}"
    dicts: list[Row] = [{"text": a, "label": b} for a, b in rows]
    write_rows(path, ["text", "label"], dicts)
    assert read_rows(path) == dicts
    assert list(path.parent.iterdir()) == [path]


@settings(max_examples=40, deadline=None)
@given(cells=st.lists(TEXT, max_size=6))
def test_round_trip_of_one_csv_column(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    path = tmp_path_factory.mktemp("round") / "a.csv"
    write_rows(path, ["text"], [{"text": cell} for cell in cells])
    assert [row["text"] for row in read_rows(path)] == cells


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.dictionaries(TEXT, JSON, min_size=1, max_size=3), min_size=1, max_size=5))
def test_round_trip_of_json(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("round") / "a.jsonl"
    write_rows(path, [], rows)
    assert read_rows(path) == rows
    assert path.read_bytes().count(b"\n") == len(rows)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "text": TEXT | st.none(),
                "n": st.integers(-(2**63), 2**63 - 1) | st.none(),
                "x": FINITE | st.none(),
                "b": st.booleans() | st.none(),
            }
        ),
        min_size=1,
        max_size=6,
    )
)
def test_json_to_parquet_and_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    write_rows(folder / "a.jsonl", [], rows)
    copy(folder / "a.jsonl", folder / "a.parquet")
    assert read_rows(folder / "a.parquet") == rows


def test_numbers_that_are_not_finite_are_text_in_json(tmp_path: Path) -> None:
    table = pa.table({"x": [math.nan, 1.5], "more": [[{"y": [math.inf]}], []], "ß": ["é", "è"]})
    pq.write_table(table, tmp_path / "a.parquet")
    copy(tmp_path / "a.parquet", tmp_path / "a.jsonl")
    first, second = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert first == '{"x": "nan", "more": [{"y": ["inf"]}], "ß": "é"}'
    assert second == '{"x": 1.5, "more": [], "ß": "è"}'


def copy(source: Path, target: Path) -> None:
    table = open_table(source)
    with open_writer(
        target, table.columns, schema=table.arrow_schema, sources=[table.path], form=table.form
    ) as writer:
        for record in table:
            writer.write(record.values)


def test_parquet_keeps_the_inputs_schema(tmp_path: Path) -> None:
    moment = datetime.datetime(2024, 5, 17, 12, 30, 1, 5)
    table = pa.table(
        {
            "text": pa.array(["a", None, "c"], pa.large_string()),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
            "price": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("-3.00")]),
            "at": pa.array([moment, None, moment], pa.timestamp("us", tz="Europe/Berlin")),
            "ns": pa.array([1, None, 1_700_000_000_123_456_789], pa.timestamp("ns")),
            "small": pa.array([1, 2, None], pa.int8()),
            "half": pa.array([0.5, None, 1.5], pa.float32()),
            "raw": pa.array([b"\xff", b"", None]),
            "tags": pa.array([["a"], [], None]),
            "where": pa.array([{"x": 1, "y": "n"}, None, {"x": None, "y": "s"}]),
            "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int32())),
            "nothing": pa.nulls(3),
        }
    ).replace_schema_metadata({b"pandas": b"{}"})
    pq.write_table(table, tmp_path / "a.parquet")
    copy(tmp_path / "a.parquet", tmp_path / "b.parquet")
    again = pq.read_table(tmp_path / "b.parquet")
    assert again.schema.equals(pq.read_schema(tmp_path / "a.parquet"), check_metadata=True)
    assert again.equals(pq.read_table(tmp_path / "a.parquet"))

    copy(tmp_path / "a.parquet", tmp_path / "c.jsonl")
    first = json.loads((tmp_path / "c.jsonl").read_text().splitlines()[0])
    assert first["price"] == "1.10"
    assert first["raw"] == "/w=="
    assert datetime.datetime.fromisoformat(first["at"]).utcoffset() is not None
    copy(tmp_path / "a.parquet", tmp_path / "c.csv")
    assert [row["text"] for row in read_rows(tmp_path / "c.csv")] == ["a", "", "c"]


def test_parquet_of_more_rows_than_a_group(tmp_path: Path) -> None:
    rows: list[Row] = [{"text": str(number)} for number in range(10_000)]
    write_rows(tmp_path / "a.parquet", ["text"], rows)
    assert read_rows(tmp_path / "a.parquet") == rows
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups > 1


def test_json_columns_of_mixed_types_become_text(tmp_path: Path) -> None:
    lines = [{"text": "a", "x": 1}, {"text": "\ud800", "x": "1"}, {"text": "c", "x": {"é": [None]}}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for suffix in ("parquet", "csv"):
        copy(tmp_path / "a.jsonl", tmp_path / f"b.{suffix}")
        rows = read_rows(tmp_path / f"b.{suffix}")
        assert [row["x"] for row in rows] == ["1", "1", '{"é": [null]}']
        assert rows[1]["text"] == "\ufffd"
    copy(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert read_rows(tmp_path / "b.jsonl") == lines


DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz"])
def test_spreadsheet_safe(tmp_path: Path, suffix: str) -> None:
    harmless: list[object] = ["a=1", "", "'=1", " =1", "1"]
    rows: list[Row] = [{"=text": cell, "p": -0.5} for cell in [*DANGEROUS, *harmless]]
    write_rows(tmp_path / f"a.{suffix}", ["=text", "p"], rows, formulas=False)
    cells = [list(row.values()) for row in read_rows(tmp_path / f"a.{suffix}")]
    expected = ["'" + cell for cell in DANGEROUS] + harmless
    assert cells == [[cell, "-0.5"] for cell in expected]
    assert open_table(tmp_path / f"a.{suffix}").columns == ("'=text", "p")

    write_rows(tmp_path / f"b.{suffix}", ["=text", "p"], rows)
    assert [row["=text"] for row in read_rows(tmp_path / f"b.{suffix}")] == [*DANGEROUS, *harmless]


def test_spreadsheet_safety_is_for_spreadsheets(tmp_path: Path) -> None:
    for suffix in ("jsonl", "parquet"):
        write_rows(tmp_path / f"a.{suffix}", ["text"], [{"text": "=1"}], formulas=False)
        assert read_rows(tmp_path / f"a.{suffix}") == [{"text": "=1"}]


def test_csv_is_what_other_readers_take(tmp_path: Path) -> None:
    cells = ["a,b", 'c "d"', "e\r\nf", "g\rh", "i\nj", " k ", ""]
    write_rows(tmp_path / "a.csv", ["text", "n"], [{"text": c, "n": 1} for c in cells])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [[cell, "1"] for cell in cells]
    assert (tmp_path / "a.csv").read_bytes().startswith(b"text,n\n")


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter", "opening"),
    [
        ("in.csv", "utf-8-sig", ";", b"\xef\xbb\xbftext;n\n"),
        ("in.csv", "cp1252", ";", b"\xef\xbb\xbftext;n\n"),
        ("in.csv", "utf-8", "|", b"text|n\n"),
        ("in.csv", "utf-8", ",", b"text,n\n"),
        ("in.tsv", "utf-8", "\t", b"text,n\n"),
    ],
)
def test_csv_opens_where_the_csv_it_is_from_does(
    tmp_path: Path, name: str, encoding: str, delimiter: str, opening: bytes
) -> None:
    lines = ["text|n", "é, è|1", "ü|2"]
    content = "\n".join(line.replace("|", delimiter) for line in lines) + "\n"
    if delimiter == ",":
        content = content.replace("é, è", '"é, è"')
    (tmp_path / name).write_bytes(content.encode(encoding))
    copy(tmp_path / name, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().startswith(opening)
    assert read_rows(tmp_path / "out.csv") == [{"text": "é, è", "n": "1"}, {"text": "ü", "n": "2"}]
    copy(tmp_path / name, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_bytes().startswith(b"text\tn\n")


def test_one_column_is_written_with_commas(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na; b\n")
    assert open_table(tmp_path / "in.csv").form.delimiter == ","


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_job_leaves_what_was_there(
    tmp_path: Path, suffix: str, error: type[BaseException]
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"earlier")

    def rows() -> Iterator[Row]:
        yield from ({"text": str(number)} for number in range(5000))
        raise error

    with pytest.raises(error):
        write_rows(path, ["text"], rows())
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows: list[Row] = [{"text": os.urandom(50).hex()} for _ in range(9000)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # as a full disk: OSError
    try:
        with pytest.raises(UserError, match="can't be written to"):
            write_rows(tmp_path / f"a.{suffix}", ["text"], rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_the_input_is_not_written_over(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("text\nfine\n")
    (tmp_path / "link.csv").symlink_to(source)
    (tmp_path / "hard.csv").hardlink_to(source)
    for name in ("a.csv", "link.csv", "hard.csv"):
        with pytest.raises(UserError, match="being read"):
            copy(source, tmp_path / name)
    assert source.read_text() == "text\nfine\n"


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("earlier")
    (tmp_path / "real.csv").chmod(0o640)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_rows(tmp_path / "link.csv", ["text"], [{"text": "new"}])
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "text\nnew\n"
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet.gz", "no/such/folder/a.csv", "folder.csv"])
def test_targets_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError):
        write_rows(tmp_path / name, ["text"], [])
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_standard_output_is_json_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with open_writer(None, ["text"], schema=lambda: strings(["text"])) as writer:
        writer.write({"text": "é\n😀", "p": 0.25})
    assert capfdbinary.readouterr().out == '{"text": "é\\n😀", "p": 0.25}\n'.encode()


def test_gzip_is_reproducible(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        write_rows(tmp_path / name, ["text"], [{"text": "same"}])
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == b"text\nsame\n"

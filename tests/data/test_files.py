"""Files as people have them: read whole, in order, cell for cell, or refused with a reason."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentilora.data import json_array
from sentilora.data.files import Record, Table, find_label_column, find_text_column, open_table
from sentilora.errors import UserError

Write = Callable[[str, bytes], Path]

TEXTS = [
    "a fine film",
    'she said "no", twice',
    "line one\nline two",
    "NA",
    "None",
    "null",
    "nan",
    "",
]
ROWS = [[text, str(number % 2)] for number, text in enumerate(TEXTS)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write_file


def csv_bytes(rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=delimiter).writerows([["text", "label"], *rows])
    return target.getvalue().encode(encoding)


def cells(table: Table) -> list[list[object]]:
    records = list(table)
    assert [record.error for record in records] == [None] * len(records)
    return [[record.values[column] for column in table.columns] for record in records]


def errors(table: Table) -> dict[int, str]:
    return {record.number: record.error for record in table if record.error}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz"])
def test_csv_in_any_dialect(write: Write, suffix: str, delimiter: str, encoding: str) -> None:
    rows = [*ROWS, ["naïve 😀 – ok", "1"]]
    table = open_table(write(f"a.{suffix}", csv_bytes(rows, delimiter, encoding)))
    assert table.columns == ("text", "label")
    assert cells(table) == rows
    assert cells(table) == rows  # a table can be read again
    assert bool(table.notes) == (encoding == "utf-16")


def test_windows_1252(write: Write) -> None:
    rows = [["café – “très bon”", "1"], ["plain", "0"]]
    table = open_table(write("a.csv", csv_bytes(rows, ";", "cp1252")))
    assert cells(table) == rows
    assert "Windows-1252" in table.notes[0]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_windows_1252_behind_the_mark_of_utf8(write: Write, name: str) -> None:
    rows = [["café", "1"], ["plain", "0"]]
    table = open_table(write(name, codecs.BOM_UTF8 + csv_bytes(rows, ";", "cp1252")))
    assert table.columns == ("text", "label")
    assert cells(table) == rows
    assert cells(table) == rows
    assert "Windows-1252" in table.notes[0]


def test_encoding_is_decided_over_the_whole_file(write: Write) -> None:
    rows = [["plain", "0"]] * 100_000 + [["café", "1"]]
    assert cells(open_table(write("a.csv", csv_bytes(rows, ",", "cp1252"))))[-1] == ["café", "1"]


def test_multibyte_character_across_chunks(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentilora.data.decoding._CHUNK", 1)
    table = open_table(write("a.csv", csv_bytes([["naïve 😀", "1"]])))
    assert cells(table) == [["naïve 😀", "1"]]
    assert not table.notes


def test_bytes_that_no_encoding_has_are_the_rows_error(write: Write) -> None:
    table = open_table(write("a.csv", b"text,label\n\x81\x8d,1\ncaf\xe9,0\n"))
    bad, good = table
    assert bad.error is not None
    assert "0x81" in bad.error
    assert bad.values == {"text": "\ufffd\ufffd", "label": "1"}
    assert good == Record(2, {"text": "café", "label": "0"}, None)


def test_damage_does_not_turn_utf8_into_windows_1252(write: Write) -> None:
    table = open_table(write("a.csv", "text,label\né,1\nü,0\n".encode() + b"caf\xe9,1\n"))
    assert [record.values["text"] for record in table] == ["é", "ü", "caf\ufffd"]
    assert list(errors(table)) == [3]
    assert "UTF-8" in table.notes[0]


def test_utf16_with_half_a_character(write: Write) -> None:
    content = csv_bytes([["fine", "1"], ["x", "0"]], encoding="utf-16") + b"\x41"
    assert list(errors(open_table(write("a.csv", content)))) == [3]


def test_header_without_rows(write: Write) -> None:
    table = open_table(write("a.csv", b"text,label\n"))
    assert (table.columns, list(table)) == (("text", "label"), [])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \n"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json", "parquet", "csv.gz"])
def test_empty_file(write: Write, suffix: str, content: bytes) -> None:
    with pytest.raises(UserError):
        open_table(write(f"a.{suffix}", content))


def test_rows_of_another_width(write: Write) -> None:
    table = open_table(write("a.csv", b"text,label\na,1\nb\nc,1,2\nd,0\n\ne,1\n"))
    assert errors(table) == {
        2: "1 cell where the header has 2",
        3: "3 cells where the header has 2",
    }
    assert [record.values["text"] for record in table] == list("abcde")


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_declares_the_delimiter_is_no_row(write: Write, line: str, end: str) -> None:
    content = end.join([line, "text;label", "a, b;1", "c, d;0", ""])
    table = open_table(write("a.csv", content.encode("utf-8-sig")))
    assert table.columns == ("text", "label")
    assert cells(table) == [["a, b", "1"], ["c, d", "0"]]


def test_nameless_columns_with_nothing_in_them_are_left_out(write: Write) -> None:
    table = open_table(write("a.csv", b"text;;label;;\na;;1;;\nb; ;0\nc;;1;\nd;;0;;;\ne;;\n"))
    assert table.columns == ("text", "label")
    assert [list(record.values.values()) for record in table] == [
        ["a", "1"],
        ["b", "0"],
        ["c", "1"],
        ["d", "0"],
        ["e", ""],
    ]
    assert errors(table) == {4: "6 cells where the header has 5"}


def test_nameless_columns_with_content_are_numbered(write: Write) -> None:
    table = open_table(write("a.csv", b"text,,label,,\na,,1,,x\nb,y,0,,\n"))
    assert table.columns == ("text", "column_2", "label", "column_5")
    assert cells(table) == [["a", "", "1", "x"], ["b", "y", "0", ""]]


def test_one_nameless_column_stays_as_it_is(write: Write) -> None:
    """As pandas writes its index."""
    table = open_table(write("a.csv", b",text,label\n0,a,1\n1,b,0\n"))
    assert (table.columns, cells(table)[1]) == (("", "text", "label"), ["1", "b", "0"])


def test_one_column(write: Write) -> None:
    table = open_table(write("a.csv", b'text\nyes, really; well\n"a ""b"", c"\n\nlast\n'))
    assert cells(table) == [["yes, really; well"], ['a "b", c'], [""], ["last"]]


def test_delimiter_is_not_taken_from_the_texts(write: Write) -> None:
    rows = [["a, b, c, d", "1"], ["e, f | g, h", "0"]]
    assert cells(open_table(write("a.csv", csv_bytes(rows, ";")))) == rows
    assert cells(open_table(write("a.csv", csv_bytes(rows, "\t")))) == rows


def test_unclosed_quote_costs_one_row(write: Write) -> None:
    lines = [f"text {number},1" for number in range(2000)]
    lines[3:5] = ['"opened and never closed,1', '"with, comma",1']
    lines.append('"and, another",0')
    table = open_table(write("a.csv", "\n".join(["text,label", *lines]).encode()))
    assert list(errors(table)) == [4]
    assert sum(1 for _ in table) == 2001


def test_stray_quote_before_quoted_rows_costs_one_row(write: Write) -> None:
    good = [["a, b", "1"], ["c\nd", "0"], ['e "f"', "1"]] * 20
    content = csv_bytes(good).replace(b'"a, b",1\r\n', b'"stray,1\r\n"a, b",1\r\n', 1)
    table = open_table(write("a.csv", content))
    assert list(errors(table)) == [1]
    assert [list(record.values.values()) for record in list(table)[1:]] == good


def test_quote_that_is_not_doubled(write: Write) -> None:
    table = open_table(write("a.csv", b'text,label\n"He said "hi", ok",1\n"a, b",0\n"c, d",0\n'))
    assert list(errors(table)) == [1]


def test_tsv_written_without_quoting(write: Write) -> None:
    texts = ['"Alien" is a classic', '"never closed', "fine", 'an "inner" one', '"all of it"']
    content = "text\tlabel\n" + "".join(f"{text}\t1\n" for text in texts)
    table = open_table(write("a.tsv", content.encode()))
    assert cells(table) == [[text, "1"] for text in texts]
    assert "quotes" in table.notes[0]


def test_huge_cell_and_nul(write: Write) -> None:
    rows = [["x" * 5_000_000, "1"], ["a\x00b", "0"]]
    assert cells(open_table(write("a.csv", csv_bytes(rows)))) == rows


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2),
        max_size=8,
    ),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_csv_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(csv_bytes(rows, delimiter, encoding))
    assert cells(open_table(path)) == rows


def test_reading_stays_within_constant_memory(write: Write) -> None:
    path = write("a.csv", csv_bytes([["word " * 20, "1"]] * 60_000))  # 6 MB
    peaks = {}
    for limit in (1_000, 60_000):
        tracemalloc.start()
        table = iter(open_table(path))
        for _ in range(limit):
            next(table)
        peaks[limit] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[60_000] < 1.2 * peaks[1_000]


def test_position_goes_from_start_to_size(write: Write) -> None:
    jsonl = b"".join(json.dumps({"text": f"{n} word"}).encode() + b"\n" for n in range(5000))
    for path in (write("a.csv", csv_bytes(ROWS * 3000)), write("a.jsonl.gz", jsonl)):
        table = open_table(path)
        assert table.size == path.stat().st_size
        positions = [table.position() for _ in table]
        assert positions == sorted(positions)
        assert positions[0] < table.size
        assert table.position() == table.size


def test_json_lines(write: Write) -> None:
    lines = [
        '{"text": "a", "label": 1}',
        "[1]",
        "",
        "{bad",
        '{"text": "b", "more": [1, {"x": null}]}',
    ]
    table = open_table(write("a.jsonl", "\r\n".join([*lines, '{"text":1,"text":2}', ""]).encode()))
    assert table.columns == ("text", "label", "more")
    records = list(table)
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    assert records[0] == Record(1, {"text": "a", "label": 1}, None)
    assert records[3].values == {"text": "b", "more": [1, {"x": None}]}
    assert list(errors(table)) == [2, 3, 5]


def test_json_line_that_is_hostile(write: Write) -> None:
    deep = "[" * 200_000
    digits = "9" * 10_000
    content = f'{{"text": "ok"}}\n{deep}\n{{"a": {digits}}}\n'.encode() + b'{"text": "\x81"}\n'
    assert list(errors(open_table(write("a.jsonl", content)))) == [2, 3, 4]


def test_json_without_objects(write: Write) -> None:
    for content in (b"[]", b"[1, 2]", b"nothing of the kind\n", b"{}\n"):
        with pytest.raises(UserError):
            open_table(write("a.json", content))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_json_array(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_array, "_CHUNK", chunk)
    rng = random.Random(0)
    values: list[object] = [
        {"text": 'é\n"quoted" ]' * rng.randrange(40), "n": rng.random(), "nested": [{}, [1]]}
        for _ in range(50)
    ]
    values[:0] = [123456, None, True, "a string", [1, 2]]
    content = json.dumps(values, ensure_ascii=False, indent=rng.choice([None, 2])).encode()
    records = list(open_table(write("a.json", content)))
    assert [r.values for r in records] == [v if isinstance(v, dict) else {} for v in values]
    assert [r.number for r in records if r.error] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("tail", ['{"a": ]', '{"a": 1}', '{"a": 1}] more', '{"a": "b', "1, ]"])
def test_json_array_that_is_broken(write: Write, tail: str) -> None:
    with pytest.raises(UserError, match="not a valid JSON array"):
        open_table(write("a.json", f'[{{"a": 1}}, {tail}'.encode()))


def test_parquet_and_gzipped_parquet(tmp_path: Path) -> None:
    values = {"text": ["a", None, ""], "label": [1, 0, None], "tags": [["x"], [], None]}
    pq.write_table(pa.table(values), tmp_path / "a.parquet", row_group_size=2)
    packed = tmp_path / "a.pq.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    for path in (tmp_path / "a.parquet", packed):
        table = open_table(path)
        assert (table.columns, table.size) == (("text", "label", "tags"), 3)
        for _ in range(2):
            assert [r.values for r in table] == pa.table(values).to_pylist()
        assert table.position() == 3


def test_parquet_with_invalid_utf8(tmp_path: Path) -> None:
    binary = pa.array([b"fine", b"caf\xe9", None], pa.binary())
    pq.write_table(pa.table({"text": binary.view(pa.string())}), tmp_path / "a.pq")
    table = open_table(tmp_path / "a.pq")
    assert [record.values["text"] for record in table] == ["fine", "caf\ufffd", None]
    assert list(errors(table)) == [2]


@pytest.mark.parametrize(
    "values",
    [pa.array([0, 2**62, None], pa.timestamp("us")), pa.array([0, 2**31 - 1, None], pa.date32())],
    ids=["time", "date"],
)
def test_parquet_with_a_date_that_python_has_not(values: pa.Array, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b", "c"], "at": values}), tmp_path / "a.pq")
    table = open_table(tmp_path / "a.pq")
    assert [record.values["text"] for record in table] == ["a", "b", "c"]
    assert [record.values["at"] for record in table] == [values[0].as_py(), None, None]
    assert list(errors(table)) == [2]
    assert errors(table)[2].startswith("unreadable: what stands in 'at'")


def test_damaged_files(tmp_path: Path, write: Write) -> None:
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    packed = gzip.compress(csv_bytes([["x", "1"]] * 1000))
    for name, content in {
        "b.parquet": whole[:-20],
        "c.csv.gz": packed[:-10],
        "d.csv.gz": packed[:-8] + bytes(4) + packed[-4:],
        "e.csv.gz": b"text,label\n",
        "f.csv": packed,
        "g.csv": b"PK\x03\x04 and so on",
        "h.csv": whole,
        "i.jsonl.gz": packed[:10],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            open_table(tmp_path / name)


def test_parquet_with_damaged_pages_is_read_up_to_them(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"{n} words" for n in range(20_000)]}), path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged: after row"):
        list(open_table(path))


def test_no_such_file(tmp_path: Path, write: Write) -> None:
    write("reviews.csv", b"text\n")
    with pytest.raises(UserError, match=r"no file.*'reviews\.csv'"):
        open_table(tmp_path / "review.csv")
    with pytest.raises(UserError, match="no file"):
        open_table(tmp_path / "no such folder" / "review.csv")
    with pytest.raises(UserError, match="folder"):
        open_table(tmp_path)


@pytest.mark.parametrize("name", ["a.xlsx", "A.XLS", "a.ods"])
def test_workbooks_are_to_be_saved_as_csv(write: Write, name: str) -> None:
    with pytest.raises(UserError, match="save it as CSV") as caught:
        open_table(write(name, b"PK\x03\x04"))
    assert "rename" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.txt", "a", "a.csv.zip", ".gz", "csv"])
def test_unknown_suffix(write: Write, name: str) -> None:
    with pytest.raises(UserError, match=r"\.parquet"):
        open_table(write(name, b"text\n"))


def test_repeated_column(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'text'"):
        open_table(write("a.csv", b"text,label,text\n"))
    column = pa.array(["a"])
    pq.write_table(pa.Table.from_arrays([column, column], ["text", "text"]), tmp_path / "a.pq")
    with pytest.raises(UserError, match="'text'"):
        open_table(tmp_path / "a.pq")


def test_columns_are_recognised_in_order() -> None:
    assert find_text_column(["id", "Title", "Review Text", "label"]) == "Review Text"
    assert find_text_column(["title", "content", "SENTENCE"]) == "SENTENCE"
    assert find_text_column(["title", "x"]) == "title"
    assert find_label_column(["text", "rating", "Sentiment"]) == "Sentiment"
    assert find_label_column(["text", "verdict"], "verdict") == "verdict"


def test_columns_that_are_not_there() -> None:
    with pytest.raises(UserError, match=r"--text-column.*'Review', 'x'.*Did you mean 'Review'"):
        find_text_column(["Review", "x"], "review")
    with pytest.raises(UserError, match=r"'a', 'b'.*--text-column"):
        find_text_column(["a", "b"])
    with pytest.raises(UserError, match=r"'a', 'b'.*--label-column"):
        find_label_column(["a", "b"])


def test_real_sets_are_read_as_the_json_module_reads_them(shared: Path) -> None:
    path = shared / "data" / "rotten_tomatoes" / "validation.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        reference = [json.loads(line) for line in file]
    assert [record.values for record in open_table(path)] == reference

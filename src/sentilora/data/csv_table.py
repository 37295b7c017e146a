"""CSV and TSV as people have them, as a table of strings.

Every cell is the string that the file holds: `NA`, `null` and `nan` are texts, numbers keep their
zeros, spaces stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sentilora.data.csv_dialect import Dialect, count_misfits, read_rows, sniff_delimiter
from sentilora.data.decoding import TextFile, without_marks
from sentilora.data.formats import FileFormat
from sentilora.data.table import Record, Table
from sentilora.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE = 1 << 18  # characters looked at to find the delimiter


class CsvTable(Table):
    """Raises `UserError` for a file without a header or with a column named twice."""

    def __init__(self, path: Path, kind: FileFormat) -> None:
        self.path = path
        self.format = kind.name
        self._file = TextFile(path, kind.gzipped)
        self.size = self._file.size
        self.notes: tuple[str, ...] = (self._file.note,) if self._file.note else ()
        self._dialect = self._find_dialect("\t" if kind.name == "tsv" else ",")
        self.columns = self._header()

    def __iter__(self) -> Iterator[Record]:
        with self._file.open(newline="") as stream:
            rows = read_rows(stream, self._dialect)
            next(rows)  # the header
            for number, (cells, problem) in enumerate(rows, start=1):
                yield self._record(number, cells, problem)

    def position(self) -> int:
        return self._file.position()

    def arrow_schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([(column, pa.string()) for column in self.columns])

    def _record(self, number: int, cells: list[str], problem: str | None) -> Record:
        error = problem
        if error is None and len(cells) != len(self.columns):
            error = f"{_counted(len(cells))} where the header has {len(self.columns)}"
        text = "".join(cells)
        if not text.isascii() and (undecodable := self._file.undecodable(text)):
            error = error or undecodable
            cells = [without_marks(cell) for cell in cells]
        return Record(number, dict(zip(self.columns, cells, strict=False)), error)

    def _find_dialect(self, preferred: str) -> Dialect:
        with self._file.open(newline="") as stream:
            sample = stream.read(_SAMPLE)
        delimiter = sniff_delimiter(sample, whole=len(sample) < _SAMPLE, preferred=preferred)
        quoted, literal = Dialect(delimiter), Dialect(delimiter, quoted=False)
        with self._file.open(newline="") as stream:
            misfits, _ = count_misfits(stream, quoted)
        if misfits == 0:
            return quoted
        with self._file.open(newline="") as stream:
            literal_misfits, balance = count_misfits(stream, literal)
        if literal_misfits >= misfits or balance <= 0:
            return quoted
        self.notes += (f"{self.path.name} is read with quotes as plain characters",)
        return literal

    def _header(self) -> tuple[str, ...]:
        with self._file.open(newline="") as stream:
            header = next(read_rows(stream, self._dialect), None)
        if header is None or not "".join(header.cells).strip():
            raise UserError(f"'{self.path}' is empty: it has no header with the columns' names.")
        if header.problem:
            raise UserError(f"The header of '{self.path}' can't be read: {header.problem}.")
        return tuple(without_marks(name) for name in header.cells)


def _counted(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"

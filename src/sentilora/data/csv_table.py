"""CSV and TSV as people have them, as a table of strings.

Every cell is the string that the file holds: `NA`, `null` and `nan` are texts, numbers keep their
zeros, spaces stay.

As Excel leaves them, files may open with a line `sep=;`, which names the delimiter and is no row,
and may have columns without a name and with nothing in them, which are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sentilora.data.csv_dialect import (
    ONE_COLUMN,
    Dialect,
    count_misfits,
    declared_delimiter,
    read_rows,
    sniff_delimiter,
)
from sentilora.data.decoding import TextFile, without_marks
from sentilora.data.formats import FileFormat
from sentilora.data.table import CsvForm, Record, Table
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
        self._declared: str | None = None
        self._dialect = self._find_dialect("\t" if kind.name == "tsv" else ",")
        if kind.name == "csv":
            self.form = self._find_form()
        names = self._header()
        self._width = len(names)
        named = self._named(names)
        self._kept = tuple(named)
        self.columns = tuple(named.values())

    def __iter__(self) -> Iterator[Record]:
        with self._open() as stream:
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
        # What is missing at the end may be cells of columns that are left out.
        if error is None and not self._kept[-1] < len(cells) <= self._width:
            error = f"{_counted(len(cells))} where the header has {self._width}"
        if len(self._kept) < self._width:
            cells = [cells[column] for column in self._kept if column < len(cells)]
        text = "".join(cells)
        if not text.isascii() and (undecodable := self._file.undecodable(text)):
            error = error or undecodable
            cells = [without_marks(cell) for cell in cells]
        return Record(number, dict(zip(self.columns, cells, strict=False)), error)

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        """The characters from the header on."""
        with self._file.open(newline="") as stream:
            if self._declared is not None:
                stream.readline()
            yield stream

    def _find_dialect(self, preferred: str) -> Dialect:
        with self._open() as stream:
            sample = stream.read(_SAMPLE)
        self._declared = declared_delimiter(sample)
        delimiter = self._declared or sniff_delimiter(
            sample, whole=len(sample) < _SAMPLE, preferred=preferred
        )
        quoted, literal = Dialect(delimiter), Dialect(delimiter, quoted=False)
        with self._open() as stream:
            misfits, _ = count_misfits(stream, quoted)
        if misfits == 0:
            return quoted
        with self._open() as stream:
            literal_misfits, balance = count_misfits(stream, literal)
        if literal_misfits >= misfits or balance <= 0:
            return quoted
        self.notes += (f"{self.path.name} is read with quotes as plain characters",)
        return literal

    def _find_form(self) -> CsvForm:
        # CSV is written as UTF-8, which Excel takes for what it isn't without the mark. A program
        # that gave Windows-1252 is of that kind, too.
        marked = self._file.marked or self._file.encoding == "cp1252"
        delimiter = self._dialect.delimiter
        return CsvForm("," if delimiter == ONE_COLUMN else delimiter, marked)

    def _header(self) -> list[str]:
        with self._open() as stream:
            header = next(read_rows(stream, self._dialect), None)
        if header is None or not "".join(header.cells).strip():
            raise UserError(f"'{self.path}' is empty: it has no header with the columns' names.")
        if header.problem:
            raise UserError(f"The header of '{self.path}' can't be read: {header.problem}.")
        return [without_marks(name) for name in header.cells]

    def _named(self, names: list[str]) -> dict[int, str]:
        """The names of the columns that are kept, by their places.

        Of those without a name the empty ones are left out; where more than one is left, they are
        numbered, to be told apart.
        """
        unnamed = [place for place, name in enumerate(names) if not name.strip()]
        if not unnamed:
            return dict(enumerate(names))
        filled = self._filled(unnamed)
        kept = {place: names[place] for place in range(len(names)) if place not in unnamed}
        for place in filled:
            name = f"column_{place + 1}" if len(filled) > 1 else names[place]
            while name in kept.values():
                name += "_"
            kept[place] = name
        return dict(sorted(kept.items()))

    def _filled(self, places: list[int]) -> list[int]:
        """Those of the columns at `places` that hold anything."""
        filled: set[int] = set()
        with self._open() as stream:
            rows = read_rows(stream, self._dialect)
            next(rows)  # the header
            for cells, _ in rows:
                filled.update(
                    place for place in places if place < len(cells) and cells[place].strip()
                )
        return sorted(filled)


def _counted(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"

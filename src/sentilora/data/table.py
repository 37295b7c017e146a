"""What every reader gives: a table of named columns whose rows come one at a time.

A table is read in constant memory and can be iterated again. A row that cannot be read is not
left out: it is a `Record` with an `error`, so that row numbers stay those of the file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Record(NamedTuple):
    """One data row: its 1-based number, its cells by column, and what is wrong with it, if so.

    `values` holds what could be read even where there is an `error`; a JSON row holds only the
    columns that it has.
    """

    number: int
    values: dict[str, object]
    error: str | None = None


class CsvForm(NamedTuple):
    """What a spreadsheet goes by to open a CSV file: the delimiter, and a byte order mark."""

    delimiter: str = ","
    marked: bool = False


class Table(ABC):
    """A file of rows.

    Attributes: `path`; `format` (csv, tsv, jsonl, parquet); `columns`, in the file's order;
    `notes`, what the user should be told about how the file was read; `size`, how much there is
    to read, in bytes of the file as stored (Parquet: rows); `form`, in which CSV written from it
    opens where it does.
    """

    path: Path
    format: str
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    size: int
    form: CsvForm = CsvForm()

    @abstractmethod
    def __iter__(self) -> Iterator[Record]:
        """The rows, from the start."""

    @abstractmethod
    def position(self) -> int:
        """How much of `size` the latest iteration has read: progress without counting rows."""

    @abstractmethod
    def arrow_schema(self) -> pa.Schema:
        """The columns and types that a Parquet file of these rows has."""

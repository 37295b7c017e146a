"""Parquet files, read a small batch at a time; values are Python's own."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sentilora.data.decoding import damaged_gzip
from sentilora.data.formats import FileFormat
from sentilora.data.table import Record, Table
from sentilora.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 1024  # rows turned into Python values at once


class ParquetTable(Table):
    """`size` and `position()` are rows. Raises `UserError` for a damaged file."""

    def __init__(self, path: Path, kind: FileFormat) -> None:
        self.path = path
        self.format = kind.name
        self.notes = ()
        self._read = 0
        if path.stat().st_size == 0:
            raise UserError(f"'{path}' is empty: it is not a Parquet file.")
        self._source: Path | IO[bytes] = path
        if kind.gzipped:
            self._source = _unpacked(path)
            weakref.finalize(self, self._source.close)
        with self._open() as file:
            self.size = file.metadata.num_rows
            self._schema = file.schema_arrow
        self.columns = tuple(self._schema.names)

    def __iter__(self) -> Iterator[Record]:
        import pyarrow as pa

        self._read = 0
        with self._open() as file:
            try:
                for batch in file.iter_batches(batch_size=_BATCH):
                    for values, error in _rows(batch):
                        self._read += 1
                        yield Record(self._read, values, error)
            except (pa.ArrowException, OSError) as error:
                raise UserError(
                    f"'{self.path}' is damaged: after row {self._read} it can't be read ({error})."
                ) from error

    def position(self) -> int:
        return self._read

    def arrow_schema(self) -> pa.Schema:
        return self._schema

    def _open(self) -> pq.ParquetFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # A buffer of its own, so that a large row group is not read in whole.
            return pq.ParquetFile(self._source, buffer_size=1 << 20, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"'{self.path}' can't be read as a Parquet file: {error}. It is damaged or is "
                "in another format."
            ) from error


def _unpacked(path: Path) -> IO[bytes]:
    """An unnamed temporary file with what `path` unpacks to: Parquet is read from its end."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the table
    try:
        with gzip.open(path) as source:
            shutil.copyfileobj(source, target, 1 << 20)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged_gzip(path, error) from error
    return target


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, object], str | None]]:
    names = batch.schema.names
    errors: dict[int, str] = {}
    columns = [_cells(batch.column(i), name, errors) for i, name in enumerate(names)]
    for index, cells in enumerate(zip(*columns, strict=True)):
        yield dict(zip(names, cells, strict=True)), errors.get(index)


def _cells(column: pa.Array, name: str, errors: dict[int, str]) -> list[object]:
    """The column's values; what Python can't hold is put down in `errors` by its row.

    That is a string that isn't valid UTF-8, or a date or time beyond the year 9999.
    """
    try:
        values: list[object] = column.to_pylist()
        return values
    except (ValueError, OverflowError):
        return [_cell(column, index, name, errors) for index in range(len(column))]


def _cell(column: pa.Array, index: int, name: str, errors: dict[int, str]) -> object:
    try:
        value: object = column[index].as_py()
        return value
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        errors[index] = f"undecodable: the byte 0x{byte:02X} in {name!r} cannot be read as UTF-8"
        return error.object.decode("utf-8", "replace")
    except (ValueError, OverflowError) as error:
        errors[index] = f"unreadable: what stands in {name!r} cannot be used ({error})"
        return None

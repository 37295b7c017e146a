"""Writing rows to JSON Lines, CSV, TSV or Parquet: streaming, and whole or not at all.

A file is written under a temporary name beside its place and moved there at the end, so that an
interrupted job leaves neither half a file nor a damaged earlier one. The input is never written
over. Standard output takes JSON Lines.

    with open_writer("scored.csv", columns, schema=table.arrow_schema, sources=[table.path]) as to:
        to.write({"text": "fine", "predicted_label": "positive"})
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from uuid import uuid4

from sentilora.data.cells import csv_cell, json_text, spreadsheet_safe, string_or_json
from sentilora.data.formats import FileFormat, file_format
from sentilora.data.table import CsvForm
from sentilora.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    from typing_extensions import Buffer

_ROW_GROUP = 4096  # rows held back for Parquet

Row = dict[str, object]


class Writer(ABC):
    """Takes rows as dicts from column to value; a column that a row lacks is empty."""

    @abstractmethod
    def write(self, row: Row) -> None:
        """Append one row."""

    def flush(self) -> None:  # noqa: B027 - of a file nobody reads what isn't whole yet
        """Let a reader see what was written so far, where there may be one."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is held back, after the last row."""

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Let go of the stream, whether or not the rows came to their end."""


@contextmanager
def open_writer(
    target: str | Path | None,
    columns: Sequence[str],
    *,
    schema: Callable[[], pa.Schema],
    sources: Collection[Path] = (),
    formulas: bool = True,
    form: CsvForm | None = None,
) -> Iterator[Writer]:
    """A writer to `target` in the format of its suffix, or of JSON Lines to standard output (None).

    `columns`: the header of CSV and TSV, in order. `schema` gives the columns and types of
    Parquet. `sources`: the files being read, which are not written over. `formulas=False` makes
    cells of CSV and TSV safe to open in a spreadsheet; no spreadsheet opens the other formats.
    `form`: of CSV, by default commas and no mark.

    Raises `UserError` where `target` can't be written, is one of `sources`, or has an unknown
    suffix.
    """
    if target is None:
        writer: Writer = _StandardOutput(sys.stdout.buffer)
        yield writer
        writer.finish()
        return
    target = Path(target)
    kind = _format(target)
    with _whole_or_nothing(target, sources) as file, _packed(file, kind.gzipped) as stream:
        writer = _writer(stream, kind, columns, schema, formulas, form or CsvForm())
        with closing(writer):
            yield writer
            writer.finish()


def check_target(target: Path, sources: Collection[Path] = ()) -> None:
    """Raise `UserError` where `open_writer` would, before long work is done for nothing."""
    _format(target)
    _check_target(target.resolve(), sources)


def _format(target: Path) -> FileFormat:
    kind = file_format(target)
    if kind.name == "parquet" and kind.gzipped:
        raise UserError(f"'{target}': Parquet is compressed in itself; leave .gz off its name.")
    return kind


def _writer(
    stream: BinaryIO,
    kind: FileFormat,
    columns: Sequence[str],
    schema: Callable[[], pa.Schema],
    formulas: bool,
    form: CsvForm,
) -> Writer:
    if kind.name == "parquet":
        return _ParquetWriter(stream, schema())
    if kind.name == "jsonl":
        return _JsonWriter(stream)
    return _CsvWriter(stream, columns, CsvForm("\t") if kind.name == "tsv" else form, formulas)


@contextmanager
def _packed(stream: BinaryIO, gzipped: bool) -> Iterator[BinaryIO]:
    if not gzipped:
        yield stream
        return
    # No name and time of writing in the gzip header: the same rows give the same bytes.
    with gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
        yield cast(BinaryIO, packed)


@contextmanager
def _whole_or_nothing(target: Path, sources: Collection[Path]) -> Iterator[BinaryIO]:
    """A stream whose content is at `target` after the block, or nowhere if the block raises."""
    target = target.resolve()  # through a link, so that the link stays one
    _check_target(target, sources)
    temporary = target.with_name(f".sentilora-{uuid4().hex}.partial")
    with _unwritable(target):
        file = _File(temporary, "wb")
    try:
        with io.BufferedWriter(file, 1 << 16) as stream:
            yield cast(BinaryIO, stream)
            stream.flush()
            with _unwritable(target):
                os.fsync(stream.fileno())
        with _unwritable(target):
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _File(io.FileIO):
    """A file whose writing fails (a full disk) with an error that the user can act on."""

    def write(self, data: Buffer) -> int:
        with _unwritable(Path(cast(str, self.name)).parent):
            return super().write(data)


@contextmanager
def _unwritable(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"'{where}' can't be written to: {error.strerror or error}.") from error


def _check_target(target: Path, sources: Collection[Path]) -> None:
    if target.is_dir():
        raise UserError(f"'{target}' is a folder: name a file to write to.")
    if not target.parent.is_dir():
        raise UserError(f"There is no folder '{target.parent}' to write to: create it first.")
    if target.exists() and not target.is_file():
        raise UserError(f"'{target}' is no regular file, and can't be replaced in one piece.")
    if target.exists() and any(map(target.samefile, sources)):
        raise UserError(f"'{target}' is the file being read: write to another name.")


class _JsonWriter(Writer):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, row: Row) -> None:
        self._stream.write(json_text(row).encode() + b"\n")

    def finish(self) -> None:
        self._stream.flush()


class _StandardOutput(_JsonWriter):
    def flush(self) -> None:
        self._stream.flush()


class _CsvWriter(Writer):
    def __init__(
        self, stream: BinaryIO, columns: Sequence[str], form: CsvForm, formulas: bool
    ) -> None:
        if form.marked:
            stream.write(codecs.BOM_UTF8)
        self._text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        self._columns = columns
        self._formulas = formulas
        self._csv = csv.writer(
            _LineFeeds(self._text), delimiter=form.delimiter, lineterminator="\r\n"
        )
        self._write(columns)

    def write(self, row: Row) -> None:
        self._write([row.get(column) for column in self._columns])

    def finish(self) -> None:
        self._text.flush()

    def close(self) -> None:
        self._text.detach()

    def _write(self, values: Sequence[object]) -> None:
        cells = [csv_cell(value) for value in values]
        self._csv.writerow(cells if self._formulas else [spreadsheet_safe(cell) for cell in cells])


class _LineFeeds:
    """Ends rows in a line feed alone.

    The CSV writer itself is told CR LF: it quotes only the line ends it is told of, and a cell with
    a lone CR must be quoted too.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row.removesuffix("\r\n") + "\n")


class _ParquetWriter(Writer):
    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
        self._rows: list[Row] = []
        self._parquet = pq.ParquetWriter(stream, schema)

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROW_GROUP:
            self._write_group()

    def finish(self) -> None:
        if self._rows:
            self._write_group()

    def close(self) -> None:
        self._parquet.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        arrays = [self._array(field) for field in self._schema]
        self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def _array(self, field: pa.Field) -> Any:
        import pyarrow as pa

        values = [row.get(field.name) for row in self._rows]
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            values = [string_or_json(value) for value in values]
        return pa.array(values, field.type)

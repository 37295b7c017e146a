"""Files of rows: `open_table("reviews.csv.gz")` reads CSV, TSV, JSON Lines and Parquet alike.

Streaming, in constant memory; a faulty row comes with its error and never ends the reading. What
is wrong with the file as a whole is a `UserError` from `open_table`, before the first row.
"""

from __future__ import annotations

import difflib
from collections import Counter
from pathlib import Path

from sentilora.data.columns import find_label_column, find_text_column, listed
from sentilora.data.csv_table import CsvTable
from sentilora.data.formats import FileFormat, file_format
from sentilora.data.json_table import JsonTable
from sentilora.data.parquet_table import ParquetTable
from sentilora.data.table import Record, Table
from sentilora.errors import UserError

__all__ = ["Record", "Table", "find_label_column", "find_text_column", "open_table"]

_READERS: dict[str, type[CsvTable] | type[JsonTable] | type[ParquetTable]] = {
    "csv": CsvTable,
    "tsv": CsvTable,
    "jsonl": JsonTable,
    "parquet": ParquetTable,
}
_GZIP = b"\x1f\x8b"
_WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_SIGNATURES = {
    _GZIP: "is compressed with gzip: add .gz to its name",
    b"PK\x03\x04": "is a zip archive or an Excel workbook: unpack it or save it as CSV",
    b"PAR1": "is a Parquet file: name it .parquet",
}


def open_table(path: str | Path) -> Table:
    """The table in the file at `path`.

    Raises `UserError` where there is no such file, it can't be read, is empty, is in an unknown or
    another format than its name says, or names a column twice.
    """
    path = Path(path)
    try:
        _check_there(path)
        _check_no_workbook(path)
        kind = file_format(path)
        _check_signature(path, kind)
        table = _READERS[kind.name](path, kind)
    except OSError as error:
        raise UserError(f"'{path}' can't be read: {error.strerror or error}.") from error
    repeated = [name for name, count in Counter(table.columns).items() if count > 1]
    if repeated:
        raise UserError(f"'{path}' has more than one column named {listed(repeated)}: rename them.")
    return table


def _check_there(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"'{path}' is a folder, not a file: name one of the files in it.")
    if not path.exists():
        folder = path.parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=3)
        hint = f" In the same folder there is {listed(near)}." if near else ""
        raise UserError(f"There is no file '{path}'.{hint}")
    if not path.is_file():
        raise UserError(f"'{path}' is no regular file, and is read more than once: save it first.")


def _check_no_workbook(path: Path) -> None:
    """Said before its suffix is called unknown: to rename a workbook would be no help."""
    if path.suffix.lower() in _WORKBOOKS:
        raise UserError(
            f"'{path}' is a workbook of Excel or the like: save it as CSV (of Excel's kinds, "
            "'CSV UTF-8'), and name that file."
        )


def _check_signature(path: Path, kind: FileFormat) -> None:
    """A file's first bytes against its name, where a mix-up would give a table of garbage."""
    with path.open("rb") as file:
        opening = file.read(4)
    if kind.gzipped:
        if opening and not opening.startswith(_GZIP):
            raise UserError(f"'{path}' is not compressed with gzip: take .gz off its name.")
        return
    for signature, what in _SIGNATURES.items():
        if opening.startswith(signature) and not (kind.name == "parquet" and signature == b"PAR1"):
            raise UserError(f"'{path}' {what}.")

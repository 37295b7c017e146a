"""How a CSV or TSV file is written: its delimiter, and whether its quotes are syntax.

The standard library's sniffer guesses from character frequencies and takes letters for
delimiters. Here each candidate is tried: the header must hold it, and the first rows must have as
many cells as the header. Quotes are syntax, except in files that were plainly written without
them (`"Alien" is a classic<tab>1`), as tab-separated sets often are.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

_CANDIDATES = (",", ";", "\t", "|")
# The header has one name, so commas in a row are text: a delimiter that no decoded text holds.
ONE_COLUMN = "\ud800"
_DECLARED = re.compile(r'"?sep=([^\w\s"]|\t)"?(\r|\n)')
_SNIFFED_ROWS = 100
_LONGEST_CELL = 1 << 26  # characters; keeps a quote that is never closed from filling the memory


@dataclass(frozen=True)
class Dialect:
    """`quoted`: a cell that opens with a quote runs to the closing one, delimiters and all."""

    delimiter: str
    quoted: bool = True

    def reader(self, lines: Iterable[str], *, strict: bool) -> Iterator[list[str]]:
        """The standard library's reader over physical lines, line ends included."""
        csv.field_size_limit(_LONGEST_CELL)
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            strict=strict,
        )


class Row(NamedTuple):
    """The cells of one row, and what is wrong with its quotes, if so (then cells are a guess)."""

    cells: list[str]
    problem: str | None = None


class _Lines:
    """Physical lines; those of the row being read can be handed out again."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = iter(stream)
        self._again: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._stream)
        self.taken.append(line)
        return line

    def give_back(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))


def read_rows(stream: Iterable[str], dialect: Dialect) -> Iterator[Row]:
    """The rows of a CSV text, blank lines left out unless the file has one column.

    Where quotes don't pair up, only the line that opened the quote is lost: reading goes on with
    the line after it. (Lines read again hold only doubled quotes, so none is read a third time.)
    """
    lines = _Lines(stream)
    reader = dialect.reader(lines, strict=True)
    plain = replace(dialect, quoted=False)
    width = 0
    while True:
        lines.taken = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            first, *rest = lines.taken
            lines.give_back(rest)
            yield Row(next(plain.reader([first], strict=False), []), _explain(error))
            continue
        width = width or len(cells)
        if cells or width == 1:
            yield Row(cells or [""])


def _explain(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a cell is longer than {_LONGEST_CELL:,} characters, or its quote is never closed"
    return "quotes don't pair up: inside a quoted cell a quote must be doubled, and the last closes"


def declared_delimiter(sample: str) -> str | None:
    """The delimiter that a first line `sep=;` declares, as Excel understands it; else None."""
    declared = _DECLARED.match(sample)
    return declared[1] if declared else None


def sniff_delimiter(sample: str, *, whole: bool, preferred: str = ",") -> str:
    """The delimiter of a text that begins with `sample`.

    That which splits the header and gives most of the first rows the header's number of cells;
    of equals the one that makes more columns, then `preferred`. `whole`: nothing follows the
    sample, so that its last row is a whole one.
    """
    best, best_key = ONE_COLUMN, (-1.0, 1)
    for delimiter in (preferred, *_CANDIDATES):
        reader = Dialect(delimiter).reader(io.StringIO(sample, newline=""), strict=False)
        header, *rows = list(islice(filter(None, reader), 1 + _SNIFFED_ROWS)) or [[]]
        if not whole and len(rows) < _SNIFFED_ROWS:
            rows = rows[:-1]
        agree = sum(len(row) == len(header) for row in rows) / max(len(rows), 1)
        if len(header) > 1 and (agree, len(header)) > best_key:
            best, best_key = delimiter, (agree, len(header))
    return best


def count_misfits(stream: Iterable[str], dialect: Dialect) -> tuple[int, int]:
    """How many rows differ from the header or are malformed; and `unpaired` less `paired` quotes.

    The latter counts cells that open with a quote and also close with one (paired) or don't.
    """
    misfits = balance = 0
    width: int | None = None
    for cells, problem in read_rows(stream, dialect):
        if width is None:
            width = len(cells)
        misfits += problem is not None or len(cells) != width
        for cell in cells:
            if cell.startswith('"'):
                balance += -1 if _is_quoted(cell) else 1
    return misfits, balance


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")

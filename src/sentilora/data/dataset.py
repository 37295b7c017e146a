"""The types that rows travel in: as they were read, and as they are used.

A source (`sources`) makes a `RawData`: rows as they stand in a file or on the Hub, nothing judged
yet. `load.load_data` makes of it a `DataSet`: checked `Example`s in splits, with a `DataReport` of
all that was found on the way.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sentilora.data.columns import find_label_column, find_text_column
from sentilora.errors import UserError
from sentilora.task import check_subject

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
ALL = "all"  # the one part of a source that has no splits
SPLIT_NAMES = {  # what the splits are called in files and on the Hub
    "train": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
}
FIRST_ROWS = 5  # how many row numbers of a problem are kept to be shown

Purpose = Literal["train", "evaluate", "audit"]
Action = Literal["set aside", "reported"]


def text_key(text: str) -> str:
    """What makes two texts the same: equal keys, whatever their case, spacing and composition."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()


def row_hash(text: str) -> str:
    """The first 16 hex digits of the SHA-256 of `text_key(text)`: a row's name in the run folder.

    Lone surrogates, which JSON can bring, are hashed like any other character.
    """
    return hashlib.sha256(text_key(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class DataOptions:
    """How rows are to be understood; None leaves the choice to the data.

    Parameters
    ----------
    labels
        The label words in the order of their ids; None takes those that the rows hold.
    label_map
        Which label a value of the label column means, where it is not the label itself; "" has
        its rows set aside.
    subject
        What one text is called in the prompt, such as "movie review".
    revision
        Branch, tag or commit of a Hub data set.
    purpose
        "train" needs training and validation rows and cuts off the splits that are missing;
        "evaluate" takes the rows as they are; "audit" does, and keeps those that contradict or
        repeat each other, which it looks for, and their further columns, for its table.
    """

    text_column: str | None = None
    label_column: str | None = None
    labels: tuple[str, ...] | None = None
    label_map: dict[str, str] | None = None
    subject: str | None = None
    seed: int = 0
    revision: str | None = None
    purpose: Purpose = "train"

    def __post_init__(self) -> None:
        if self.subject is not None:
            check_subject(self.subject)

    def columns(self, there: Sequence[str]) -> tuple[str, str]:
        """The text column and the label column among those that there are.

        Raises
        ------
        UserError
            Where one is missing, or one column is named for both.
        """
        text = find_text_column(there, self.text_column)
        label = find_label_column(there, self.label_column)
        if text == label:
            raise UserError(
                f"The column {text!r} cannot hold both the text and the label. Name two columns "
                "with --text-column and --label-column."
            )
        return text, label

    def other_columns(self, there: Sequence[str]) -> tuple[str, ...]:
        """Those beside text and label that are kept with the rows."""
        if self.purpose != "audit":
            return ()
        used = self.columns(there)
        return tuple(column for column in there if column not in used)


@dataclass(frozen=True)
class HubAddress:
    """Where a data set is on the Hub; `config` and `revision` where one was chosen."""

    name: str
    config: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class RawRow:
    """One row as it was read. `row` counts the data rows of its part from 1.

    `others` are its further cells, by their columns, where the rows are read for an audit.
    """

    part: str  # TRAIN, VALIDATION, TEST, or ALL where the source has no splits
    row: int
    text: object
    label: object
    error: str | None = None  # why the row could not be read
    others: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class RawData:
    """All rows of a source, before any check. `class_names` are the Hub's, in their id order."""

    name: str
    origin: str
    parts: dict[str, list[RawRow]]
    subject: str = "text"
    class_names: tuple[str, ...] | None = None
    hub: HubAddress | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """A text and its label's id, fit for use.

    `row` is the row's number in the file (or split) that it was read from; `split` is where it is
    used, which is another where a missing split was cut off. `others` are as a `RawRow`'s.
    """

    text: str
    label: int
    row: int
    split: str
    others: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Problem:
    """Rows with the same trouble: how many, the first of them, and what became of them."""

    kind: str
    count: int
    rows: tuple[tuple[str, int], ...]  # (part, row number), the first few
    action: Action
    message: str  # "with an empty or missing text": what follows the number of rows


@dataclass(frozen=True)
class DataReport:
    """What the checks found. `rows_read == rows_used + rows_set_aside`, always."""

    rows_read: int
    rows_used: int
    problems: tuple[Problem, ...] = ()

    @property
    def rows_set_aside(self) -> int:
        return sum(problem.count for problem in self.problems if problem.action == "set aside")

    def lines(self) -> list[str]:
        """One line a problem, for people."""
        return [
            f"{count_rows(problem.count)} {problem.message}: {problem.action} "
            f"({place(problem.rows, problem.count)})"
            for problem in self.problems
        ]


@dataclass(frozen=True)
class DataSet:
    """Checked rows, in splits.

    Loaded to train on, it has `train`, `validation` and `test`. Loaded to evaluate on, it has the
    splits of its source, or the one split `ALL`.
    """

    name: str  # short, fit for a folder's name
    origin: str  # the path, the Hub's name, or "bundled"
    labels: tuple[str, ...]
    subject: str
    splits: dict[str, tuple[Example, ...]]
    report: DataReport
    notes: tuple[str, ...] = ()
    hub: HubAddress | None = None

    @property
    def train(self) -> tuple[Example, ...]:
        return self.splits.get(TRAIN, ())

    @property
    def validation(self) -> tuple[Example, ...]:
        return self.splits.get(VALIDATION, ())

    @property
    def test(self) -> tuple[Example, ...]:
        return self.splits.get(TEST, ())

    def split(self, name: str) -> tuple[Example, ...]:
        """The rows of one split, or of `ALL` splits.

        Raises
        ------
        UserError
            Where there is no such split; the message lists those there are.
        """
        if name == ALL:
            return self.all_rows()
        if name not in self.splits:
            there = ", ".join(self.splits)
            raise UserError(f"{self.name} has no split {name!r}; it has: {there}.")
        return self.splits[name]

    def all_rows(self) -> tuple[Example, ...]:
        """Every row, split after split."""
        return tuple(example for rows in self.splits.values() for example in rows)

    def label_counts(self, split: str) -> dict[str, int]:
        """How many rows of a split each label has, in label order; 0 included."""
        counts = Counter(example.label for example in self.split(split))
        return {label: counts[number] for number, label in enumerate(self.labels)}


@dataclass
class Finding:
    """Rows with the same trouble, while they are being found."""

    kind: str
    action: Action
    message: str
    count: int = 0
    rows: list[tuple[str, int]] = field(default_factory=list)

    def add(self, part: str, row: int) -> None:
        self.count += 1
        if len(self.rows) < FIRST_ROWS:
            self.rows.append((part, row))

    def problem(self) -> Problem:
        return Problem(self.kind, self.count, tuple(self.rows), self.action, self.message)


def count_rows(count: int) -> str:
    """ "1 row", "1,066 rows"."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def place(rows: Iterable[tuple[str, int]], count: int) -> str:
    """Where rows stand: "train rows 3, 8; test row 1, and 12 more"."""
    by_part: dict[str, list[int]] = {}
    for part, row in rows:
        by_part.setdefault(part, []).append(row)
    shown = "; ".join(
        ("" if part == ALL else f"{part} ")
        + ("row " if len(numbers) == 1 else "rows ")
        + ", ".join(map(str, numbers))
        for part, numbers in by_part.items()
    )
    more = count - sum(map(len, by_part.values()))
    return f"{shown}, and {more:,} more" if more > 0 else shown

"""The study's cells: one method, on one draw of the training rows, measured on the test rows.

What a cell gave is one line of JSON in the file of results, written at once, so a study that was
killed goes on with the cells that are missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock


@dataclass(frozen=True)
class Cell:
    """A question.

    data
        A data set's name; see `draws`.
    rows
        How many training rows are drawn; 0 takes all of them, and then the validation rows, too.
    seed
        Of the draw, and of all that the method draws itself.
    options
        Settings other than the defaults, and the method's own.
    split
        What is measured on: "test", or "validation" where a setting is being chosen.
    """

    method: str
    data: str
    rows: int
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    split: str = "test"

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Result:
    """An answer.

    figures
        What `measures` says of the predictions, and `train_seconds` and `saved_bytes`.
    predicted
        The predicted label ids in the order of the measured rows, a character each.
    hardware
        What the seconds were measured on.
    """

    cell: Cell
    figures: dict[str, float]
    predicted: str
    hardware: str


class Results:
    """The finished cells in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_key: dict[str, Result] = {}
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [_read(json.loads(line)) for line in lines if line.strip()]
            self.by_key = {result.cell.key: result for result in found}

    def add(self, result: Result) -> None:
        """Keep a result, on the disk too."""
        with FileLock(f"{self.path}.lock"), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        self.by_key[result.cell.key] = result

    def missing(self, cells: Sequence[Cell]) -> list[Cell]:
        return [cell for cell in cells if cell.key not in self.by_key]

    def of(self, cells: Sequence[Cell]) -> list[Result]:
        """The results there are of `cells`, in their order."""
        return [self.by_key[cell.key] for cell in cells if cell.key in self.by_key]


def _read(line: dict[str, Any]) -> Result:
    return Result(**{**line, "cell": Cell(**line["cell"])})

"""Data, options and folders that the command's tests work with."""

from __future__ import annotations

import random
from pathlib import Path

from command import Outcome

_GOOD = ("good", "fine", "lovely", "warm", "witty", "great", "moving", "bright")
_BAD = ("bad", "dull", "empty", "silly", "tedious", "cold", "awful", "weak")
_THINGS = ("film", "book", "phone", "hotel", "meal", "game")


def review(number: int, words: tuple[str, ...], seed: int = 0) -> str:
    """A text of its own for each number."""
    choice = random.Random(f"{seed} {number}")
    first, second = choice.sample(words, 2)
    return f"the {choice.choice(_THINGS)} {number} was {first} and {second}"


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts with their labels, negative and positive by turns."""
    return [
        (review(n, _BAD, seed), "negative") if n % 2 else (review(n, _GOOD, seed), "positive")
        for n in range(count)
    ]


def write_csv(path: Path, rows: list[tuple[str, str]], header: str = "text,label") -> Path:
    """Rows without commas or quotes as CSV."""
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


class Work:
    """A folder with data, in which runs were made; `outcomes` tells how, by their folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: dict[Path, Outcome] = {}


# The base has no more than 256 positions; an option given twice has the value given last.
TRAINING = (
    *("--device", "cpu", "--dtype", "float32"),
    *("--epochs", "2", "--batch-size", "12", "--max-length", "128"),
)


# Long enough that a signal finds it at work.
LONG = ("--epochs", "15", "--eval-every", "2", "-o", "run")

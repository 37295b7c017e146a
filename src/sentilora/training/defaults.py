"""The settings that weren't given: which values suit the data, and where each came from.

The values were chosen on validation rows alone, as `benchmarks/quality.py` does with its plans
`settings` (rows) and `rates` (labels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sentilora.training.settings import TrainSettings

# Up to so many rows: passes over them, and rows a step. Few rows need many steps to be learned
# from at all, and small steps to have them.
_BY_ROWS: tuple[tuple[float, int, int], ...] = (
    (64, 16, 8),
    (256, 8, 16),
    (512, 4, 16),
    (20_000, 2, 32),
    (float("inf"), 1, 32),
)
# Up to so many labels, the rows from which on they are trained at the higher rate. Ten labels were
# better for it with 128 to 2,048 rows, three with 2,048 but not with 512, five with 2,048 no worse;
# two with 2,048 were no better for half of it already. Three labels of 25,590 rows were three
# points worse in two passes at it than in one at the lower rate.
_HIGHER_RATE = 4e-3
_MOST_ROWS_FOR_HIGHER_RATE = 10_000
_ROWS_FOR_HIGHER_RATE: tuple[tuple[float, float], ...] = (
    (2, float("inf")),
    (5, 513),
    (float("inf"), 0),
)
# With fewer validation rows than this, which of two evaluations is the better one is chance.
ROWS_TO_SELECT = 100


@dataclass(frozen=True)
class Chosen:
    """The settings of a run, and for each field of them in words where its value came from."""

    settings: TrainSettings
    origins: Mapping[str, str]


def choose_settings(
    given: Mapping[str, Any], rows: int, validation_rows: int, labels: int
) -> Chosen:
    """The settings for so many training rows, validation rows, and labels.

    Parameters
    ----------
    given
        Fields of `TrainSettings` with what the user gave; None stands for nothing given.

    Raises
    ------
    UserError
        Where a value is out of its range.
    """
    own = {name: value for name, value in given.items() if value is not None}
    by_data = _by_rows(rows, validation_rows) | _by_labels(labels, rows)
    if "lora_plus" in own:  # B moves by a multiple of the rate: the higher one would throw it about
        by_data.pop("learning_rate", None)
    if "patience" in own:  # waits for a better validation: some must be better than others
        by_data.pop("select", None)
    values = {name: value for name, (value, _) in by_data.items()}
    origins = dict.fromkeys((field.name for field in fields(TrainSettings)), "default")
    origins |= {name: why for name, (_, why) in by_data.items()} | dict.fromkeys(own, "given")
    return Chosen(TrainSettings(**(values | own)), origins)


def _by_rows(rows: int, validation_rows: int) -> dict[str, tuple[Any, str]]:
    """The defaults that depend on the number of rows, each with the reason."""
    epochs, batch_size = next((e, b) for most, e, b in _BY_ROWS if rows <= most)
    why = f"default for {rows:,} rows"
    found: dict[str, tuple[Any, str]] = {"epochs": (epochs, why), "batch_size": (batch_size, why)}
    if validation_rows < ROWS_TO_SELECT:
        few = f"default for {validation_rows:,} validation rows" if validation_rows else "default"
        found["select"] = ("last", few)
    return found


def _by_labels(labels: int, rows: int) -> dict[str, tuple[Any, str]]:
    """The defaults that depend on the number of labels, too, each with the reason."""
    enough = next(least for most, least in _ROWS_FOR_HIGHER_RATE if labels <= most)
    if not enough <= rows <= _MOST_ROWS_FOR_HIGHER_RATE:
        return {}
    return {"learning_rate": (_HIGHER_RATE, f"default for {labels} labels, {rows:,} rows")}

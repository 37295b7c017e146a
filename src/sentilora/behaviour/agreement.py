"""What came of asking a model in several wordings: accuracy, and agreement with its own wording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sentilora.behaviour.wordings import Wording
from sentilora.evaluation.metrics import wilson_interval


@dataclass(frozen=True)
class Answered:
    """What a model made of the rows in a wording.

    agreement
        On how many rows it chose the label that it chose in its own wording.
    """

    wording: Wording
    correct: int
    agreement: int


@dataclass(frozen=True)
class Wordings:
    """All wordings on the same rows, the model's own first.

    rows, of
        How many rows were asked about, of how many there are; drawn with a fixed seed.
    notes
        What is to be known about the rows.
    """

    data: str
    split: str
    rows: int
    of: int
    answered: tuple[Answered, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it; shares with their 95 % Wilson intervals."""
        return {
            "data": self.data,
            "split": self.split,
            "rows": self.rows,
            "of": self.of,
            "notes": list(self.notes),
            "wordings": [
                {
                    "name": each.wording.name,
                    "template": each.wording.task.template,
                    "origin": each.wording.origin,
                    "labels_reversed": each.wording.reversed,
                    "accuracy": each.correct / self.rows,
                    "accuracy_interval": list(wilson_interval(each.correct, self.rows)),
                    "agreement": each.agreement / self.rows,
                    "agreement_interval": list(wilson_interval(each.agreement, self.rows)),
                }
                for each in self.answered
            ],
        }

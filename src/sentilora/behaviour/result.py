"""What came of a suite: case by case, and counted by capability and kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sentilora.behaviour.cases import INVARIANCE, KINDS, MINIMUM, Case
from sentilora.evaluation.metrics import wilson_interval


@dataclass(frozen=True)
class Outcome:
    """What a classifier made of a case, whose texts are one and M changed ones.

    watched
        The label whose probability is followed: the case's own, or of an invariance the one that
        was chosen for the unchanged text.
    chosen, probabilities
        [1 + M] the label chosen for each text, and there the probability of `watched`.
    worst
        The text to be shown for all: that which moved furthest the wrong way, and of those of an
        invariance that changed the label where any did; 0 where there is one text only.
    """

    case: Case
    failed: bool
    watched: str
    chosen: tuple[str, ...]
    probabilities: tuple[float, ...]
    worst: int

    @property
    def change(self) -> float | None:
        """How far the probability of `watched` moved, at worst: of an invariance without its sign;
        None where nothing was changed."""
        if self.case.kind == MINIMUM:
            return None
        moves = [after - self.probabilities[0] for after in self.probabilities[1:]]
        return max(map(abs, moves)) if self.case.kind == INVARIANCE else min(moves)

    @property
    def severity(self) -> float:
        """What failures are ordered by, the worst first."""
        change = self.change
        if change is None:
            return 1 - self.probabilities[0]
        return change if self.case.kind == INVARIANCE else -change

    def to_dict(self) -> dict[str, Any]:
        return {
            "case": self.case.to_dict(),
            "watched": self.watched,
            "chosen": list(self.chosen),
            "probabilities": list(self.probabilities),
            "change": self.change,
        }


@dataclass(frozen=True)
class Group:
    """The outcomes, one or more, of one kind of cases for one capability."""

    capability: str
    kind: str
    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> list[Outcome]:
        """Those that failed, the worst first."""
        failed = [outcome for outcome in self.outcomes if outcome.failed]
        return sorted(failed, key=lambda outcome: -outcome.severity)

    @property
    def rate(self) -> float:
        """The share that failed."""
        return len(self.failures) / len(self.outcomes)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of `rate`."""
        return wilson_interval(len(self.failures), len(self.outcomes))

    @property
    def change(self) -> float | None:
        """The mean of the outcomes' changes of probability; None where nothing was changed."""
        changes = [outcome.change for outcome in self.outcomes if outcome.change is not None]
        return sum(changes) / len(changes) if changes else None

    def counts(self) -> dict[str, Any]:
        """Its figures, without the cases."""
        return {
            "kind": self.kind,
            "cases": len(self.outcomes),
            "failures": len(self.failures),
            "failure_rate": self.rate,
            "failure_interval": list(self.interval),
            "mean_change": self.change,
        }


@dataclass(frozen=True)
class Behaviour:
    """A classifier's outcomes of a suite.

    labels
        The task's.
    groups
        By capability in the suite's order, and in it by kind.
    lacking
        The labels that the task lacks, with how many cases were left out for them.
    shortened
        How many texts were longer than the model reads, so that it saw a part of them.
    """

    labels: tuple[str, ...]
    groups: tuple[Group, ...]
    lacking: Mapping[str, int]
    shortened: int = 0

    @property
    def totals(self) -> list[Group]:
        """All capabilities together, for each kind that there is."""
        found = []
        for kind in KINDS:
            every = [
                outcome for group in self.groups if group.kind == kind for outcome in group.outcomes
            ]
            if every:
                found.append(Group("all", kind, tuple(every)))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it; of the cases those that failed, the worst first."""
        return {
            "labels": list(self.labels),
            "groups": [
                {
                    "capability": group.capability,
                    **group.counts(),
                    "failed": [outcome.to_dict() for outcome in group.failures],
                }
                for group in self.groups
            ],
            "totals": [group.counts() for group in self.totals],
            "lacking": dict(self.lacking),
            "shortened": self.shortened,
        }

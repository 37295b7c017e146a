"""All that `sentilora behaviour` finds: the suite's outcomes, and the wordings'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sentilora.behaviour.agreement import Wordings
from sentilora.behaviour.result import Behaviour


@dataclass(frozen=True)
class BehaviourReport:
    """Either part is None where it wasn't asked for."""

    suite: Behaviour | None = None
    wordings: Wordings | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return {
            "suite": self.suite and self.suite.to_dict(),
            "wordings": self.wordings and self.wordings.to_dict(),
        }

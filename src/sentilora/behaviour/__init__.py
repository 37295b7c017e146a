"""What a classifier can and can't do, by behaviour instead of by one accuracy.

Cases test a capability (negation, typos, instructions inside the text) and say what must hold:
a label, that nothing changes, or which way a probability may move (CheckList: Ribeiro, Wu, Guestrin
and Singh 2020). Some come with sentilora, a user adds others as data. And a classifier can be asked
in other words than its own, to see how much hangs on them.
"""

from __future__ import annotations

from sentilora.behaviour.cases import KINDS, Case
from sentilora.behaviour.checking import applicable, check
from sentilora.behaviour.report import BehaviourReport
from sentilora.behaviour.result import Behaviour, Group, Outcome
from sentilora.behaviour.suite import bundled_cases, read_suite, together
from sentilora.behaviour.wordings import Wording, wordings_for

__all__ = [
    "KINDS",
    "Behaviour",
    "BehaviourReport",
    "Case",
    "Group",
    "Outcome",
    "Wording",
    "applicable",
    "bundled_cases",
    "check",
    "read_suite",
    "together",
    "wordings_for",
]

"""Planning: what tuning a base takes of memory, before anything is loaded.

`make_plan` finds the largest micro-batch that fits a budget. `memory` says what the parts are, and
`frozen` and `general` state what each path keeps. Nothing here imports torch but the counting of
architectures that `shape` doesn't know, and the encoding of a data set's texts.
"""

from __future__ import annotations

from sentilora.planning.advice import refusal
from sentilora.planning.amounts import parse_bytes, shown_bytes
from sentilora.planning.memory import Parts
from sentilora.planning.plan import Lengths, Plan, make_plan
from sentilora.planning.recipe import Recipe
from sentilora.planning.shape import ModelShape

__all__ = [
    "Lengths",
    "ModelShape",
    "Parts",
    "Plan",
    "Recipe",
    "make_plan",
    "parse_bytes",
    "refusal",
    "shown_bytes",
]

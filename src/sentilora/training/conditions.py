"""All that the result of a run depends on: saved with it, and compared when it is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentilora.errors import UserError
from sentilora.scoring import LabelScorer
from sentilora.training.environment import check_environment, environment
from sentilora.training.rows import Rows
from sentilora.training.settings import TrainSettings

Conditions = dict[str, dict[str, Any]]

_CALLED = {
    "settings": "training settings",
    "rows": "rows",
    "fingerprint": "weights or adapter",
}


def conditions_of(
    scorer: LabelScorer,
    train: Rows,
    validation: Rows,
    settings: TrainSettings,
    rows_at_once: int,
    fingerprint: Mapping[str, str],
) -> Conditions:
    """The conditions of a run in this process, as JSON has them."""
    return {
        "settings": settings.to_dict(),
        "rows": {"train": train.fingerprint(), "validation": validation.fingerprint()},
        "fingerprint": dict(fingerprint),
        "environment": environment(scorer, rows_at_once),
    }


def check_conditions(before: Mapping[str, Any], now: Conditions) -> None:
    """Raise `UserError` where a run would go on under other conditions than it was started."""
    for kind, called in _CALLED.items():
        names = {*before[kind], *now[kind]}
        differing = sorted(n for n in names if before[kind].get(n) != now[kind].get(n))
        if differing:
            raise UserError(
                f"A run can't be resumed with other {called} than it was started with; these "
                f"differ: {', '.join(differing)}. Give it the same ones, or start a new run."
            )
    check_environment(before["environment"], now["environment"])

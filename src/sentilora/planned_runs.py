"""Runs that a study needs: where they go, and which of them are there already.

What each one was asked for stands in `plan.json` of the study's folder, so that a study that was
stopped goes on, and another one in the same folder is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sentilora.artifact import DESCRIPTION
from sentilora.errors import UserError
from sentilora.files import read_json, write_json
from sentilora.runs import CONFIG

PLAN = "plan.json"
# Options of `train` that say how rows are understood: not for rows that a study wrote itself.
ROW_OPTIONS = ("text_column", "label_column", "labels", "data_revision", "subject")
RUNS = "runs"
State = Literal["finished", "begun", "missing"]


@dataclass(frozen=True)
class PlannedRun:
    """A run with `train`'s options; None for a finished run that was brought along.

    contender
        What it is a run of; seeds of one contender share the name.
    """

    contender: str
    seed: int | None
    folder: Path
    options: Mapping[str, Any] | None

    @property
    def state(self) -> State:
        """How far it is."""
        if (self.folder / DESCRIPTION).exists():
            return "finished"
        return "begun" if (self.folder / CONFIG).exists() else "missing"

    @property
    def title(self) -> str:
        return self.contender if self.seed is None else f"{self.contender}, seed {self.seed}"


def run_folder(study: Path, name: str) -> Path:
    """Where the run of that name goes in a study's folder."""
    return study / RUNS / re.sub(r"[^\w.+-]+", "-", name.lower()).strip("-")


def keep_plan(runs: Sequence[PlannedRun], study: Path) -> None:
    """Write down what the runs are asked for, beside those that were before.

    Raises UserError where two of them share a folder, or one was begun with other options.
    """
    if len({run.folder.absolute() for run in runs}) < len(runs):
        raise UserError("Two of the runs would lie in the same folder. Give each of them once.")
    mine = [run for run in runs if run.options is not None]
    path = study / PLAN
    known = read_json(path, "The study's plan") if path.exists() else {}
    for run in mine:
        asked = dict(run.options or {})
        if known.get(run.folder.name, asked) != asked and run.state != "missing":
            raise UserError(
                f"{run.folder} was begun with other options. Choose another folder with -o, or "
                "remove that run."
            )
        known[run.folder.name] = asked
    study.mkdir(parents=True, exist_ok=True)
    write_json(path, known)

"""Which runs a comparison needs, where they go, and which of them are there already.

A run's folder is named after what it is. What it was asked for stands in `plan.json`, so that a
comparison that was stopped goes on, and another one in the same folder is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sentilora.artifact import DESCRIPTION
from sentilora.comparison.spec import Spec
from sentilora.errors import UserError
from sentilora.files import read_json, write_json
from sentilora.runs import CONFIG

PLAN = "plan.json"
State = Literal["finished", "begun", "missing"]


@dataclass(frozen=True)
class PlannedRun:
    """A run of a contender; `options` is None for a finished run that was brought along."""

    contender: str
    seed: int | None
    folder: Path
    options: Mapping[str, Any] | None

    @property
    def state(self) -> State:
        """Whether it is finished; a run that was brought along must be."""
        if (self.folder / DESCRIPTION).exists():
            return "finished"
        return "begun" if (self.folder / CONFIG).exists() else "missing"

    @property
    def title(self) -> str:
        return self.contender if self.seed is None else f"{self.contender}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison, a contender's one after the other."""

    runs: tuple[PlannedRun, ...]

    def to_train(self) -> Iterator[PlannedRun]:
        """The runs that aren't finished."""
        return (run for run in self.runs if run.state != "finished")


def plan_of(spec: Spec, data: str | None, folder: Path) -> Plan:
    """The runs of `spec`, trained on `data`, in `folder`; kept there in `plan.json`.

    Raises UserError where the folder holds another comparison, or a run that was brought along
    isn't finished.
    """
    runs = [*_trained(spec, data, folder / "runs"), *_brought(spec)]
    _keep(folder / PLAN, runs)
    for run in runs:
        if run.options is None and run.state != "finished":
            raise UserError(
                f"{run.folder} is no finished run. Name the folder of a run that `sentilora train` "
                f"ended, or go on with it by `sentilora train --resume {run.folder}`."
            )
    return Plan(tuple(runs))


def _trained(spec: Spec, data: str | None, folder: Path) -> list[PlannedRun]:
    runs = []
    for model in spec.models:
        for variant, options in spec.variants.items():
            several = len(spec.variants) > 1
            short = Path(model).name or model
            name = f"{short}, {variant}" if several else short
            for seed in spec.seeds:
                place = folder / _folder_name(f"{name}-seed{seed}")
                asked = {**spec.options, **options, "model": model, "data": data, "seed": seed}
                runs.append(PlannedRun(name, seed, place, asked))
    if len({run.folder for run in runs}) < len(runs):
        raise UserError("Two of the models or variants have the same name. Name them apart.")
    return runs


def _brought(spec: Spec) -> list[PlannedRun]:
    return [PlannedRun(Path(run).name, None, Path(run), None) for run in spec.runs]


def _keep(path: Path, runs: list[PlannedRun]) -> None:
    """Adds these runs to those that the folder is for; a run once begun keeps its options."""
    known = read_json(path, "The comparison's plan") if path.exists() else {}
    for run in runs:
        if run.options is None:
            continue
        asked = dict(run.options)
        if known.get(run.folder.name, asked) != asked and run.state != "missing":
            raise UserError(
                f"{run.folder} was begun with other options. Choose another folder with -o, or "
                "remove that run."
            )
        known[run.folder.name] = asked
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, known)


def _folder_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name.lower()).strip("-")

"""Whether the runs of one contender were trained alike but for their seeds.

A study's plan holds only what was asked for. One that is gone on with after an update, which may
have brought other defaults, would else mix two ways of training under one name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentilora.adapters import AdapterSettings
from sentilora.planned_runs import PlannedRun
from sentilora.runs import RunConfig
from sentilora.task import Task
from sentilora.training import TrainSettings

Settings = Mapping[str, Any]

# The seed is what runs differ in; the others say how much is run at once, not what comes out.
_FREE = {"seed", "micro_batch", "micro_batch_tokens", "gradient_checkpointing"}


def settings_of(training: TrainSettings, adapter: AdapterSettings, task: Task) -> Settings:
    """By name all that the result of a run depends on, its base and its rows aside."""
    every = {**training.to_dict(), **adapter.to_dict(), **task.to_dict()}
    return {name: value for name, value in every.items() if name not in _FREE}


def kept_settings(run: PlannedRun) -> Settings:
    """Those of a run that was begun; UserError where they can't be read."""
    config = RunConfig.read(run.folder)
    return settings_of(config.training, config.adapter, config.task)


def difference(runs: Sequence[Settings]) -> str | None:
    """Where they differ, such as `learning_rate 0.001 and 0.004`; None where they don't."""
    found = []
    for name in runs[0]:
        values = list(dict.fromkeys(str(settings.get(name)) for settings in runs))
        if len(values) > 1:
            found.append(f"{name} {' and '.join(values)}")
    return ", ".join(found) or None


def notes(planned: Sequence[PlannedRun]) -> list[str]:
    """What is to be said of contenders whose runs, all of them there, were trained differently."""
    settings: dict[str, list[Settings]] = {}
    for run in planned:
        if run.options is not None:
            settings.setdefault(run.contender, []).append(kept_settings(run))
    return [
        f"The runs of {name} differ in more than their seeds: {found}."
        for name, each in settings.items()
        if (found := difference(each))
    ]

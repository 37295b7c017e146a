"""How the models of a study were trained, where it wasn't alike.

The defaults go by the numbers of rows and labels, so that the model of one domain may be trained at
another rate than that of another, or of all: what then lies between them is not the data alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sentilora.planned_runs import PlannedRun
from sentilora.runs import RunConfig

Settings = Mapping[str, float]  # by the names in _SAID

_SAID = {"learning_rate": "learning rate", "epochs": "epochs", "batch_size": "batch size"}


def settings_of(runs: Sequence[PlannedRun]) -> dict[str, Settings]:
    """By model the settings that follow from its data."""
    trained = {run.contender: RunConfig.read(run.folder).training for run in runs}
    return {
        model: {name: getattr(settings, name) for name in _SAID}
        for model, settings in trained.items()
    }


def differing(settings: Mapping[str, Settings]) -> list[str]:
    """The line that says which settings weren't the same for all models; none where all were."""
    parts = []
    for name, word in _SAID.items():
        models: dict[float, list[str]] = {}
        for model, values in settings.items():
            models.setdefault(values[name], []).append(model)
        if len(models) > 1:
            each = (f"{value:g} for {', '.join(whose)}" for value, whose in sorted(models.items()))
            parts.append(f"{word} {'; '.join(each)}")
    if not parts:
        return []
    return [
        "Not all models were trained alike, which is a part of what lies between them: "
        f"{'. '.join(part[0].upper() + part[1:] for part in parts)}."
    ]

"""Which differences between the models of a study are said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from sentilora.domains.settings import differing, settings_of
from sentilora.planned_runs import PlannedRun
from sentilora.runs import RunConfig
from sentilora.training import TrainSettings

FILM = {"learning_rate": 1e-3, "epochs": 2, "batch_size": 32}


def test_each_runs_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {Path("a"): TrainSettings(epochs=3), Path("b"): TrainSettings(learning_rate=4e-3)}
    monkeypatch.setattr(RunConfig, "read", lambda folder: SimpleNamespace(training=made[folder]))
    runs = [PlannedRun(folder.name, None, folder, {}) for folder in made]
    assert settings_of(runs) == {"a": {**FILM, "epochs": 3}, "b": {**FILM, "learning_rate": 4e-3}}


def test_models_that_were_trained_alike() -> None:
    assert differing({"film": FILM, "shops": FILM}) == []


def test_who_was_trained_with_what() -> None:
    settings = {
        "film": FILM,
        "finance": {**FILM, "learning_rate": 4e-3, "epochs": 4},
        "mixture": {**FILM, "learning_rate": 4e-3},
    }
    (said,) = differing(settings)
    assert said.endswith(
        ": Learning rate 0.001 for film; 0.004 for finance, mixture. Epochs 2 for film, mixture; "
        "4 for finance."
    )

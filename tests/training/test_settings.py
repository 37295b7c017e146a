"""Settings, and what follows from them for each step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sentilora.errors import UserError
from sentilora.training import TrainSettings
from sentilora.training.schedule import Schedule


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("lora_plus", 0.0),
        ("batch_size", 0),
        ("micro_batch", 0),
        ("warmup", 1.0),
        ("weight_decay", -0.1),
        ("betas", (0.9,)),
        ("betas", (0.9, 1.0)),
        ("clip", 0.0),
        ("seed", -1),
        ("eval_every", 0),
        ("select", "accuracy"),
        ("patience", 0),
        ("objective", "all"),
        ("class_weight", "even"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"{name} .*must be"):
        TrainSettings(**{name: value})


def test_json_and_back() -> None:
    settings = TrainSettings(epochs=3, micro_batch=4, betas=(0.8, 0.99), patience=2)
    assert TrainSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(("batch", "micro", "expected"), [(8, None, 8), (8, 3, 3), (8, 99, 8)])
def test_rows_at_once(batch: int, micro: int | None, expected: int) -> None:
    assert TrainSettings(batch_size=batch, micro_batch=micro).rows_at_once == expected


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    schedule = Schedule(TrainSettings(epochs=2, batch_size=10, warmup=0.1, learning_rate=1.0), 95)
    rates = [schedule.learning_rate(step) for step in range(1, schedule.steps + 1)]
    assert schedule.steps == 20
    assert schedule.warmup_steps == 2
    assert rates[:3] == [0.5, 1.0, pytest.approx(18 / 19)]
    assert rates == sorted(rates[:2]) + sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 19)


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    schedule = Schedule(TrainSettings(warmup=0.0, learning_rate=0.5), 10)
    assert schedule.learning_rate(1) == 0.5


@pytest.mark.parametrize(
    ("every", "expected"), [(None, [0, 4, 8]), (3, [0, 3, 6, 8]), (100, [0, 8])]
)
def test_when_it_evaluates(every: int | None, expected: list[int]) -> None:
    schedule = Schedule(TrainSettings(epochs=2, batch_size=8, eval_every=every), 30)
    assert [step for step in range(schedule.steps + 1) if schedule.evaluates(step)] == expected


def test_positions_run_through_every_batch_of_every_epoch() -> None:
    schedule = Schedule(TrainSettings(epochs=2, batch_size=8), 20)
    positions = [schedule.position(step) for step in range(1, schedule.steps + 1)]
    assert positions == [(epoch, batch) for epoch in range(2) for batch in range(3)]

"""Settings that weren't given go by the data, and each says where it came from."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sentilora.errors import UserError
from sentilora.training import TrainSettings, choose_settings

SIZES = [1, 8, 32, 64, 65, 128, 512, 1_024, 2_048, 8_530, 20_000, 20_001, 1_000_000]


def test_what_was_given_stands_and_says_so() -> None:
    chosen = choose_settings({"epochs": 7, "learning_rate": 2e-4, "seed": 3}, 32, 0, 2)
    assert chosen.settings.epochs == 7
    assert chosen.settings.learning_rate == 2e-4
    assert {chosen.origins[name] for name in ("epochs", "learning_rate", "seed")} == {"given"}
    assert chosen.origins["batch_size"] == "default for 32 rows"
    assert chosen.origins["warmup"] == "default"


def test_none_is_nothing_given() -> None:
    assert choose_settings({"epochs": None}, 128, 0, 2) == choose_settings({}, 128, 0, 2)


@pytest.mark.parametrize("rows", SIZES)
def test_every_setting_has_an_origin(rows: int) -> None:
    chosen = choose_settings({}, rows, 5_000, 2)
    assert set(chosen.origins) == {field.name for field in fields(TrainSettings)}


def test_fewer_rows_are_passed_over_more_often_yet_never_take_longer() -> None:
    settings = [choose_settings({}, rows, 0, 2).settings for rows in SIZES]
    epochs = [each.epochs for each in settings]
    assert epochs == sorted(epochs, reverse=True)
    batches = [each.batch_size for each in settings]
    assert batches == sorted(batches)


@pytest.mark.parametrize(("rows", "steps"), [(8, 8), (32, 40), (128, 40), (512, 60), (8_530, 200)])
def test_there_are_steps_enough_to_learn_from(rows: int, steps: int) -> None:
    settings = choose_settings({}, rows, 0, 2).settings
    assert settings.epochs * -(-rows // settings.batch_size) >= steps


def test_few_validation_rows_choose_nothing() -> None:
    few, many = choose_settings({}, 500, 12, 2), choose_settings({}, 500, 100, 2)
    assert few.settings.select == "last"
    assert few.origins["select"] == "default for 12 validation rows"
    assert many.settings.select == "loss"
    assert choose_settings({"select": "loss"}, 500, 12, 2).settings.select == "loss"


@pytest.mark.parametrize(
    ("labels", "rows", "rate"),
    [
        (2, 100_000, 1e-3),
        (3, 512, 1e-3),
        (3, 513, 4e-3),
        (3, 10_001, 1e-3),
        (5, 2_048, 4e-3),
        (6, 32, 4e-3),
        (6, 10_001, 1e-3),
    ],
)
def test_several_labels_are_trained_at_a_higher_rate(labels: int, rows: int, rate: float) -> None:
    chosen = choose_settings({}, rows, 0, labels)
    assert chosen.settings.learning_rate == rate
    why = "default" if rate == 1e-3 else f"default for {labels} labels, {rows:,} rows"
    assert chosen.origins["learning_rate"] == why
    assert choose_settings({"learning_rate": 3e-4}, rows, 0, labels).settings.learning_rate == 3e-4


def test_patience_needs_something_to_wait_for() -> None:
    assert choose_settings({"patience": 2}, 500, 12, 2).settings.select == "loss"
    with pytest.raises(UserError, match="patience"):
        choose_settings({"patience": 2, "select": "last"}, 500, 12, 2)


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match="epochs"):
        choose_settings({"epochs": 0}, 10, 0, 2)


def test_lora_plus_multiplies_no_higher_rate() -> None:
    assert choose_settings({"lora_plus": 16.0}, 2048, 0, 10).settings.learning_rate == 1e-3

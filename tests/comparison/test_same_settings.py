"""A contender is one way of training, whatever its seeds."""

from __future__ import annotations

import pytest

from sentilora.adapters import AdapterSettings
from sentilora.comparison.same_settings import difference, settings_of
from sentilora.task import Task
from sentilora.training import TrainSettings

ADAPTER, TASK = AdapterSettings(), Task.default()
ONE = settings_of(TrainSettings(), ADAPTER, TASK)


def test_seeds_and_what_fits_into_memory_are_no_difference() -> None:
    other = TrainSettings(seed=3, micro_batch_tokens=512, gradient_checkpointing=True)
    assert difference([ONE, settings_of(other, ADAPTER, TASK)]) is None
    assert difference([ONE]) is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ((TrainSettings(learning_rate=0.004), ADAPTER, TASK), "learning_rate 0.001 and 0.004"),
        ((TrainSettings(), AdapterSettings(rank=2), TASK), "rank 8 and 2"),
        ((TrainSettings(epochs=3), ADAPTER, Task.default(max_length=99)), "epochs 2 and 3, max_le"),
    ],
)
def test_all_that_the_result_depends_on_is(
    other: tuple[TrainSettings, AdapterSettings, Task], said: str
) -> None:
    assert said in str(difference([ONE, ONE, settings_of(*other)]))

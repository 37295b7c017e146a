"""Reading ahead loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from sentilora.batch.job import _one_ahead
from sentilora.errors import UserError


def test_nothing_waits_for_what_may_be_long_in_coming() -> None:
    asked = []

    def items() -> Iterator[int | None]:
        for item in (1, None, 2, 3, None, None, 4):
            asked.append(item)
            yield item

    made = _one_ahead(lambda item: 10 * item, items())
    assert next(made) == 10
    assert asked == [1, None]
    assert [next(made), next(made)] == [20, 30]
    assert asked == [1, None, 2, 3, None]
    assert list(made) == [40]


def test_what_was_read_before_the_damage_is_given() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise UserError("damaged")

    made = _one_ahead(lambda item: 10 * item, items())
    assert list(islice(made, 3)) == [10, 20, 30]
    with pytest.raises(UserError, match="damaged"):
        next(made)
